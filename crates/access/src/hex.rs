//! Bytes as hexadecimal text, both directions.

use std::fmt::Write as _;

/// In lower case.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a `String` doesn't fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// `None` when `text` isn't pairs of hexadecimal digits.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&bytes)), Some(bytes));
        assert_eq!(encode(&[0, 0xaf]), "00af");
        assert_eq!(decode("AF"), Some(vec![0xaf]));
        for bad in ["a", "g0", "+1", "aéb"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
