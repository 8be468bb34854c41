//! Sections of keys and values, as CouchDB's configuration has them.

use std::{collections::BTreeMap, fmt};

/// Values by section and key. All values are text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections(BTreeMap<String, BTreeMap<String, String>>);

/// Changes to [`Sections`]: new values, and `None` for keys that are taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes(BTreeMap<String, BTreeMap<String, Option<String>>>);

impl Changes {
    pub(crate) fn set(&mut self, section: &str, key: &str, value: Option<&str>) {
        self.0.entry(section.to_owned()).or_default().insert(key.to_owned(), value.map(str::to_owned));
    }

    pub(crate) fn apply(&self, sections: &mut Sections) {
        for (section, keys) in &self.0 {
            for (key, value) in keys {
                match value {
                    Some(value) => sections.set(section, key, value),
                    None => sections.remove(section, key),
                };
            }
        }
    }

    /// As a JSON object of objects.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.0)
    }

    pub(crate) fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::from_slice(text)?))
    }
}

/// A value that its key doesn't allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{section}/{key}: {value:?} is not {expected}")]
pub struct BadValue {
    /// The key's section.
    pub section: String,
    /// The key.
    pub key: String,
    /// What stands there.
    pub value: String,
    /// What would be allowed.
    pub expected: Expected,
}

/// What a key's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `true` or `false`.
    Flag,
    /// A whole number, not negative.
    Integer,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Whatever these words say.
    Text(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("`true` or `false`"),
            Self::Integer => f.write_str("a whole number"),
            Self::OneOf(choices) => write!(f, "one of {}", choices.join(", ")),
            Self::Text(what) => f.write_str(what),
        }
    }
}

impl Sections {
    /// The value of a key.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.0.get(section)?.get(key).map(String::as_str)
    }

    /// All keys of a section; none of one that isn't there.
    pub fn section(&self, section: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.get(section).into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The names of all sections, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Sets a key; what it was before.
    pub fn set(&mut self, section: &str, key: &str, value: &str) -> Option<String> {
        self.0.entry(section.to_owned()).or_default().insert(key.to_owned(), value.to_owned())
    }

    /// Takes a key away; what it was before. A section without keys goes with it.
    pub fn remove(&mut self, section: &str, key: &str) -> Option<String> {
        let keys = self.0.get_mut(section)?;
        let value = keys.remove(key);
        if keys.is_empty() {
            self.0.remove(section);
        }
        value
    }

    /// A flag, or what it is where it isn't set.
    ///
    /// # Errors
    /// It is neither `true` nor `false`.
    pub fn flag(&self, section: &str, key: &str, default: Flag) -> Result<Flag, BadValue> {
        match self.get(section, key) {
            None => Ok(default),
            Some("true") => Ok(Flag::On),
            Some("false") => Ok(Flag::Off),
            Some(value) => Err(bad(section, key, value, Expected::Flag)),
        }
    }

    /// A whole number, or what it is where it isn't set. `infinity` is the greatest.
    ///
    /// # Errors
    /// It is no whole number.
    pub fn integer(&self, section: &str, key: &str, default: u64) -> Result<u64, BadValue> {
        let Some(value) = self.get(section, key) else { return Ok(default) };
        if value == "infinity" {
            return Ok(u64::MAX);
        }
        value.trim().parse().map_err(|_invalid| bad(section, key, value, Expected::Integer))
    }

    /// The parts of a list separated by commas, trimmed; none of an empty one.
    pub fn list(&self, section: &str, key: &str) -> Option<Vec<String>> {
        let text = self.get(section, key)?;
        Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }
}

pub(crate) fn bad(section: &str, key: &str, value: &str, expected: Expected) -> BadValue {
    let [section, key, value] = [section, key, value].map(str::to_owned);
    BadValue { section, key, value, expected }
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `true`.
    On,
    /// `false`.
    Off,
}

impl Flag {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(entries: &[(&str, &str, &str)]) -> Sections {
        let mut sections = Sections::default();
        for (section, key, value) in entries {
            sections.set(section, key, value);
        }
        sections
    }

    #[test]
    fn changes_come_before_what_was_there() {
        let mut changes = Changes::default();
        changes.set("a", "y", Some("3"));
        changes.set("a", "x", None);
        changes.set("b", "z", Some("4"));
        let kept = Changes::from_json(&changes.to_json().unwrap()).unwrap();
        let mut all = sections(&[("a", "x", "1"), ("a", "y", "2")]);
        kept.apply(&mut all);
        assert_eq!(all, sections(&[("a", "y", "3"), ("b", "z", "4")]));
    }

    #[test]
    fn values_are_what_their_keys_allow() {
        let sections = sections(&[("a", "flag", "yes"), ("a", "number", "12"), ("a", "list", " b, c ,")]);
        let error = sections.flag("a", "flag", Flag::Off).unwrap_err();
        assert_eq!(error.to_string(), "a/flag: \"yes\" is not `true` or `false`");
        assert_eq!(sections.integer("a", "number", 3), Ok(12));
        assert_eq!(sections.integer("a", "other", 3), Ok(3));
        assert!(sections.integer("a", "flag", 3).is_err());
        assert_eq!(sections.list("a", "list"), Some(vec!["b".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn an_empty_section_is_gone() {
        let mut sections = sections(&[("a", "x", "1")]);
        assert_eq!(sections.remove("a", "x"), Some("1".to_owned()));
        assert_eq!(sections.remove("a", "x"), None);
        assert_eq!(sections.names().count(), 0);
    }
}
