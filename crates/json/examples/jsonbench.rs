//! Measures the scanner on documents of about 1 KB, beside serde_json. Run with `--release`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_json::{Document, Error, Limits, Members, scan_document};

const ROUNDS: u32 = 300;
const ROUND: Duration = Duration::from_millis(2);

fn main() {
    println!("{:<22}{:>7}{:>10}{:>10}{:>10}  µs, best of {ROUNDS}", "document", "bytes", "scan", "serde", "check");
    for (name, text) in documents() {
        let scan = measure(|| drop(black_box(scan_document(black_box(text.as_bytes()), Limits::default()).unwrap())));
        let value = measure(|| drop(black_box(serde_json::from_slice::<Value>(black_box(text.as_bytes())).unwrap())));
        let check = measure(|| {
            for member in Members::new(black_box(text.as_bytes()), Limits::default()).unwrap() {
                black_box(member.unwrap());
            }
        });
        println!("{name:<22}{:>7}{scan:>10.3}{value:>10.3}{check:>10.3}", text.len());
    }
    let bulk = format!(r#"{{"docs":[{}],"new_edits":false}}"#, vec![contact(); 1000].join(","));
    let per_document = measure(|| read_bulk(&bulk)) / 1000.0;
    println!("{:<22}{:>7}{per_document:>10.3}", "bulk, each of 1000", contact().len());
}

fn read_bulk(text: &str) {
    let mut members = Members::new(black_box(text.as_bytes()), Limits::default()).unwrap();
    while let Some(name) = members.next_name().unwrap() {
        if name == "docs" {
            let each = |_: &[u8], document| {
                black_box::<Document<'_>>(document);
                Ok::<_, Error>(())
            };
            members.documents(each).unwrap();
        }
    }
}

/// Microseconds a call, in the best of the rounds.
fn measure(mut call: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < ROUND {
            (0..16).for_each(|_| call());
            calls += 16;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
    }
    best
}

fn documents() -> Vec<(&'static str, String)> {
    let sorted = serde_json::from_str::<Value>(&contact()).map(sort).unwrap().to_string();
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&contact()).unwrap()).unwrap();
    vec![
        ("contact", contact()),
        ("contact, sorted", sorted),
        ("contact, spaced", contact().replace("\",\"", "\", \"").replace("\":", "\": ")),
        ("contact, pretty", pretty),
        ("one long text", article()),
        ("readings", readings()),
        ("escapes", escapes()),
        ("flat, 30 members", flat()),
    ]
}

fn sort(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name, sort(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sort).collect()),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    }
}

fn contact() -> String {
    concat!(
        r#"{"_id":"contact:7f3a9c52-88e1-4f0b-9d0c-21b7f0c4a1de","_rev":"3-9af8362a1d70822632752c71b4e6bb49","#,
        r#""type":"contact","name":"Amina Wanjiru","date_of_birth":"1987-03-14","sex":"female","phone":"+254700123456","#,
        r#""alternate_phone":"","notes":"Prefers visits in the afternoon; lives behind the blue church.","#,
        r#""parent":{"_id":"b5a1c7f0-2f11-4d39-a4a7-0a5d9f1c3e77","parent":{"_id":"c0ffee00-1111-2222-3333-444455556666","#,
        r#""name":"Kisumu Central"}},"reported_date":1700000000123,"active":true,"visits":[{"date":"2023-01-04","by":"chw-17","#,
        r#""weight":61.5,"ok":true},{"date":"2023-02-11","by":"chw-17","weight":62.25,"ok":true},{"date":"2023-03-09","#,
        r#""by":"chw-04","weight":62.75,"ok":false}],"location":{"lat":-0.09170,"lng":34.76796,"accuracy":12},"#,
        r#""tags":["pregnancy","high-risk","follow-up"],"channels":["area-12","chw-17"],"schema":4,"#,
        r#""created_by":"org.couchdb.user:chw-17","created_from":"android/2.14.0","updated_at":"2023-03-09T14:21:07.512Z","#,
        r#""household":{"size":5,"children":3,"water":"borehole","toilet":"pit latrine"},"muted":null}"#
    )
    .to_owned()
}

fn article() -> String {
    let body = "It was the best of times, it was the worst of times, it was the age of wisdom. ".repeat(10);
    format!(
        r#"{{"_id":"article:1","title":"A tale","author":"Dickens","body":"{body}","published":true,"channels":["x"]}}"#
    )
}

fn readings() -> String {
    let rows: Vec<_> =
        (0..40).map(|n| format!("[{},{}.{}]", 1_700_000_000 + n * 60, 20 + n % 5, n * 7 % 100)).collect();
    format!(r#"{{"_id":"r:1","sensor":"s-17","kind":"temperature","readings":[{}],"channels":["s"]}}"#, rows.join(","))
}

fn escapes() -> String {
    let body = r#"line one\nline \"two\"\tcaf\u00e9 \/ end\n"#.repeat(20);
    format!(r#"{{"_id":"e:1","title":"caf\u00e9","body":"{body}","html":"<b>x<\/b>","channels":["x"]}}"#)
}

fn flat() -> String {
    let members: Vec<_> = (0..30).map(|n| format!(r#""field_{}":"value number {n}""#, n * 17 % 30)).collect();
    format!(r#"{{"_id":"f:1",{}}}"#, members.join(","))
}
