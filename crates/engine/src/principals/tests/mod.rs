//! Users and roles through the façade: what administrators write, who gets in with what, and as whom.

mod admin;
mod fixture;
mod logins;
mod vouching;
