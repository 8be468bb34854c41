//! Validated names and numbers that every other crate speaks in.
//!
//! A value of these types is legal by construction: whoever holds a [`DocId`] need not check it again. Parsing says
//! *what* is wrong, never with which status to answer: that is the dialect's.

mod channel;
mod collection_name;
mod db_name;
mod doc_id;
mod principal;
mod rev;
mod seq;

pub use channel::{Channel, ChannelError};
pub use collection_name::{CollectionName, CollectionNameError};
pub use db_name::{DbName, DbNameError};
pub use doc_id::{DocId, DocIdError, DocKind};
pub use principal::{Principal, PrincipalName, PrincipalNameError};
pub use rev::{Digest, Rev, RevError};
pub use seq::Seq;
