//! Users and roles of a database: Sync Gateway's principals, as values.
//!
//! [`Body`] is what an administrator says of one, [`UserSettings`] and [`RoleSettings`] what is kept of it; the storage
//! takes them as bytes. [`LoginRules`] is how a database's users log in. Passwords are bcrypt ([`PasswordHash`]), sessions random ids ([`SessionId`], [`Session`]). What a
//! principal may see isn't here: that follows from channels and grants.

mod body;
mod cookie;
mod error;
mod password;
mod rules;
mod session;
mod settings;

pub use body::{Body, Collections};
pub use cookie::CookieRules;
pub(crate) use cookie::{path as cookie_path, value as cookie_value};
pub use error::Error;
pub use password::{PasswordHash, check_password};
pub use rules::{EmptyPasswords, LoginRules, Passwords, RemotePrincipal, RemotePrincipals};
pub use session::{Session, SessionId, Uses};
pub use settings::{Epoch, RoleSettings, Standing, UserSettings, Vouched};
