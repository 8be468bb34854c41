//! Users and roles of a database: Sync Gateway's principals, as values.
//!
//! [`Body`] is what an administrator says of one, [`UserSettings`] and [`RoleSettings`] what is kept of it; the storage
//! takes them as bytes. Passwords are bcrypt ([`PasswordHash`]), sessions random ids ([`SessionId`], [`Session`]). What a
//! principal may see isn't here: that follows from channels and grants.

mod body;
mod cookie;
mod error;
mod password;
mod session;
mod settings;

pub use body::{Body, Collections};
pub use cookie::CookieRules;
pub use error::Error;
pub use password::{PasswordHash, check_password};
pub use session::{Session, SessionId, Uses};
pub use settings::{Epoch, RoleSettings, Standing, UserSettings, Vouched};
