//! How the rows of a feed are put on the wire.

use super::params::FeedKind;
use crate::sequence::WireSeq;

/// The shape of a feed: what stands before, between and behind its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Frame {
    /// One JSON object, a row a line.
    Object,
    /// A JSON object a line.
    Lines,
    /// Server-sent events.
    Events,
}

impl Frame {
    pub(crate) fn of(feed: FeedKind) -> Self {
        match feed {
            FeedKind::Normal | FeedKind::Longpoll => Self::Object,
            FeedKind::Continuous => Self::Lines,
            FeedKind::EventSource => Self::Events,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Object | Self::Lines => "application/json",
            Self::Events => "text/event-stream",
        }
    }

    pub(crate) fn cache_control(self) -> &'static str {
        match self {
            Self::Object | Self::Lines => "must-revalidate",
            Self::Events => "no-cache",
        }
    }

    /// Before the first row; sent at once, as clients wait for it.
    pub(crate) fn head(self) -> &'static [u8] {
        match self {
            Self::Object => b"{\"results\":[\n",
            Self::Lines | Self::Events => b"",
        }
    }

    /// Before a row that comes after another.
    pub(crate) fn separator(self) -> &'static [u8] {
        match self {
            Self::Object => b",\n",
            Self::Lines | Self::Events => b"",
        }
    }

    pub(crate) fn row_start(self) -> &'static [u8] {
        match self {
            Self::Object | Self::Lines => b"",
            Self::Events => b"data: ",
        }
    }

    /// Behind a row with this sequence.
    pub(crate) fn row_end(self, seq: WireSeq, out: &mut Vec<u8>) {
        match self {
            Self::Object => {}
            Self::Lines => out.push(b'\n'),
            Self::Events => out.extend_from_slice(format!("\nid: \"{seq}\"\n\n").as_bytes()),
        }
    }

    pub(crate) fn heartbeat(self) -> &'static [u8] {
        match self {
            Self::Object | Self::Lines => b"\n",
            Self::Events => b"event: heartbeat\ndata: \n\n",
        }
    }

    /// Behind the last row of what happened to databases, of which nobody says how much there is to come.
    pub(crate) fn end_of_db_updates(self, last_seq: WireSeq, out: &mut Vec<u8>) {
        let end = match self {
            Self::Object => format!("\n],\n\"last_seq\":\"{last_seq}\"}}\n"),
            Self::Lines => format!("{{\"last_seq\":\"{last_seq}\"}}\n"),
            Self::Events => String::new(),
        };
        out.extend_from_slice(end.as_bytes());
    }

    /// Behind the last row.
    pub(crate) fn end(self, last_seq: WireSeq, pending: u64, out: &mut Vec<u8>) {
        let end = match self {
            Self::Object => format!("\n],\n\"last_seq\":\"{last_seq}\",\"pending\":{pending}}}\n"),
            Self::Lines => format!("{{\"last_seq\":\"{last_seq}\",\"pending\":{pending}}}\n"),
            Self::Events => String::new(),
        };
        out.extend_from_slice(end.as_bytes());
    }
}
