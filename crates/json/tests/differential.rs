//! The scanner beside serde_json: the same texts accepted, the same values found.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use serde_json::de::IgnoredAny;
use tidegate_json::{Document, Error, Limits, Members, read_string, scan_document, split_array, write_string};
