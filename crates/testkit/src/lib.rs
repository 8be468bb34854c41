//! Helpers for tests: a power-cut simulator, and the running server with a small HTTP client.
//!
//! Nothing of this is linked into the server. Everything here but [`until`] fails by returning an error, so that a caller
//! can say which seed or which folder it was.

#[cfg(target_os = "linux")]
pub mod faults;
pub mod http;
#[cfg(target_os = "linux")]
pub mod powercut;
pub mod server;
mod wait;

pub use wait::until;
