//! Documents in channels: what users see, by every read and on every feed.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod follower;
mod histories;
mod reads;
mod site;
