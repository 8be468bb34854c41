//! The machine a measurement was made on, described for readers elsewhere.

use std::{fs, path::Path};

use serde::Serialize;

/// What figures depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores this process may use.
    pub cores: usize,
    /// Memory in whole GiB.
    pub memory_gib: u64,
    /// The kernel's name and release.
    pub kernel: String,
    /// The filesystem of the servers' folders, with a word on its journal.
    pub filesystem: String,
}

impl Machine {
    /// This machine, with servers' folders below `folder`.
    pub fn describe(folder: &Path) -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let meminfo = read("/proc/meminfo");
        let kilobytes = field(&meminfo, "MemTotal").split(' ').next().and_then(|text| text.parse::<u64>().ok());
        Self {
            processor: field(&cpuinfo, "model name").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kilobytes.unwrap_or_default().div_ceil(1024 * 1024),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            filesystem: filesystem(&read("/proc/self/mountinfo"), folder),
        }
    }

    /// One paragraph.
    pub fn paragraph(&self) -> String {
        let Self { processor, cores, memory_gib, kernel, filesystem } = self;
        format!("{processor}, {cores} cores, {memory_gib} GiB of memory, {kernel}, {filesystem}.")
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_name, value)| value.trim())
}

/// The type of the mount that holds `folder`, from lines `id parent dev root MOUNT options… - TYPE SOURCE options`.
fn filesystem(mountinfo: &str, folder: &Path) -> String {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        Some((place.split(' ').nth(4)?, kind.next()?, kind.next()?))
    });
    let holding = mounts.filter(|(place, ..)| folder.starts_with(place)).max_by_key(|(place, ..)| place.len());
    let Some((_place, kind, source)) = holding else { return "an unknown filesystem".to_owned() };
    match (kind, source.rsplit('/').next()) {
        ("ext4", Some(device)) if !has_journal(device) => {
            "ext4 without a journal (an fsync is cheaper than on a usual disk)".to_owned()
        }
        (_, _) => kind.to_owned(),
    }
}

fn has_journal(device: &str) -> bool {
    let journals = fs::read_dir("/proc/fs/jbd2").into_iter().flatten().flatten();
    journals.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{device}-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "1 0 8:1 / / rw - xfs /dev/a rw\n2 1 0:5 / /tmp rw shared:1 - tmpfs tmpfs rw\n";
        assert_eq!(filesystem(mounts, Path::new("/tmp/x")), "tmpfs");
        assert_eq!(filesystem(mounts, Path::new("/tmpx")), "xfs");
        assert_eq!(filesystem("", Path::new("/")), "an unknown filesystem");
    }
}
