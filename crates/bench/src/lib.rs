//! Measurements of Tidegate through HTTP, and torture.
//!
//! [`scenario`] measures the release binary, and peers beside it, with the load generator in [`load`]; [`report`] makes
//! the table. [`torture`] kills the server at random points under load and checks that every promise was kept. All
//! traffic stays on this machine, and every run ends by itself.

pub mod chunked;
pub mod client;
pub mod document;
mod error;
pub mod fsyncs;
pub mod load;
pub mod machine;
pub mod measurement;
pub mod process;
pub mod report;
pub mod scenario;
pub mod target;
pub mod torture;
pub mod usage;

pub use error::Error;
