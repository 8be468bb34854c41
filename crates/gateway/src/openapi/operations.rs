//! What is said of each route's methods, by the part of the document they stand in.

pub(super) mod access;
pub(super) mod attachments;
pub(super) mod bulk;
pub(super) mod changes;
pub(super) mod databases;
pub(super) mod diagnosis;
pub(super) mod documents;
pub(super) mod replications;
pub(super) mod server;
pub(super) mod sessions;
pub(super) mod upkeep;
