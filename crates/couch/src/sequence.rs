//! Sequences as clients see them: `12-` and a token of 16 hexadecimal digits that tells the database from another of the
//! same name. Clients must take the whole as opaque; some read the number, so it stands first.

use std::{fmt, str::FromStr};
use tidegate_engine::Position;
use tidegate_types::Seq;

/// A sequence on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireSeq {
    /// Of which change, or of a row that another change caused, in a database whose documents are in channels.
    pub position: Position,
    /// Of which database; a bare number names none.
    pub database: Option<[u8; 8]>,
}

/// The text is no sequence of ours or of an older CouchDB's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Malformed sequence supplied in 'since' parameter.")]
pub struct WireSeqError;

impl WireSeq {
    /// From which sequence a feed of the database `uuid`, now at `update_seq`, goes on.
    ///
    /// One of another database has seen nothing of this one. One from the future is from before a backup was restored:
    /// the feed begins again, rather than skip what was written since.
    pub fn resolve(self, uuid: [u8; 8], update_seq: Seq) -> Position {
        match self.database {
            None => self.position,
            Some(database) if database == uuid && self.position <= Position::at(update_seq) => self.position,
            Some(_) => Position::START,
        }
    }
}

impl FromStr for WireSeq {
    type Err = WireSeqError;

    fn from_str(text: &str) -> Result<Self, WireSeqError> {
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let (number, token) = text.split_once('-').map_or((text, None), |(number, token)| (number, Some(token)));
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b':') {
            return Err(WireSeqError);
        }
        let position = number.parse().map_err(|_too_great| WireSeqError)?;
        let database = match token {
            None => None,
            Some("") => return Err(WireSeqError),
            // Another server's token is opaque to us, but it is no mistake: it names some other database.
            Some(token) => Some(u64::from_str_radix(token, 16).unwrap_or(0).to_be_bytes()),
        };
        Ok(Self { position, database })
    }
}

impl fmt::Display for WireSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.database {
            None => self.position.fmt(f),
            Some(database) => write!(f, "{}-{:016x}", self.position, u64::from_be_bytes(database)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn check(text: &str, expected: Option<&str>) {
        let seq = text.parse::<WireSeq>().ok().map(|wire| wire.resolve(UUID, Seq::new(20)).to_string());
        assert_eq!(seq.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn our_own_goes_on_and_others_begin_again() {
        check("12-0102030405060708", Some("12"));
        check("12:3-0102030405060708", Some("12:3"));
        check("\"12-0102030405060708\"", Some("12"));
        check("12", Some("12"));
        check("99", Some("99"));
        check("21-0102030405060708", Some("0"));
        check("12-0102030405060709", Some("0"));
        check("12-g1AAAACTeJzLYWBg", Some("0"));
    }

    #[test]
    fn what_is_no_sequence_is_refused() {
        for text in ["", "-", "-1", "12-", "a", "1a-b", "+1", ":", "1:-b", "18446744073709551616", "\"", "{}"] {
            check(text, None);
        }
    }

    #[test]
    fn display_is_the_inverse_of_parse() {
        let wire = WireSeq { position: Position::at(Seq::new(7)), database: Some(UUID) };
        assert_eq!(wire.to_string(), "7-0102030405060708");
        assert_eq!(wire.to_string().parse(), Ok(wire));
    }
}
