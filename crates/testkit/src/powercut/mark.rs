//! Marks: how a workload tells the recorder what it has been promised.
//!
//! A mark is an attempt to open a file below `.powercut` in the recorded folder: no C interface is needed, the preload
//! library logs the attempt in order with the file changes, and the file never exists, recorded or not.
//!
//! Transactions are numbered from 1 in independent *lanes* (one per writer), each lane in order.

use std::fs::File;
use std::path::{Path, PathBuf};

/// Makes marks from inside the workload. Cheap; harmless when nothing records.
#[derive(Clone, Debug)]
pub struct Marks {
    folder: PathBuf,
}

impl Marks {
    /// Marks for a workload that works below `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { folder: root.join(".powercut") }
    }

    /// The engine is about to be asked to commit transaction `number`: from here on it may be found after a cut.
    pub fn begin(&self, lane: u32, number: u64) {
        self.make(&format!("begin/{lane}/{number}"));
    }

    /// The engine has promised that transaction `number` and all before it in the lane are durable.
    pub fn acknowledge(&self, lane: u32, number: u64) {
        self.make(&format!("ack/{lane}/{number}"));
    }

    /// The engine, just opened, shows the lane up to `number`. What was shown counts as acknowledged.
    pub fn seen(&self, lane: u32, number: u64) {
        self.make(&format!("seen/{lane}/{number}"));
    }

    /// The engine is open, and every lane has been looked at.
    pub fn opened(&self) {
        self.make("opened");
    }

    fn make(&self, text: &str) {
        // The file never exists; only the attempt counts.
        drop(File::open(self.folder.join(text)));
    }
}

/// A mark as found in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Begin { lane: u32, number: u64 },
    Acknowledge { lane: u32, number: u64 },
    Seen { lane: u32, number: u64 },
    Opened,
}

impl Mark {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "opened" {
            return Some(Self::Opened);
        }
        let (kind, rest) = text.split_once('/')?;
        let (lane, number) = rest.split_once('/')?;
        let (lane, number) = (lane.parse().ok()?, number.parse().ok()?);
        match kind {
            "begin" => Some(Self::Begin { lane, number }),
            "ack" => Some(Self::Acknowledge { lane, number }),
            "seen" => Some(Self::Seen { lane, number }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back() {
        assert_eq!(Mark::parse("opened"), Some(Mark::Opened));
        assert_eq!(Mark::parse("begin/3/17"), Some(Mark::Begin { lane: 3, number: 17 }));
        assert_eq!(Mark::parse("ack/0/1"), Some(Mark::Acknowledge { lane: 0, number: 1 }));
        assert_eq!(Mark::parse("seen/0/0"), Some(Mark::Seen { lane: 0, number: 0 }));
        for bad in ["", "ack", "ack/1", "ack/x/1", "nod/1/1"] {
            assert_eq!(Mark::parse(bad), None, "{bad}");
        }
    }
}
