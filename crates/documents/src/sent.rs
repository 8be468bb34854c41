//! Which attachments of a document are sent with it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tidegate_engine::{AttachmentDigest, Document};
use tidegate_types::Rev;

/// How attachments appear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attachments {
    /// Without their content.
    #[default]
    Stubs,
    /// With their content in the text.
    Inline,
    /// As parts behind the text.
    Follows,
}

/// Above which generation content is sent; `None` where none is. `atts_since` are revisions whose attachments the client
/// has. Source: `couch_db:find_ancestor_rev_pos`.
pub fn sent_above(document: &Document, attachments: Attachments, atts_since: Option<&[Rev]>) -> Option<u64> {
    match (attachments, atts_since) {
        (Attachments::Stubs, _) => None,
        (Attachments::Inline | Attachments::Follows, None) => Some(0),
        (Attachments::Inline | Attachments::Follows, Some(known)) => {
            let common = document.revisions().into_iter().find(|rev| known.contains(rev));
            Some(common.map_or(0, Rev::generation))
        }
    }
}

/// The digest as documents show it, without `md5-`.
pub fn digest_text(digest: &AttachmentDigest) -> String {
    BASE64_STANDARD.encode(digest.as_bytes())
}
