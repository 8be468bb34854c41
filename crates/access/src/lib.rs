//! Who a caller is, and what it may do, as CouchDB has it.
//!
//! Everything here is a value: the clock, chance, requests and stored documents come in as arguments. Who asks is a
//! [`UserCtx`]; it is had from the [`Basic`] credentials of an [`Account`] ([`Hashing::verify`], or [`Verified`] where that
//! was done lately, [`Throttle`] before), from a session ([`Claim`], [`Sessions`]), a token ([`Tokens`]), a proxy ([`ProxyRule`]) or a
//! web server in front ([`RemoteUser`]). What it may do with a database says [`Security`], with users' documents
//! [`user`]. A database with channels has users and roles of its own: [`principal`].
//!
//! Who isn't known, and whose password is wrong, are answered alike and take the same time.
//! [`Error`] says why a request is refused, in CouchDB's words.

mod account;
mod basic;
mod context;
mod cookie;
mod error;
mod hex;
mod jwt;
mod keyring;
mod name;
mod network;
pub mod oidc;
mod password;
mod prf;
pub mod principal;
mod proxy;
mod recent;
mod remote;
mod security;
mod session;
mod throttle;
mod totp;
pub mod user;
mod verified;

pub use account::{Account, Source};
pub use basic::Basic;
pub use context::{Handler, UserCtx};
pub use cookie::{CookieDomain, Cookies, Lifetime, SESSION_COOKIE, SameSite, Transport, session_token};
pub use error::Error;
pub use jwt::{TOKEN_BYTES_MAX, TokenKeys, TokenRules, Tokens, bearer_token};
pub use keyring::{Keyring, MacAlgorithm};
pub use name::{NAME_BYTES_MAX, NameError, Role, UserName};
pub use network::Networks;
pub use password::{AdminPassword, Hashing, Salt, StoredPassword};
pub use prf::Prf;
pub use proxy::{ProxyHeaders, ProxyRule};
pub use remote::RemoteUser;
pub use security::Security;
pub use session::{Age, Claim, Rejection, Sessions};
pub use throttle::{Attempt, Lockout, Standing, Throttle, ThrottleOptions};
pub use totp::Totp;
pub use user::UserRecord;
pub use verified::{Kept, Verified};
