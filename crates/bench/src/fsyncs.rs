//! How often a server has waited for the disk: by its own count, or by the disk's.

use std::{fs, net::SocketAddr, os::unix::fs::MetadataExt, path::Path};

use crate::client::{Connection, Request};

/// The count that our own server shows.
const METRIC: &str = "tidegate_storage_log_syncs";

/// Where fsyncs are counted.
#[derive(Debug, Clone)]
pub enum Fsyncs {
    /// In our own server's metrics, at this address: the commit log's alone.
    Metrics(SocketAddr),
    /// In the kernel's statistics of the disk with these numbers: each fsync is a flush there. The whole machine's, so
    /// other programs must rest meanwhile.
    Disk(String),
}

impl Fsyncs {
    /// The count of the disk that holds `folder`, if the kernel keeps one.
    pub fn of_disk(folder: &Path) -> Option<Self> {
        let device = fs::metadata(folder).ok()?.dev();
        let numbers = format!("{} {}", rustix::fs::major(device), rustix::fs::minor(device));
        flush_count(&disk_statistics()?, &numbers).map(|_count| Self::Disk(numbers))
    }

    /// How many so far.
    pub async fn count(&self) -> Option<u64> {
        match self {
            Self::Metrics(address) => {
                let mut connection = Connection::open(*address).await.ok()?;
                let answer = connection.request(Request::new("GET", "/metrics")).await.ok()?;
                metric(&String::from_utf8_lossy(&answer.body))
            }
            Self::Disk(numbers) => flush_count(&disk_statistics()?, numbers),
        }
    }
}

fn disk_statistics() -> Option<String> {
    fs::read_to_string("/proc/diskstats").ok()
}

fn metric(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(METRIC)?.trim().parse().ok())
}

/// The 19th field of the disk's line: flush requests completed.
fn flush_count(statistics: &str, numbers: &str) -> Option<u64> {
    let line = statistics.lines().find(|line| {
        let mut fields = line.split_whitespace();
        numbers.split(' ').all(|number| fields.next() == Some(number))
    })?;
    line.split_whitespace().nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found() {
        let disks = " 7 0 loop0 0 0\n 254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 333 374\n";
        assert_eq!(flush_count(disks, "254 0"), Some(333));
        assert_eq!(flush_count(disks, "254 1"), None);
        let metrics = format!("# HELP {METRIC} Times.\n# TYPE {METRIC} gauge\n{METRIC} 12\n{METRIC}_other 13\n");
        assert_eq!(metric(&metrics), Some(12));
    }
}
