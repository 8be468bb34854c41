//! The real server under power cuts: recorded under HTTP load, its folder opened after each cut.
//!
//! Lanes write documents, attachments, local documents and users, each in an order of its own that is known beforehand,
//! so what a lane must show after its n-th write is known, too. The folder is judged in this process: by the storage
//! that the server uses, and by its own check of each database.

mod judge;
mod lane;
mod load;
mod plan;

pub(super) use judge::Judge;
pub(super) use load::{Load, record};
