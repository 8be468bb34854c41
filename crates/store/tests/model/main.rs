//! A store against a model of it: random histories, crashes, databases that come and go, feeds.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod attachments;
mod backup;
mod catalog;
mod channels;
mod collections;
mod compare;
mod crash;
mod database;
mod doctor;
mod feeds;
mod fixture;
mod histories;
mod play;
mod step;
mod tickets;
mod tree;
