//! Versions as clients of version 4 see them: `hex@source`.
//!
//! A revision says all there is to know of it, so its version is made of it, and names the same revision for ever. The
//! number grows with the generation; the source is the database.

use crate::error::Error;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tidegate_engine::{Database, OpenRev, OpenRevs};
use tidegate_types::{DocId, Rev};

/// The version of a revision in a database.
pub(crate) fn version_of(db: &Database, rev: &Rev) -> String {
    format!("{:x}@{}", number_of(rev), BASE64_URL_SAFE_NO_PAD.encode(db.uuid()))
}

/// 24 bits of the generation, then 40 of the digest.
fn number_of(rev: &Rev) -> u64 {
    // FNV-1a: spreads digests that others made up, too.
    let spread = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let digest = rev.digest().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, spread);
    ((rev.generation() & 0xff_ffff) << 40) | (digest >> 24)
}

/// Whether a text is written as versions are.
pub(crate) fn is_version(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split_once('@').is_some_and(|(number, source)| digits(number) && !source.is_empty())
}

/// The revision of this version, among those that the document remembers.
pub(crate) async fn revision_of(db: &Database, id: &DocId, version: &str) -> Result<Option<Rev>, Error> {
    let leaves = match db.open_revs(id, &OpenRevs::All).await {
        Err(tidegate_engine::Error::NotFound(_)) => return Ok(None),
        leaves => leaves?,
    };
    for leaf in leaves {
        if let OpenRev::Found(document) = leaf
            && let Some(rev) = document.revisions().into_iter().find(|rev| version_of(db, rev) == version)
        {
            return Ok(Some(rev.clone()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_with_the_generation_and_tell_digests_apart() {
        let number = |rev: &str| number_of(&rev.parse().unwrap());
        assert!(number("2-a") > number("1-ca9ad22802b66f662ff171f226211d5c"));
        assert_ne!(number("1-123"), number("1-456"));
        assert_eq!(number("3-x") >> 40, 3);
    }

    #[test]
    fn what_looks_like_a_version() {
        assert!(is_version("18a@hLBI"));
        for other in ["1-a", "@x", "1@", "x@y", ""] {
            assert!(!is_version(other), "{other}");
        }
    }
}
