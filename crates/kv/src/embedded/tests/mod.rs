//! What happens when the disk fails or lost something.

mod damage;
mod failure;
