//! Takes what is served of Swagger UI out of the archive that its crate is.
//!
//! A zip archive holds of a file what a gzip stream has between its head and its foot, and the sums of the foot as well:
//! nothing is unpacked, here or later.

use std::{env, error::Error, fs, path::PathBuf};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

/// What becomes a gzip stream of the same name.
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

/// The head of a gzip stream without a name or a time.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
/// What a list of an archive's files ends with, and each of its entries begins with.
const END: [u8; 4] = *b"PK\x05\x06";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const DEFLATED: u16 = 8;

/// What an archive's list says of a file.
struct Entry<'a> {
    name: &'a str,
    method: u16,
    crc: &'a [u8],
    packed_bytes: usize,
    bytes: &'a [u8],
    place: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo says where")?);
    let entries = entries(ARCHIVE).ok_or("the archive has no list of its files")?;
    for file in FILES {
        let path = format!("/dist/{file}");
        let entry = entries.iter().find(|entry| entry.name.ends_with(&path)).ok_or_else(|| format!("no {file}"))?;
        let packed = entry.packed(ARCHIVE).ok_or_else(|| format!("{file} is cut"))?;
        if entry.method != DEFLATED {
            return Err(format!("{file} is not deflated").into());
        }
        fs::write(folder.join(format!("{file}.gz")), [&GZIP_HEAD, packed, entry.crc, entry.bytes].concat())?;
    }
    Ok(())
}

/// The files of a zip archive. Source: APPNOTE.TXT of PKWARE, 4.3.
fn entries(archive: &[u8]) -> Option<Vec<Entry<'_>>> {
    let end = archive.windows(END.len()).rposition(|window| window == END)?;
    let mut rest = archive.get(number(archive, end + 16, 4)?..end)?;
    let mut entries = Vec::new();
    while rest.starts_with(&ENTRY) {
        let [name, extra, comment] = [28, 30, 32].map(|at| number(rest, at, 2));
        let name_end = 46 + name?;
        entries.push(Entry {
            name: str::from_utf8(rest.get(46..name_end)?).ok()?,
            method: u16::try_from(number(rest, 10, 2)?).ok()?,
            crc: rest.get(16..20)?,
            packed_bytes: number(rest, 20, 4)?,
            bytes: rest.get(24..28)?,
            place: number(rest, 42, 4)?,
        });
        rest = rest.get(name_end + extra? + comment?..)?;
    }
    Some(entries)
}

impl Entry<'_> {
    /// The deflated file.
    fn packed<'a>(&self, archive: &'a [u8]) -> Option<&'a [u8]> {
        let begin = self.place + 30 + number(archive, self.place + 26, 2)? + number(archive, self.place + 28, 2)?;
        archive.get(begin..begin + self.packed_bytes)
    }
}

/// A number as archives have them, the least byte first.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + width)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}
