//! When a document goes, as functions say it: seconds, a moment, or a date.

use crate::Expiry;

/// Numbers up to this many seconds count from the write, greater ones from 1970. Source: Couchbase's document expiry.
const AFTER_MAX: u64 = 30 * DAY;
const DAY: u64 = 86_400;

impl Expiry {
    /// Reads a number of seconds, or a date of RFC 3339; `None` for anything else, also for what was before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        parse_expiry(text)
    }
}

pub(crate) fn parse_expiry(text: &str) -> Option<Expiry> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(number) => seconds(number),
        Err(_) => date(text).map(Expiry::At),
    }
}

fn seconds(number: f64) -> Option<Expiry> {
    // As text, for a float has no lossless way to an integer. What is no number or too great doesn't parse.
    let seconds: u64 = format!("{:.0}", number.trunc()).parse().ok()?;
    match u32::try_from(seconds) {
        Ok(after) if seconds <= AFTER_MAX => Some(Expiry::After(after)),
        Ok(_) | Err(_) => Some(Expiry::At(seconds)),
    }
}

/// `2030-01-02T03:04:05Z`, with a fraction, which is dropped, or an offset such as `+02:00`.
fn date(text: &str) -> Option<u64> {
    let (day, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let is_valid = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && !fraction.is_empty()
        && fraction.bytes().all(|digit| digit.is_ascii_digit());
    if !is_valid {
        return None;
    }
    let at = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    u64::try_from(at).ok()
}

/// Seconds that the clock of `zone` is ahead.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, clock) = zone.split_at_checked(1)?;
    let [hours, minutes] = numbers(clock, ':', [2, 2])?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let ahead = hours * 3600 + minutes * 60;
    Some(if sign == "-" { -ahead } else { ahead })
}

/// Numbers of so many digits.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut all = [0; N];
    for (number, digits) in all.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|each| each.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(all)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day; negative before.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let earlier = year - 1;
    let years = earlier * 365 + earlier / 4 - earlier / 100 + earlier / 400;
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    years + months + day - 1 - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Expiry>) {
        assert_eq!(parse_expiry(text), expected, "{text}");
    }

    #[test]
    fn numbers_are_offsets_or_moments() {
        check("0", Some(Expiry::After(0)));
        check("60", Some(Expiry::After(60)));
        check("60.9", Some(Expiry::After(60)));
        check(" 60 ", Some(Expiry::After(60)));
        check("2592000", Some(Expiry::After(2_592_000)));
        check("2592001", Some(Expiry::At(2_592_001)));
        check("1893456000", Some(Expiry::At(1_893_456_000)));
        check("1e11", Some(Expiry::At(100_000_000_000)));
        for nonsense in ["-1", "NaN", "Infinity", "1e300", "", "soon"] {
            check(nonsense, None);
        }
    }

    #[test]
    fn dates_are_moments() {
        let at = |seconds| Some(Expiry::At(seconds));
        check("1970-01-01T00:00:00Z", at(0));
        check("2030-01-01T00:00:00Z", at(1_893_456_000));
        check("2030-01-01T00:00:00.999z", at(1_893_456_000));
        check("2030-01-01T02:30:00+02:30", at(1_893_456_000));
        check("2029-12-31T23:00:00-01:00", at(1_893_456_000));
        check("2000-02-29T12:00:00Z", at(951_825_600));
        check("2024-12-31T23:59:59Z", at(1_735_689_599));
        for nonsense in [
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-02-30T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-1-01T00:00:00Z",
            "2030-01-01T24:00:00Z",
            "2030-01-01T00:00:00+2:00",
            "2030-01-01T00:00:00.Z",
            "1969-12-31T23:59:59Z",
            "2030-01-01T00:00:00Zx",
        ] {
            check(nonsense, None);
        }
    }
}
