//! `chttpd/config_whitelist`: which keys may be changed over HTTP, if not all.
//!
//! An Erlang list of pairs, such as `[{chttpd,config_whitelist}, {"cors",<<"origins">>}]`. What isn't such a pair allows
//! nothing; the list itself can always be changed.

use super::{Refusal, Sections};

const PLACE: (&str, &str) = ("chttpd", "config_whitelist");

/// Whether the list lets this key be changed.
pub(crate) fn check(sections: &Sections, section: &str, key: &str) -> Result<(), Refusal> {
    let Some(list) = sections.get(PLACE.0, PLACE.1) else { return Ok(()) };
    if (section, key) == PLACE || pairs(list).any(|pair| pair == (section, key)) {
        Ok(())
    } else {
        Err(Refusal::NotListed)
    }
}

/// The pairs `{a,b}` of a list.
fn pairs(list: &str) -> impl Iterator<Item = (&str, &str)> {
    let list = list.trim().strip_prefix('[').unwrap_or_default();
    list.split('{').skip(1).filter_map(|rest| {
        let (pair, _) = rest.split_once('}')?;
        let (section, key) = pair.split_once(',')?;
        Some((term(section), term(key)))
    })
}

/// The text of an atom, a string or a binary.
fn term(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix("<<").and_then(|text| text.strip_suffix(">>")).unwrap_or(text);
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &str, section: &str, key: &str) -> bool {
        let mut sections = Sections::default();
        sections.set(PLACE.0, PLACE.1, list);
        check(&sections, section, key).is_ok()
    }

    #[test]
    fn only_what_is_listed_may_change() {
        assert!(check(&Sections::default(), "any", "thing").is_ok());
        for list in
            ["[{chttpd,config_whitelist}, {test,foo}]", "[these, {are}, {nOt, 2, pairs}, {\"test\",<<\"foo\">>}]"]
        {
            assert!(allows(list, "test", "foo"), "{list}");
            assert!(!allows(list, "test", "bar"), "{list}");
        }
        for list in ["!no list", "{[yes, a_term, but_no_list]}", ""] {
            assert!(!allows(list, "test", "foo"), "{list}");
            assert!(allows(list, "chttpd", "config_whitelist"), "{list}");
        }
    }
}
