//! Sequences during which something held.

use tidegate_types::Seq;

/// From one sequence on, up to another where it ended: `since` is in it, `until` isn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first sequence.
    pub since: Seq,
    /// The first sequence after it; `None` while it goes on.
    pub until: Option<Seq>,
}

/// Periods in order, with gaps between them; only the last can be going on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Periods(Vec<Period>);

impl Period {
    /// A period that ended.
    pub fn ended(since: Seq, until: Seq) -> Self {
        Self { since, until: Some(until) }
    }

    /// A period that goes on.
    pub fn open(since: Seq) -> Self {
        Self { since, until: None }
    }

    fn end(self) -> Seq {
        self.until.unwrap_or(Seq::MAX)
    }

    /// Whether there is a sequence in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.since < other.end() && other.since < self.end()
    }

    fn common(self, other: Self) -> Option<Self> {
        let since = self.since.max(other.since);
        let until = match (self.until, other.until) {
            (Some(one), Some(another)) => Some(one.min(another)),
            (one, another) => one.or(another),
        };
        Some(Self { since, until }).filter(|period| period.since < period.end())
    }
}

impl Periods {
    /// How many are kept. When there are more, the two oldest become one, as if there had been no gap between them.
    pub const KEPT_MAX: usize = 64;

    /// One that goes on.
    pub fn open_since(since: Seq) -> Self {
        Self(vec![Period::open(since)])
    }

    /// These; `None` if they aren't in order, or have no gaps between them.
    pub fn from_vec(periods: Vec<Period>) -> Option<Self> {
        let are_whole = periods.iter().all(|period| period.since < period.end());
        let ends = periods.iter().map(|period| period.end());
        let follow = periods.iter().skip(1).zip(ends).all(|(later, end)| end < later.since);
        (are_whole && follow).then_some(Self(periods))
    }

    /// The periods, oldest first.
    pub fn as_slice(&self) -> &[Period] {
        &self.0
    }

    /// Since when it holds, if it does.
    pub fn current(&self) -> Option<Seq> {
        self.0.last().filter(|period| period.until.is_none()).map(|period| period.since)
    }

    /// Whether it held at this sequence.
    pub fn covers(&self, seq: Seq) -> bool {
        self.overlap(Period::ended(seq, seq.next()))
    }

    /// Whether it held at any sequence of a period.
    pub fn overlap(&self, period: Period) -> bool {
        self.0.iter().any(|own| own.overlaps(period))
    }

    /// It holds from this sequence on, which isn't before any that is told of here.
    pub fn open(&mut self, at: Seq) {
        match self.0.last_mut() {
            Some(last) if last.until.is_none() => {}
            Some(last) if last.until == Some(at) => last.until = None,
            Some(_) | None => self.0.push(Period::open(at)),
        }
        self.forget();
    }

    /// It doesn't hold from this sequence on, which isn't before any that is told of here.
    pub fn close(&mut self, at: Seq) {
        let Some(last) = self.0.last_mut().filter(|last| last.until.is_none()) else { return };
        if last.since == at {
            self.0.pop();
        } else {
            last.until = Some(at);
        }
    }

    /// When either holds.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<Period> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_by_key(|period| period.since);
        let mut union: Vec<Period> = Vec::with_capacity(all.len());
        for period in all {
            match union.last_mut() {
                Some(last) if period.since <= last.end() => last.until = last.until.max_end(period.until),
                Some(_) | None => union.push(period),
            }
        }
        Self(union)
    }

    /// When both hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|own| other.0.iter().filter_map(|period| own.common(*period)));
        Self(pairs.collect())
    }

    fn forget(&mut self) {
        if self.0.len() > Self::KEPT_MAX
            && let Some(second) = self.0.get(1).copied()
        {
            self.0.remove(1);
            if let Some(first) = self.0.first_mut() {
                first.until = second.until;
            }
        }
    }
}

/// Of two ends the later.
trait MaxEnd {
    fn max_end(self, other: Self) -> Self;
}

impl MaxEnd for Option<Seq> {
    fn max_end(self, other: Self) -> Self {
        Some(self?.max(other?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn periods(text: &str) -> Periods {
        let period = |text: &str| {
            let (since, until) = text.split_once('-').unwrap();
            Period { since: Seq::new(since.parse().unwrap()), until: until.parse().ok().map(Seq::new) }
        };
        Periods::from_vec(text.split_whitespace().map(period).collect()).unwrap()
    }

    #[test]
    fn they_open_and_close() {
        let mut held = Periods::default();
        held.close(Seq::new(1));
        assert_eq!(held, periods(""));
        held.open(Seq::new(2));
        held.open(Seq::new(3));
        assert_eq!((held.current(), &held), (Some(Seq::new(2)), &periods("2-")));
        held.close(Seq::new(5));
        assert_eq!((held.current(), &held), (None, &periods("2-5")));
        held.open(Seq::new(5));
        assert_eq!(held, periods("2-"));
        held.close(Seq::new(6));
        held.open(Seq::new(8));
        assert_eq!(held, periods("2-6 8-"));
        held.close(Seq::new(8));
        assert_eq!(held, periods("2-6"));
    }

    #[test]
    fn what_is_no_list_of_periods_is_none() {
        let period = |since, until| Period::ended(Seq::new(since), Seq::new(until));
        assert!(Periods::from_vec(vec![period(1, 1)]).is_none());
        assert!(Periods::from_vec(vec![period(1, 3), period(3, 4)]).is_none());
        assert!(Periods::from_vec(vec![Period::open(Seq::new(1)), period(3, 4)]).is_none());
        assert!(Periods::from_vec(vec![period(1, 3), period(4, 5)]).is_some());
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut held = Periods::default();
        for round in 0..Periods::KEPT_MAX as u64 + 1 {
            held.open(Seq::new(10 * round));
            held.close(Seq::new(10 * round + 5));
        }
        assert_eq!(held.as_slice().len(), Periods::KEPT_MAX);
        assert_eq!(held.as_slice().first(), Some(&Period::ended(Seq::ZERO, Seq::new(15))));
    }

    fn any_periods() -> impl Strategy<Value = Periods> {
        prop::collection::vec(1u64..5, 0..7).prop_map(|steps| {
            let (mut held, mut at) = (Periods::default(), 0);
            for (index, step) in steps.into_iter().enumerate() {
                at += step;
                if index % 2 == 0 { held.open(Seq::new(at)) } else { held.close(Seq::new(at)) }
            }
            held
        })
    }

    proptest! {
        #[test]
        fn union_and_intersection_are_what_they_say(one in any_periods(), another in any_periods()) {
            let (union, common) = (one.union(&another), one.intersection(&another));
            for at in (0..40).map(Seq::new) {
                prop_assert_eq!(union.covers(at), one.covers(at) || another.covers(at));
                prop_assert_eq!(common.covers(at), one.covers(at) && another.covers(at));
            }
            prop_assert!(Periods::from_vec(union.as_slice().to_vec()).is_some());
            prop_assert!(Periods::from_vec(common.as_slice().to_vec()).is_some());
        }
    }
}
