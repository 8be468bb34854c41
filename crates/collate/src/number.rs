//! Numbers as they are written: sign, digits and a power of ten, of any length.

use std::cmp::Ordering;

/// What an exponent is taken to be when it goes beyond: far more than any text has digits.
const EXPONENT_MAX: i64 = 1_000_000_000_000_000_000;

/// A number as 0.DIGITS times a power of ten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'a> {
    /// Less, equal or greater than zero; -0 is zero.
    pub(crate) sign: Ordering,
    /// The power of ten.
    pub(crate) exponent: i64,
    /// The digits in two stretches, without zeros in front and behind; none for zero.
    digits: (&'a [u8], &'a [u8]),
}

impl<'a> Decimal<'a> {
    /// Takes the text of a JSON number apart.
    pub(crate) fn parse(text: &'a [u8]) -> Self {
        let (negative, text) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, text),
        };
        let (mantissa, exponent) = split_at_byte(text, |byte| matches!(byte, b'e' | b'E'));
        let (whole, fraction) = split_at_byte(mantissa, |byte| byte == b'.');
        let whole = without_front_zeros(whole);
        let significant = if whole.is_empty() { without_front_zeros(fraction) } else { fraction };
        let shift = if whole.is_empty() { -length(fraction) + length(significant) } else { length(whole) };
        let exponent = (parse_exponent(exponent) + shift).clamp(-EXPONENT_MAX, EXPONENT_MAX);
        let fraction = without_back_zeros(significant);
        let whole = if fraction.is_empty() { without_back_zeros(whole) } else { whole };
        let sign = match (whole.is_empty() && fraction.is_empty(), negative) {
            (true, _) => Ordering::Equal,
            (false, true) => Ordering::Less,
            (false, false) => Ordering::Greater,
        };
        Self { sign, exponent, digits: (whole, fraction) }
    }

    /// The digits, as the bytes `0` to `9`, from the first.
    pub(crate) fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.0.iter().chain(self.digits.1).copied()
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        self.exponent.cmp(&other.exponent).then_with(|| self.digits().cmp(other.digits()))
    }
}

/// How two numbers, given as JSON text, are ordered by their value.
///
/// Exact, but that powers of ten beyond 10^18 count as that one.
pub fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (Decimal::parse(a), Decimal::parse(b));
    a.sign.cmp(&b.sign).then_with(|| match a.sign {
        Ordering::Less => b.cmp_magnitude(&a),
        Ordering::Equal => Ordering::Equal,
        Ordering::Greater => a.cmp_magnitude(&b),
    })
}

/// What stands before the first byte that `is_mark` picks, and behind it; nothing behind where there is none.
fn split_at_byte(text: &[u8], is_mark: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = text.iter().position(|&byte| is_mark(byte)).unwrap_or(text.len());
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, &[]));
    (before, rest.split_first().map_or(&[], |(_, behind)| behind))
}

fn without_front_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

fn without_back_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    digits.get(..digits.len() - zeros).unwrap_or_default()
}

fn length(digits: &[u8]) -> i64 {
    i64::try_from(digits.len()).unwrap_or(EXPONENT_MAX)
}

fn parse_exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let parsed = digits.iter().fold(0_i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit.saturating_sub(b'0'))).min(EXPONENT_MAX)
    });
    if negative { -parsed } else { parsed }
}
