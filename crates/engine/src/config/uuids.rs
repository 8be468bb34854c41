//! `[uuids]`: how ids are made.

use super::sections::{BadValue, Expected, Sections, bad};

/// How ids are made for documents that have none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UuidAlgorithm {
    /// 128 random bits.
    Random,
    /// Random, then a number that grows by random steps.
    Sequential,
    /// Microseconds since 1970, then random.
    UtcRandom,
    /// Microseconds since 1970, then this text.
    UtcId(String),
    /// As RFC 9562 has them: random.
    V4,
    /// As RFC 9562 has them: milliseconds since 1970, then random.
    V7,
}

impl UuidAlgorithm {
    pub(super) fn of(sections: &Sections) -> Result<Self, BadValue> {
        const NAMES: &[&str] = &["random", "sequential", "utc_random", "utc_id", "uuid_v4", "uuid_v7"];
        Ok(match sections.get("uuids", "algorithm") {
            None | Some("sequential") => Self::Sequential,
            Some("random") => Self::Random,
            Some("utc_random") => Self::UtcRandom,
            Some("utc_id") => Self::UtcId(sections.get("uuids", "utc_id_suffix").unwrap_or_default().to_owned()),
            Some("uuid_v4") => Self::V4,
            Some("uuid_v7") => Self::V7,
            Some(other) => return Err(bad("uuids", "algorithm", other, Expected::OneOf(NAMES))),
        })
    }
}
