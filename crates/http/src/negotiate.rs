//! What a client accepts: media types with weights, and gzip.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING};

use crate::media::{MediaType, parameters};

/// A weight of 0 to 1, in thousandths.
type Weight = u16;

/// The media ranges of an `Accept` header, most wanted first (equal weights in the order sent).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// `None` when the header is absent.
    ranges: Option<Vec<MediaRange>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct MediaRange {
    /// Lower case.
    essence: String,
    weight: Weight,
}

/// Which kind of range lets a media type through. The greater, the more the client meant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// There was no `Accept` header.
    NoHeader,
    /// `*/*`, which many clients send without meaning anything.
    Anything,
    /// `type/*`.
    AnySubtype,
    /// The type itself.
    Named,
}

impl Accept {
    /// Reads the `Accept` headers of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(ACCEPT).iter().peekable();
        if values.peek().is_none() {
            return Self { ranges: None };
        }
        let texts = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
        Self::from_ranges(texts.flat_map(parse_ranges).collect())
    }

    /// Reads the value of one header. What can't be read is skipped.
    pub fn parse(value: &str) -> Self {
        Self::from_ranges(parse_ranges(value).collect())
    }

    /// Whether the client takes `essence` (`type/subtype`), and why; `None` if it doesn't.
    pub fn via(&self, essence: &str) -> Option<Via> {
        self.judge(essence).filter(|(_, _, weight)| *weight > 0).map(|(via, ..)| via)
    }

    /// Whether the client takes `essence` for whatever reason.
    pub fn accepts(&self, essence: &str) -> bool {
        self.via(essence).is_some()
    }

    /// Which of `offers` the client wants most, with why. By weight, then the place in the header, then the place in
    /// `offers`.
    pub fn choose<'o>(&self, offers: &[&'o str]) -> Option<(&'o str, Via)> {
        let judged = offers.iter().filter_map(|offer| Some((*offer, self.judge(offer)?)));
        let wanted = judged.filter(|(_, (_, _, weight))| *weight > 0);
        // The ranges stand in order of weight, so the place says it all.
        let best = wanted.min_by_key(|(_, (_, place, _))| *place);
        best.map(|(offer, (via, ..))| (offer, via))
    }

    fn from_ranges(mut ranges: Vec<MediaRange>) -> Self {
        ranges.sort_by_key(|range| std::cmp::Reverse(range.weight));
        Self { ranges: Some(ranges) }
    }

    /// The most specific range for `essence`, its place and its weight, 0 included.
    fn judge(&self, essence: &str) -> Option<(Via, usize, Weight)> {
        let Some(ranges) = &self.ranges else { return Some((Via::NoHeader, 0, 1000)) };
        let matching =
            ranges.iter().enumerate().filter_map(|(place, range)| Some((range.via(essence)?, place, range.weight)));
        matching.max_by_key(|(via, place, _)| (*via, std::cmp::Reverse(*place)))
    }
}

impl MediaRange {
    fn via(&self, essence: &str) -> Option<Via> {
        match self.essence.as_str() {
            "*/*" => Some(Via::Anything),
            own if own.eq_ignore_ascii_case(essence) => Some(Via::Named),
            own if own.ends_with("/*") => MediaType::parse(essence)?.is(own).then_some(Via::AnySubtype),
            _ => None,
        }
    }
}

/// Whether a request takes gzip: named or under `*`, and not with weight 0.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let texts: Vec<&str> = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok()).collect();
    let weight = |wanted: &[&str]| {
        let codings = texts.iter().flat_map(|text| split_weighted(text));
        let mut wanted = codings.filter(|(coding, _)| wanted.iter().any(|name| coding.eq_ignore_ascii_case(name)));
        wanted.next().map(|(_, weight)| weight)
    };
    weight(&["gzip", "x-gzip"]).or_else(|| weight(&["*"])).is_some_and(|weight| weight > 0)
}

fn parse_ranges(value: &str) -> impl Iterator<Item = MediaRange> {
    split_weighted(value).filter_map(|(essence, weight)| {
        // `*` alone is no media range, but old Java clients send it.
        let essence = if essence == "*" { "*/*" } else { MediaType::parse(essence)?.essence() };
        Some(MediaRange { essence: essence.to_ascii_lowercase(), weight })
    })
}

/// The items of a comma-separated list with their `q`; an unreadable `q` is 0. Other parameters are cut off.
fn split_weighted(value: &str) -> impl Iterator<Item = (&str, Weight)> {
    value.split(',').filter_map(|item| {
        let (name, rest) = item.split_once(';').unwrap_or((item, ""));
        let mut weights = parameters(rest).filter(|(name, _)| name.eq_ignore_ascii_case("q"));
        let weight = weights.next().map_or(1000, |(_, text)| parse_weight(&text).unwrap_or(0));
        let name = name.trim();
        (!name.is_empty()).then_some((name, weight))
    })
}

/// `0.25` is 250; at most three decimals count.
fn parse_weight(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
        return None;
    }
    let thousandths: String = decimals.chars().chain("000".chars()).take(3).collect();
    let weight = whole.parse::<Weight>().ok()?.checked_mul(1000)?.checked_add(thousandths.parse().ok()?)?;
    Some(weight.min(1000))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const JSON: &str = "application/json";
    const MIXED: &str = "multipart/mixed";

    #[track_caller]
    fn check_via(value: &str, json: Option<Via>, mixed: Option<Via>) {
        let accept = Accept::parse(value);
        assert_eq!((accept.via(JSON), accept.via(MIXED)), (json, mixed), "{value}");
    }

    #[track_caller]
    fn check_choice(value: &str, expected: Option<&str>) {
        assert_eq!(Accept::parse(value).choose(&[MIXED, JSON]).map(|(offer, _)| offer), expected, "{value}");
    }

    #[test]
    fn why_a_type_is_accepted() {
        check_via("*/*", Some(Via::Anything), Some(Via::Anything));
        check_via("*", Some(Via::Anything), Some(Via::Anything));
        check_via("application/json", Some(Via::Named), None);
        check_via("Application/JSON;charset=utf-8, multipart/*", Some(Via::Named), Some(Via::AnySubtype));
        check_via("application/json;q=0, */*", None, Some(Via::Anything));
        check_via("multipart/*;q=0, multipart/mixed", None, Some(Via::Named));
        check_via("text/html", None, None);
        check_via("", None, None);
        check_via("garbage, , /x", None, None);
        assert_eq!(Accept::of(&HeaderMap::new()).via(JSON), Some(Via::NoHeader));
    }

    #[test]
    fn what_is_wanted_first() {
        check_choice("*/*", Some(MIXED));
        check_choice("application/json, multipart/mixed", Some(JSON));
        check_choice("multipart/mixed, application/json", Some(MIXED));
        check_choice("multipart/mixed;q=0.5, application/json;q=0.501", Some(JSON));
        check_choice("multipart/*;q=0.3, application/json; q=0.2, */*;q=0.1", Some(MIXED));
        check_choice("application/json, */*", Some(JSON));
        check_choice("multipart/mixed;q=0, */*;q=0.1", Some(JSON));
        check_choice("text/html", None);
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, HeaderValue::from_static("text/html"));
        headers.append(ACCEPT, HeaderValue::from_static("application/json"));
        assert!(Accept::of(&headers).accepts(JSON));
        assert!(!Accept::of(&headers).accepts(MIXED));
    }

    #[test]
    fn weights() {
        for (text, weight) in
            [("1", 1000), ("0", 0), ("0.5", 500), ("0.1239", 123), ("1.000", 1000), ("7", 1000), ("0.", 0)]
        {
            assert_eq!(parse_weight(text), Some(weight), "{text}");
        }
        for text in ["", ".5", "x", "-1", "0.x", "99999"] {
            assert_eq!(parse_weight(text), None, "{text}");
        }
    }

    #[test]
    fn gzip_or_not() {
        let check = |value: &'static str, expected: bool| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        };
        check("gzip", true);
        check("deflate, GZIP;q=0.1", true);
        check("x-gzip", true);
        check("*", true);
        check("gzip;q=0", false);
        check("gzip;q=0, *", false);
        check("*;q=0", false);
        check("identity", false);
        check("", false);
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
