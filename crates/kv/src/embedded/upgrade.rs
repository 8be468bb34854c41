//! Bringing a store of an older format up to date. Each step can be done again after a crash.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use super::{
    segment::sync_dir,
    summed_file::{BLOCK, HEAD, sum_of, sums_path, with_sum},
};
use crate::{Error, error::IoContext};

/// Format 1 had no checksums: they are made of what is there.
pub(crate) fn from_1(folder: &Path) -> Result<(), Error> {
    tracing::info!(folder = %folder.display(), "the store has an older format: checksums are made for it, once");
    for name in ["tree.redb", "large.redb"] {
        let path = folder.join(name);
        if fs::exists(&path).at("look for", &path)? {
            add_sums(&path).at("make checksums for", &path)?;
        }
    }
    sync_dir(folder)
}

fn add_sums(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut sums = BufWriter::new(File::create(sums_path(path))?);
    let (mut blocks, mut block) = (BufReader::with_capacity(64 * BLOCK, &file), [0; BLOCK]);
    for number in 0..file.metadata()?.len() / BLOCK as u64 {
        blocks.read_exact(&mut block)?;
        sums.write_all(&sum_of(number, &block).to_le_bytes())?;
    }
    sums.into_inner()?.sync_all()?;
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, 0)?;
    file.write_all_at(&with_sum(head), 0)?;
    file.sync_all()
}
