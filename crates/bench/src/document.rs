//! The documents every scenario writes: 1,021 bytes of JSON each, made from a number, so that none need be kept.

use std::io::Write;

/// The size of a document's JSON without `_id`.
pub const BODY_BYTES: usize = 1021;

const WORDS: [&str; 32] = [
    "household",
    "visited",
    "today",
    "mother",
    "reports",
    "fever",
    "since",
    "Tuesday",
    "child",
    "eats",
    "well",
    "referred",
    "clinic",
    "follow",
    "up",
    "in",
    "seven",
    "days",
    "water",
    "treated",
    "nets",
    "hung",
    "vaccines",
    "complete",
    "weight",
    "measured",
    "twice",
    "sample",
    "taken",
    "no",
    "danger",
    "signs",
];

/// A well-mixed number for every number (SplitMix64): a bijection, so distinct numbers stay distinct.
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The id of document `number`: 16 hexadecimal digits in no order, as devices make them.
pub fn id(number: u64) -> String {
    format!("{:016x}", mix(number))
}

/// Appends the JSON of document `number`, without `_id`: [`BODY_BYTES`] bytes.
pub fn write_body(number: u64, json: &mut Vec<u8>) {
    json.push(b'{');
    write_members(number, json);
}

/// Appends the JSON of document `number` with its `_id`, as `_bulk_docs` takes it.
pub fn write_with_id(number: u64, json: &mut Vec<u8>) {
    json.extend_from_slice(b"{\"_id\":\"");
    json.extend_from_slice(id(number).as_bytes());
    json.extend_from_slice(b"\",");
    write_members(number, json);
}

/// Appends a whole `_bulk_docs` body of the documents `numbers`.
pub fn write_batch(numbers: std::ops::Range<u64>, json: &mut Vec<u8>) {
    json.extend_from_slice(b"{\"docs\":[");
    for number in numbers {
        if !json.ends_with(b"[") {
            json.push(b',');
        }
        write_with_id(number, json);
    }
    json.extend_from_slice(b"]}");
}

/// All between the braces and the closing one: the size counts one opening brace before.
fn write_members(number: u64, json: &mut Vec<u8>) {
    let start = json.len();
    let random = mix(number ^ 0xD0C5);
    let pick = |shift: u32, below: u64| (random >> shift) % below;
    let written = write!(
        json,
        concat!(
            r#""type":"visit","version":{},"patient":{{"name":"Amina {:04}","born":"{}-{:02}-{:02}","sex":"f"}},"#,
            r#""household":"h{:016x}","recorded_at":"2026-11-{:02}T{:02}:{:02}:00.000Z","worker":"chw-{:03}","#,
            r#""location":{{"lat":{}.{:06},"lon":{}.{:06},"accuracy":{}}},"#,
            r#""vitals":{{"temperature":3{}.{},"pulse":{},"weight":{}.{},"muac":1{}.{}}},"#,
            r#""symptoms":["fever","cough","diarrhoea"],"danger_signs":[],"pregnant":false,"next_visit":null,"#,
            r#""medication":[{{"name":"amoxicillin","mg":250,"days":5}},{{"name":"zinc","mg":20,"days":10}}],"#,
            r#""notes":""#
        ),
        number % 9 + 1,
        pick(0, 10_000),
        1980 + pick(3, 30),
        1 + pick(5, 12),
        1 + pick(7, 28),
        random,
        1 + pick(9, 28),
        pick(11, 24),
        pick(13, 60),
        pick(15, 1000),
        pick(17, 80),
        pick(19, 1_000_000),
        pick(21, 80),
        pick(23, 1_000_000),
        3 + pick(25, 30),
        6 + pick(27, 4),
        pick(29, 10),
        60 + pick(31, 90),
        3 + pick(33, 90),
        pick(35, 10),
        pick(37, 10),
        pick(39, 10),
    );
    debug_assert!(written.is_ok(), "writing to memory doesn't fail");
    write_notes(random, start + BODY_BYTES - 3, json);
    json.extend_from_slice(b"\"}");
}

/// Words up to exactly `end`.
fn write_notes(random: u64, end: usize, json: &mut Vec<u8>) {
    let mut state = random;
    while json.len() < end {
        state = mix(state);
        let index = usize::try_from(state % 32).unwrap_or_default();
        json.extend_from_slice(WORDS.get(index).unwrap_or(&"visit").as_bytes());
        json.push(b' ');
    }
    json.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_json_of_one_size() {
        for number in (0..1000).chain([u64::MAX]) {
            let mut json = Vec::new();
            write_body(number, &mut json);
            assert_eq!(json.len(), BODY_BYTES, "{}", String::from_utf8_lossy(&json));
            let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(value["type"], "visit");
        }
    }

    #[test]
    fn a_batch_holds_its_documents() {
        let mut json = Vec::new();
        write_batch(5..8, &mut json);
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let ids: Vec<_> = value["docs"].as_array().unwrap().iter().map(|doc| doc["_id"].clone()).collect();
        assert_eq!(ids, [id(5), id(6), id(7)]);
    }
}
