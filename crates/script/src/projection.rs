//! The part of a document that a function reads.

use tidegate_json::{Limits, Members, write_string};

use crate::Error;

/// Deeper texts end in [`Error::Stack`] when they are parsed.
const LIMITS: Limits = Limits { depth_max: 1 << 20 };

/// How a program takes one of its documents; it learns by being run.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// The members the function has read.
    names: Vec<String>,
    /// A bit for each of them: see [`bit`].
    bits: u64,
    /// Whether it is proved that the function reads these and nothing else.
    is_proved: bool,
    /// Whether documents are better parsed whole: the function looks at all of them, or at many members.
    is_whole: bool,
}

/// How many members are worth being picked one by one.
const NAMES_MAX: usize = 32;

impl Slot {
    /// For a function that reads these members and nothing else, if that is proved.
    pub(crate) fn new(proved: Option<Vec<String>>) -> Self {
        let mut slot = Self { is_proved: proved.is_some(), ..Self::default() };
        for name in proved.into_iter().flatten() {
            slot.learn(Some(name));
        }
        slot
    }

    pub(crate) fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// The function has read the member `name`; or, without a name, has looked at whole documents often.
    pub(crate) fn learn(&mut self, name: Option<String>) {
        match name {
            Some(name) if self.names.len() < NAMES_MAX => {
                self.bits |= bit(&name);
                self.names.push(name);
            }
            Some(_) | None => self.is_whole = true,
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Writes those members of the object `text` that the function reads, as an object; `false` if it isn't an object.
    ///
    /// # Errors
    /// [`Error::Input`] when `text` isn't JSON.
    pub(crate) fn project(&self, text: &[u8], into: &mut Vec<u8>) -> Result<bool, Error> {
        into.clear();
        let mut members = match Members::new(text, LIMITS) {
            Ok(members) => members,
            Err(tidegate_json::Error::NotAnObject { .. }) => return Ok(false),
            Err(fault) => return Err(input(fault)),
        };
        into.push(b'{');
        while let Some(name) = members.next_name().map_err(input)? {
            if self.bits & bit(&name) == 0 || !self.names.iter().any(|read| *read == *name) {
                continue;
            }
            let value = members.value().map_err(input)?;
            if into.len() > 1 {
                into.push(b',');
            }
            write_string(into, &name);
            into.push(b':');
            into.extend_from_slice(value);
        }
        into.push(b'}');
        Ok(true)
    }
}

/// Tells most names apart without a look at each of those read: one of 64 bits by length, first and last byte.
fn bit(name: &str) -> u64 {
    let byte = |at: Option<&u8>| at.copied().map_or(0, u32::from);
    let bytes = name.as_bytes();
    let mixed = byte(bytes.first()).wrapping_mul(7) ^ byte(bytes.last()).wrapping_mul(29);
    let length = u32::from(bytes.len().to_le_bytes()[0]);
    1 << ((mixed ^ mixed >> 6).wrapping_add(length) & 63)
}

fn input(_: tidegate_json::Error) -> Error {
    Error::Input
}
