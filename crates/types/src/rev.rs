//! Revision ids: `generation-digest`.

use std::{cmp::Ordering, fmt, str::FromStr};

/// A revision id such as `2-7051cbe5c8faecd085a3fa619e6e6337`.
///
/// Ordered by generation, then by the digest's bytes: the order in which replicas pick a winner, so a change here is a
/// protocol change. Source: `couch_doc:parse_rev`, `spec/couch.md` 3.2.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev {
    generation: u64,
    digest: Digest,
}

/// The part of a revision id behind the dash.
///
/// Exactly 32 hexadecimal digits are kept as their 16 bytes, any other text as its own bytes, and *those bytes* are
/// compared: `1-f57b…` beats `1-zzz`, because 0xf5 is greater than `z`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Digest {
    /// 32 hexadecimal digits.
    Md5([u8; 16]),
    /// Anything else that another replica made up.
    Text(Box<str>),
}

/// The text is no revision id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid rev format")]
pub struct RevError;

impl Rev {
    /// The longest digest taken from others, in bytes.
    pub const DIGEST_BYTES_MAX: usize = 512;

    /// A revision id of these parts. The generation of a first edit is 1.
    pub fn new(generation: u64, digest: Digest) -> Self {
        Self { generation, digest }
    }

    /// How many edits lie between this revision and the document's beginning, itself included.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The part behind the dash.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl Digest {
    /// The bytes that are compared.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Md5(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }

    fn from_hex(text: &str) -> Option<Self> {
        let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (hex_value(*high)? << 4) | hex_value(*low)?;
        }
        Some(Self::Md5(bytes))
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl FromStr for Digest {
    type Err = RevError;

    /// Takes any text, the empty one too, but what would need escaping in JSON or a header: quotes, backslashes, control characters.
    fn from_str(text: &str) -> Result<Self, RevError> {
        if let Some(digest) = Self::from_hex(text) {
            return Ok(digest);
        }
        let plain = !text.chars().any(|c| c.is_control() || c == '"' || c == '\\');
        let fits = text.len() <= Rev::DIGEST_BYTES_MAX;
        if plain && fits { Ok(Self::Text(text.into())) } else { Err(RevError) }
    }
}

impl FromStr for Rev {
    type Err = RevError;

    fn from_str(text: &str) -> Result<Self, RevError> {
        let (generation, digest) = text.split_once('-').ok_or(RevError)?;
        let digits_only = generation.bytes().all(|b| b.is_ascii_digit());
        match (digits_only, generation.parse()) {
            (true, Ok(generation)) if generation > 0 => Ok(Self { generation, digest: digest.parse()? }),
            _ => Err(RevError),
        }
    }
}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Digest {
    fn cmp(&self, other: &Self) -> Ordering {
        // Sixteen hashed bytes that happen to spell another replica's text must still differ from it.
        let is_text = |digest: &Self| matches!(digest, Self::Text(_));
        self.as_bytes().cmp(other.as_bytes()).then_with(|| is_text(self).cmp(&is_text(other)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Md5(bytes) => {
                let mut digits = [0; 32];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
                    pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
                }
                f.write_str(str::from_utf8(&digits).map_err(|_invalid| fmt::Error)?)
            }
        }
    }
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.generation, self.digest)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rev(text: &str) -> Rev {
        text.parse().unwrap()
    }

    fn check_refused(text: &str) {
        assert_eq!(text.parse::<Rev>(), Err(RevError), "{text:?}");
    }

    #[test]
    fn hex_is_packed_and_any_text_is_kept() {
        let packed = rev("1-967a00dff5e02add41819138abb3284d");
        assert!(matches!(packed.digest(), Digest::Md5(_)));
        assert_eq!(packed.to_string(), "1-967a00dff5e02add41819138abb3284d");
        assert_eq!(rev("1-967A00DFF5E02ADD41819138ABB3284D"), packed);
        assert_eq!(rev("3-abc").to_string(), "3-abc");
        assert_eq!(rev("1-").to_string(), "1-");
        assert_eq!(rev("3-a-b").digest(), &Digest::Text("a-b".into()));
    }

    #[test]
    fn what_is_no_revision_is_refused() {
        for text in ["", "1", "-a", "a-b", "+1-a", "-1-a", "0-a", "1.0-a", "1-a\"b", "1-a\\b", "1-a\nb"] {
            check_refused(text);
        }
        check_refused("18446744073709551616-a");
        check_refused(&format!("1-{}", "x".repeat(513)));
    }

    #[test]
    fn greater_generation_first_then_greater_bytes() {
        assert!(rev("10-a") > rev("9-z"));
        assert!(rev("2-b") > rev("2-a"));
        assert!(rev("2-aa") > rev("2-a"));
        // The hexadecimal digest is compared by its bytes, not by its digits.
        assert!(rev("1-f57b6b0e9d4b4b2a9c4e1f0a7d3c5b61") > rev("1-zzz"));
        assert!(rev("1-067b6b0e9d4b4b2a9c4e1f0a7d3c5b61") < rev("1-0"));
    }

    proptest! {
        #[test]
        fn parse_is_the_inverse_of_display(generation in 1u64.., digest in "[ -!#-\\[\\]-~é]{1,40}") {
            let rev = Rev::new(generation, digest.parse().unwrap());
            prop_assert_eq!(rev.to_string().parse::<Rev>().unwrap(), rev);
        }

        #[test]
        fn md5_bytes_survive(bytes in any::<[u8; 16]>()) {
            let rev = Rev::new(7, Digest::Md5(bytes));
            prop_assert_eq!(rev.to_string().parse::<Rev>().unwrap(), rev);
        }
    }
}
