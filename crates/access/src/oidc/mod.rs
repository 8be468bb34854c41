//! Users for whom somebody else vouches, by OpenID Connect or with signed tokens.
//!
//! [`Vouchers`] are those whose tokens a database takes. A token is [`Unverified`] until it was checked against its
//! [`Voucher`] and its [`Jwks`], and is an [`Identity`] then. A [`Journey`] is a browser's way to a [`Provider`] and back.
//! Nothing here opens a connection: documents of providers come in as bytes.

mod error;
mod flow;
mod jwks;
mod provider;
mod token;

pub use error::Error;
pub use flow::{Journey, Metadata, Presence, TokenRequest, TokenResponse};
pub use jwks::{Jwks, Signing};
pub use provider::{
    AccessTokens, KeySource, Provider, Registration, Sessions, StateCheck, Strictness, Voucher, Vouchers,
};
pub use token::{Identity, Unverified};

#[cfg(test)]
mod tests;
