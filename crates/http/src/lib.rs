//! The HTTP edge kit every dialect is built on: reading requests under limits, multipart, ranges, conditions,
//! negotiation, CORS and response bodies.
//!
//! It knows HTTP and no dialect. What it refuses is a *transport fact* (a body was too large, a boundary was missing);
//! which status and words a client gets for it is the dialect's choice, carried by [`ApiError`]. Everything but
//! [`body`], the async shell of [`multipart`], the stream of [`respond`], [`feed`] and [`connection`] is pure.

mod arrival;
pub mod body;
pub mod conditional;
pub mod connection;
pub mod cors;
mod error;
pub mod feed;
pub mod gzip;
pub mod media;
pub mod multipart;
pub mod negotiate;
pub mod observe;
pub mod path;
pub mod query;
pub mod range;
pub mod respond;
pub mod upgrade;

pub use arrival::{Arrival, Transport};
pub use body::{BodyError, BodyLimits, BodyReader};
pub use error::ApiError;
pub use respond::Body;
