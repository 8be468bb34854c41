//! Sync Gateway's REST dialect over the engine, on two listeners: the public one for users, the admin one.
//!
//! [`Gateway`] is the service of one listener, a [`Port`]. A request becomes a `Route` (which path is meant, and which
//! methods it knows on this port), a handler answers it from the engine, and `error` words every failure as Sync Gateway
//! does. Texts and statuses follow `spec/gateway.md`; a [`Profile`] is how they looked in one of its versions.

mod changes;
mod channels;
mod config;
mod context;
mod cors;
mod database;
mod design;
mod document;
mod error;
mod explain;
mod figures;
mod handlers;
mod keyspace;
mod list;
mod local;
mod oidc;
mod openapi;
mod principals;
mod replications;
mod resync;
mod revisions;
mod route;
mod scopes;
mod server;
mod service;
mod session;
mod stored;
mod trial;
mod upkeep;

pub use error::refusal;
pub use figures::{expvar_json, prometheus_text};
pub use service::{Door, Gateway, Port, Profile, Settings};
