//! A toy store for the tests of the simulator itself: `powercut-toy KIND FOLDER`.
//!
//! It appends numbered lines to a log. Of each kind of mistake there is one way that makes it and one that doesn't.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, IoSlice, Result, Write};
use std::path::Path;

use tidegate_testkit::powercut::Marks;

const LINES: u64 = 40;

fn main() -> Result<()> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [kind, folder] = args.as_slice() else { return Err(Error::other("usage: powercut-toy KIND FOLDER")) };
    let folder = Path::new(folder);
    let marks = Marks::new(folder);
    match kind.to_string_lossy().as_ref() {
        "append" => append(folder, &marks, Acknowledge::AfterSync),
        "append-too-early" => append(folder, &marks, Acknowledge::BeforeSync),
        "rename" => replace(folder, &marks, Names::Synced),
        "rename-without-sync" => replace(folder, &marks, Names::Forgotten),
        "everything" => everything(folder),
        "outside" => fs::rename(folder.with_extension("other"), folder.join("inside")),
        "fail" => Err(Error::other("failed as told")),
        _ => Err(Error::other("unknown kind")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Acknowledge {
    BeforeSync,
    AfterSync,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Synced,
    Forgotten,
}

/// Lines of 700 bytes, so that they lie across sectors, each number in all of its line.
fn append(folder: &Path, marks: &Marks, when: Acknowledge) -> Result<()> {
    let mut log = OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    log.sync_all()?;
    File::open(folder)?.sync_all()?;
    for number in 1..=LINES {
        marks.begin(0, number);
        log.write_all(format!("{number:06}").repeat(117).as_bytes())?;
        if when == Acknowledge::BeforeSync {
            marks.acknowledge(0, number);
        }
        log.sync_data()?;
        if when == Acknowledge::AfterSync {
            marks.acknowledge(0, number);
        }
    }
    Ok(())
}

/// Replaces a file by renaming, the number being its content.
fn replace(folder: &Path, marks: &Marks, names: Names) -> Result<()> {
    for number in 1..=LINES {
        marks.begin(0, number);
        let mut next = File::create(folder.join("next"))?;
        next.write_all(number.to_string().as_bytes())?;
        next.sync_all()?;
        fs::rename(folder.join("next"), folder.join("current"))?;
        if names == Names::Synced {
            File::open(folder)?.sync_all()?;
        }
        marks.acknowledge(0, number);
    }
    Ok(())
}

/// All calls that are followed, so that replaying them can be compared with the folder.
fn everything(folder: &Path) -> Result<()> {
    let sub = folder.join("a").join("b");
    fs::create_dir_all(&sub)?;
    fs::write(sub.join("one"), vec![7; 10_000])?;
    let one = OpenOptions::new().write(true).open(sub.join("one"))?;
    one.set_len(5_000)?;
    std::os::unix::fs::FileExt::write_all_at(&one, b"in the middle", 4_090)?;
    one.set_len(9_000)?;
    fs::copy(sub.join("one"), sub.join("copy"))?;
    fs::hard_link(sub.join("copy"), folder.join("link"))?;
    let mut link = OpenOptions::new().append(true).open(folder.join("link"))?;
    let written = link.write_vectored(&[IoSlice::new(b"ta"), IoSlice::new(b"il")])?;
    link.set_len(link.metadata()?.len() - written as u64 + 1)?;
    fs::remove_file(sub.join("one"))?;
    // The kernel may give the new file the inode of the one removed.
    fs::write(sub.join("two"), b"two")?;
    fs::rename(sub.join("two"), folder.join("was-there"))?;
    fs::rename(&sub, folder.join("moved"))?;
    fs::create_dir_all(folder.join("gone").join("deep"))?;
    fs::write(folder.join("gone").join("deep").join("file"), b"x")?;
    fs::remove_dir_all(folder.join("gone"))?;
    fs::write(folder.join("truncated"), b"")
}
