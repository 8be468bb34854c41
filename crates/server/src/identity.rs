//! Who this server is: an id that stays with its data.

use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

const FILE: &str = "server-id";

/// The server's id, 32 hexadecimal digits, made at the first start and kept beside the data.
pub(crate) fn load(data: &Path) -> Result<String> {
    if let Some(id) = get(data) {
        return Ok(id);
    }
    let id = format!("{:032x}", rand::random::<u128>());
    write(data, &id).with_context(|| format!("could not write {}", data.join(FILE).display()))?;
    Ok(id)
}

/// The server's id, if it has one.
pub(crate) fn get(data: &Path) -> Option<String> {
    let text = fs::read_to_string(data.join(FILE)).ok()?;
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// Written beside and renamed, so that a crash leaves the old or the new.
pub(crate) fn write(data: &Path, id: &str) -> std::io::Result<()> {
    let fresh = data.join(format!("{FILE}.new"));
    let mut file = File::create(&fresh)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    fs::rename(&fresh, data.join(FILE))?;
    File::open(data)?.sync_all()
}
