//! Moments, as the shell's clock tells them, and the two ways in which CouchDB writes them.

use std::time::Duration;

/// Milliseconds since 1970, UTC.
///
/// Must not go backwards within one session or scheduler: the shell adds what a monotonic clock counted to the wall time
/// at its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// A moment's parts in the proleptic Gregorian calendar.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    weekday: u64,
    second_of_day: u64,
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Timestamp {
    /// This many milliseconds after the beginning of 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the beginning of 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The moment `wait` later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; nothing if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`: how a checkpoint's history tells times.
    pub fn rfc1123(self) -> String {
        let Civil { year, month, day, weekday, second_of_day } = self.civil();
        let weekday = nth(&WEEKDAYS, weekday);
        let month = nth(&MONTHS, month.saturating_sub(1));
        format!("{weekday}, {day:02} {month} {year:04} {} GMT", clock(second_of_day))
    }

    /// `1994-11-06T08:49:37Z`: how the scheduler tells times.
    pub fn iso8601(self) -> String {
        let Civil { year, month, day, second_of_day, .. } = self.civil();
        format!("{year:04}-{month:02}-{day:02}T{}Z", clock(second_of_day))
    }

    /// Counts in eras of 400 years that begin in March, so that the leap day is a year's last.
    fn civil(self) -> Civil {
        let seconds = self.0 / 1000;
        let days = seconds / 86_400;
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Civil {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            weekday: (days + 4) % 7,
            second_of_day: seconds % 86_400,
        }
    }
}

fn nth(names: &[&'static str], index: u64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}

fn clock(second_of_day: u64) -> String {
    format!("{:02}:{:02}:{:02}", second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, rfc1123: &str, iso8601: &str) {
        let moment = Timestamp::from_millis(seconds * 1000 + 999);
        assert_eq!(moment.rfc1123(), rfc1123);
        assert_eq!(moment.iso8601(), iso8601);
    }

    #[test]
    fn times_are_written_as_couchdb_writes_them() {
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z");
        check(4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59Z");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00Z"); // 2100 has no leap day.
    }

    #[test]
    fn time_does_not_wrap() {
        let last = Timestamp::from_millis(u64::MAX);
        assert_eq!(last.after(Duration::from_secs(1)), last);
        assert_eq!(Timestamp::from_millis(1).since(last), Duration::ZERO);
    }
}
