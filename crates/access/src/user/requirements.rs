//! What passwords must be like: `password_regexp`, a list in Erlang's words of regular expressions, each with what to tell
//! whoever has chosen another password. Source: `couch_users_db:validate_password`.

use fancy_regex::Regex;
use serde_json::Value;

use super::parse_members;
use crate::Error;

const REFUSAL: &str = "Password does not conform to requirements.";

/// What new passwords must be like.
#[derive(Clone, Debug)]
pub struct Requirements(Result<Vec<Requirement>, Unreadable>);

#[derive(Clone, Debug)]
struct Requirement {
    pattern: Regex,
    /// What is told besides [`REFUSAL`].
    reason: String,
}

/// The list can't be read: no password is good enough then, as nobody knows what would be.
#[derive(Clone, Copy, Debug)]
struct Unreadable;

/// What stands in the list: text, or texts in braces.
enum Term {
    Text(String),
    Tuple(Vec<String>),
}

impl Default for Requirements {
    fn default() -> Self {
        Self(Ok(Vec::new()))
    }
}

impl Requirements {
    /// The requirements of a list such as `[{".{10,}", "Take ten characters."}, "[A-Z]"]`, which may be empty.
    pub fn parse(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::default();
        }
        let terms = Terms { rest: text.trim() }.list().ok_or(Unreadable);
        Self(terms.and_then(|terms| terms.into_iter().map(requirement).collect()))
    }

    /// Whether the list can be read.
    pub fn is_readable(&self) -> bool {
        self.0.is_ok()
    }

    /// Checks the password in a user's document, if there is a new one.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for one that doesn't fit, [`Error::Forbidden`] when the requirements can't be read.
    pub fn check_document(&self, members: &[u8]) -> Result<(), Error> {
        if matches!(&self.0, Ok(requirements) if requirements.is_empty()) {
            return Ok(());
        }
        match parse_members(members)?.get("password") {
            Some(Value::String(password)) => self.check(password),
            Some(_) | None => Ok(()),
        }
    }

    fn check(&self, password: &str) -> Result<(), Error> {
        let unreadable = |_unreadable: &Unreadable| Error::forbidden("Server cannot hash passwords at this time.");
        for Requirement { pattern, reason } in self.0.as_ref().map_err(unreadable)? {
            // A pattern that takes too long doesn't match.
            if !pattern.is_match(password).unwrap_or(false) {
                let said = if reason.is_empty() { REFUSAL.to_owned() } else { format!("{REFUSAL} {reason}") };
                return Err(Error::bad_request(said));
            }
        }
        Ok(())
    }
}

fn requirement(term: Term) -> Result<Requirement, Unreadable> {
    let texts = match term {
        Term::Text(pattern) => vec![pattern],
        Term::Tuple(texts) => texts,
    };
    let (pattern, reason) = match texts.as_slice() {
        [pattern] => (pattern, String::new()),
        [pattern, reason] => (pattern, reason.clone()),
        _ => return Err(Unreadable),
    };
    Ok(Requirement { pattern: Regex::new(pattern).map_err(|_invalid| Unreadable)?, reason })
}

/// Erlang's terms, as far as the list needs them.
struct Terms<'t> {
    rest: &'t str,
}

impl Terms<'_> {
    /// `[TERM, …]`, and nothing behind but a full stop.
    fn list(mut self) -> Option<Vec<Term>> {
        self.take('[')?;
        let terms = self.until(']', |terms| terms.term())?;
        let rest = self.rest.trim();
        (rest.is_empty() || rest == ".").then_some(terms)
    }

    fn term(&mut self) -> Option<Term> {
        if self.take('{').is_some() {
            return Some(Term::Tuple(self.until('}', Self::text)?));
        }
        self.text().map(Term::Text)
    }

    /// What stands between here and `end`, with commas between.
    fn until<T>(&mut self, end: char, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        if self.take(end).is_some() {
            return Some(items);
        }
        loop {
            items.push(read(self)?);
            if self.take(end).is_some() {
                return Some(items);
            }
            self.take(',')?;
        }
    }

    /// `"TEXT"`, in which a backslash stands before what would mean something else.
    fn text(&mut self) -> Option<String> {
        self.take('"')?;
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        loop {
            match characters.next()?.1 {
                '"' => break,
                '\\' => text.push(escaped(characters.next()?.1)),
                other => text.push(other),
            }
        }
        self.rest = self.rest.get(characters.offset()..)?;
        Some(text)
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(wanted)?;
        Some(())
    }
}

fn escaped(character: char) -> char {
    match character {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        's' => ' ',
        'e' => '\x1b',
        'd' => '\x7f',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: &str, password: &str, expected: Result<(), Error>) {
        let document = format!(r#""name":"ada","password":{}"#, Value::from(password));
        let found = Requirements::parse(rules).check_document(document.as_bytes());
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(|error| error.to_string()), "{rules}");
    }

    #[test]
    fn the_first_that_does_not_fit_is_told() {
        let rules =
            r#"[{".{4,}"}, {"[A-Z]+", "Take a capital."}, {"[a-z]+", ""}, {"\\d+", "Take a digit."}, "[!\.,]"]"#;
        let refused = |reason: &str| Err(Error::bad_request(format!("{REFUSAL}{reason}")));
        check(rules, "abc", refused(""));
        check(rules, "abcd", refused(" Take a capital."));
        check(rules, "ABCD", refused(""));
        check(rules, "aBcd", refused(" Take a digit."));
        check(rules, "aBc1", refused(""));
        check(rules, "aBc1!", Ok(()));
    }

    #[test]
    fn an_empty_list_asks_for_nothing() {
        for rules in ["", " ", "[]", "[ ]."] {
            check(rules, "", Ok(()));
        }
        let rules = Requirements::parse(r#"["x"]"#);
        assert_eq!(rules.check_document(br#""name":"ada""#), Ok(()));
        assert_eq!(rules.check_document(br#""password":null"#), Ok(()));
    }

    #[test]
    fn no_password_fits_what_cannot_be_read() {
        for rules in
            [r#"{{".*"}}"#, r#"[{".*"]"#, r#"[".*""#, r#"["("]"#, r#"[{"a","b","c"}]"#, "[1]", r#"["a"] x"#, "x"]
        {
            check(rules, "good", Err(Error::forbidden("Server cannot hash passwords at this time.")));
            assert!(!Requirements::parse(rules).is_readable(), "{rules}");
        }
    }
}
