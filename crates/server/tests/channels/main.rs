//! Documents in channels, over HTTP and on the real binary: who sees what by which route, and what feeds tell.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on may panic")]

mod collections;
mod feeds;
mod histories;
mod leaks;
mod losses;
mod rules;
mod site;
