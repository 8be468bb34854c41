//! What happens when the disk fails or lost something.
#![expect(clippy::cast_possible_truncation, reason = "the files of these tests are small")]

mod damage;
mod failure;
mod large;
