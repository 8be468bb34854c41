//! The oracle of the tests on many damaged documents: `jsonfuzz [COUNT] [SEED]`. Panics on the first that differs.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test tool")]

#[path = "../tests/oracle/mod.rs"]
mod oracle;

const SEEDS: &[&str] = &[
    r#"{"_id":"a","_rev":"1-b","b":[1,2.50,-3e+7,{"d":null,"c":true}],"a":"x\ny\u00e9\/","é":{"z":"","y":{}}}"#,
    "{ \"b\" : { \"b\" : 1 , \"a\" : [ ] } ,\r\n\t\"_attachments\" : {\"n\": {\"stub\": true}}, \"\\u0061\" : \"\\ud83d\\ude00\" }",
    r#"{"a":1,"b":{"x":1,"y":[{"q":1,"p":2,"q":3}],"x":2},"a":{"\u0062":0,"b":-0},"\ud800":"\udfff\ud800"}"#,
    r#"{"created_by":"a long enough text for more than one word","created_at":12345678901234567890.0,"created_at":0}"#,
    r#"[{"a":[[[[]]]]},"b",false]"#,
];
const BYTES: &[u8] = b"{}[]\",:\\u0129abdefnrt-+.E \t\n\r_/\x00\x1f\x7f\x80\xc3\xa9\xed\xa0\xf0\xff";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(300_000, |text| text.parse().unwrap());
    let seed: u64 = arguments.next().map_or(1, |text| text.parse().unwrap());
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut accepted = 0_u64;
    for _ in 0..count {
        let text = damaged(&mut random);
        let outcome = std::panic::catch_unwind(|| oracle::check(&text));
        assert!(outcome.is_ok(), "differs (seed {seed}): {:?}", String::from_utf8_lossy(&text));
        accepted += u64::from(tidegate_json::scan_document(&text, tidegate_json::Limits::default()).is_ok());
    }
    println!("{count} texts, {accepted} of them documents: no difference");
}

fn damaged(random: &mut Random) -> Vec<u8> {
    let mut text = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..random.below(4) {
        let (at, byte) = (random.below(text.len().max(1)), BYTES[random.below(BYTES.len())]);
        match random.below(6) {
            0 if !text.is_empty() => drop(text.remove(at)),
            1 => text.insert(at.min(text.len()), byte),
            2 => splice(&mut text, random),
            3 if random.below(4) == 0 => text.truncate(at),
            _ if !text.is_empty() => text[at] = byte,
            _ => {}
        }
    }
    text
}

/// Copies a stretch of a text to another place: repeats names, and puts values where others were.
fn splice(text: &mut Vec<u8>, random: &mut Random) {
    let other = SEEDS[random.below(SEEDS.len())].as_bytes();
    let start = random.below(other.len());
    let end = start + random.below(other.len() - start).min(40);
    let at = random.below(text.len() + 1);
    text.splice(at..at, other[start..end].iter().copied());
}

/// xorshift64*: the same texts for the same seed everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % limit
    }
}
