//! Users and roles of a database: who they are, how they log in, and as whom a database is seen.
//!
//! What a user's settings mean is decided in `tidegate_access::principal`, whose tokens count in `tidegate_access::oidc`;
//! here they are read, judged with the clock, and written. [`known`](known::Known) is what the server has at hand of a
//! user: a request with credentials that were seen lately reads nothing from the storage.

mod admin;
mod known;
mod login;
mod oidc;
mod sessions;
#[cfg(test)]
mod tests;
mod viewer;
mod vouched;
mod whoami;

pub use admin::{CollectionChannels, PrincipalOutcome, RoleInfo, UserInfo, WriteMode};
pub(crate) use known::{Known, Principals};
pub use login::PrincipalLogin;
pub use oidc::{Fetch, FetchFailure, FetchRequest, Fetched, OidcEntry, OidcLogin, OidcReturn};
pub use sessions::{NewSession, SessionInfo};
pub(crate) use viewer::Viewer;
pub use whoami::WhoAmI;

/// The setting of a database that holds how its users log in.
pub(crate) const LOGINS: &str = "logins";
