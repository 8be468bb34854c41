//! What can be found wrong with a database.

use crate::{AttachmentDigest, Corrupt, Grant};
use bytes::Bytes;
use std::fmt;
use tidegate_types::{Channel, CollectionName, DocId, Rev, Seq};

/// Two records that don't agree, or one that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistency {
    /// No version of this program wrote a record.
    #[error("{0}, at key {1:?}")]
    Unreadable(Corrupt, Bytes),
    /// A revision stands in a document's tree more than once.
    #[error("document {0}: revision {1} is in its tree more than once")]
    RepeatedRevision(DocId, Rev),
    /// What plain reads are told of a document isn't what its tree says.
    #[error("document {0}: its head doesn't say what its tree does")]
    Head(DocId),
    /// A document's row in the sequence index is missing, or says something else than the document.
    #[error("document {0}: its row at sequence {1} is missing or differs")]
    ChangeRow(DocId, Seq),
    /// A row of the sequence index that isn't a document's latest change.
    #[error("sequence {1} is not the latest of document {0}")]
    StrayChange(DocId, Seq),
    /// A revision's body is missing.
    #[error("document {0}: the body at sequence {1} is missing")]
    NoBody(DocId, Seq),
    /// A body that no revision, or a second one, refers to.
    #[error("the body at sequence {0} belongs to no revision or to two")]
    StrayBody(Seq),
    /// An attachment that bodies refer to hasn't got a record.
    #[error("attachment {0:?} is missing")]
    NoAttachment(AttachmentDigest),
    /// An attachment isn't referred to as often as it says.
    #[error("attachment {digest:?} says it has {recorded} references and has {counted}")]
    References {
        /// The attachment.
        digest: AttachmentDigest,
        /// What its record says.
        recorded: u64,
        /// How many there are.
        counted: u64,
    },
    /// An attachment's content is missing, cut short, or not what was stored.
    #[error("the content of attachment {0:?} is missing, cut short or altered")]
    Content(AttachmentDigest),
    /// Content that belongs to no attachment and to no upload.
    #[error("the chunks of blob {0:032x} belong to no attachment")]
    StrayChunks(u128),
    /// A row by which a ticket is found is missing, or belongs to none.
    #[error("the row {0:?} of a ticket is missing or belongs to none")]
    TicketRow(Bytes),
    /// What was decided on a revision is missing.
    #[error("what was decided on the body at sequence {0} is missing")]
    NoAssignment(Seq),
    /// Something was decided on a revision that has no body.
    #[error("what was decided at sequence {0} belongs to no body")]
    StrayAssignment(Seq),
    /// The row of a document in a channel that it is in is missing, or says something else than the document.
    #[error("document {0}: its row in channel {1} at sequence {2} is missing or differs")]
    ChannelRow(DocId, Channel, Seq),
    /// A row of a channel whose document isn't in it, or changed since.
    #[error("the row at sequence {1} of channel {0} belongs to no document that is in it")]
    StrayChannelRow(Channel, Seq),
    /// That a document left a channel is told in one of two places, or though it is in it.
    #[error("document {0}: that it left channel {1} isn't told alike in both places, or it is in it")]
    Departure(DocId, Channel),
    /// A document expires and isn't listed, or is listed and doesn't.
    #[error("document {0}: that it expires at {1} is said in one of two places")]
    Expiry(DocId, u64),
    /// A grant isn't made by as many documents as it says.
    #[error("{}, granted to {}, says it is by {recorded} documents and is by {counted}", grant.what, grant.to)]
    GrantingDocuments {
        /// What is granted, and to whom.
        grant: Grant,
        /// What its record says.
        recorded: u64,
        /// How many there are.
        counted: u64,
    },
    /// A grant says that an administrator made it, and the principal doesn't; or the reverse.
    #[error("{}, granted to {}: the principal and the grant don't agree on whether an administrator did", .0.what, .0.to)]
    ExplicitGrant(Grant),
    /// A grant holds though nobody makes it, or doesn't though somebody does.
    #[error("{}, granted to {}: the periods in which it held don't say whether it does", .0.what, .0.to)]
    GrantPeriods(Grant),
    /// Something in a collection other than the default one.
    #[error("collection {0}: {1}")]
    InCollection(CollectionName, Box<Inconsistency>),
    /// Something lies in a collection that there isn't.
    #[error("there is no collection of number {0}, and yet something lies in it")]
    StrayCollection(u32),
    /// A counter isn't what counting comes to.
    #[error("{counter} is {recorded} and should be {counted}")]
    Counter {
        /// Which.
        counter: Counter,
        /// What the database says.
        recorded: u64,
        /// What counting comes to.
        counted: u64,
    },
}

/// A counter that a database keeps of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Of live documents.
    Documents,
    /// Of deleted documents.
    DeletedDocuments,
    /// The greatest sequence; at least that of the last row of the sequence index.
    UpdateSeq,
    /// Bytes of bodies.
    BodyBytes,
    /// Bytes of attachments.
    AttachmentBytes,
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documents => "the number of documents",
            Self::DeletedDocuments => "the number of deleted documents",
            Self::UpdateSeq => "the update sequence",
            Self::BodyBytes => "the bytes of bodies",
            Self::AttachmentBytes => "the bytes of attachments",
        })
    }
}
