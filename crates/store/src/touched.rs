//! Which principals' grants changed, and when: what was made of them before is stale.

use std::collections::HashMap;
use tidegate_types::{Principal, Seq};

/// Principals told apart. When there are more, all count as touched.
const PRINCIPALS_MAX: usize = 20_000;

/// The latest change of each principal's grants since the database was opened.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    latest: HashMap<Principal, Seq>,
    /// Any principal may have been touched up to here.
    floor: Seq,
}

impl Touched {
    pub(crate) fn touch(&mut self, principals: &[Principal], seq: Seq) {
        self.latest.extend(principals.iter().map(|principal| (principal.clone(), seq)));
        if self.latest.len() > PRINCIPALS_MAX {
            self.latest = HashMap::new();
            self.floor = seq;
        }
    }

    /// Whether none of these was touched after a sequence.
    pub(crate) fn is_current(&self, principals: &[Principal], at: Seq) -> bool {
        let latest = principals.iter().filter_map(|principal| self.latest.get(principal)).max();
        self.floor.max(latest.copied().unwrap_or_default()) <= at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_touched_is_stale() {
        let principal = |name: &str| name.parse::<Principal>().unwrap();
        let mut touched = Touched::default();
        touched.touch(&[principal("ada"), principal("role:r")], Seq::new(5));
        let check = |touched: &Touched, name: &str, at: u64| touched.is_current(&[principal(name)], Seq::new(at));
        assert!(check(&touched, "bob", 0) && check(&touched, "r", 0));
        assert!(!check(&touched, "ada", 4) && check(&touched, "ada", 5));
        assert!(!touched.is_current(&[principal("bob"), principal("role:r")], Seq::new(4)));
        let many: Vec<_> = (0..=PRINCIPALS_MAX).map(|number| principal(&format!("u{number}"))).collect();
        touched.touch(&many, Seq::new(9));
        assert!(!check(&touched, "bob", 8) && check(&touched, "bob", 9));
    }
}
