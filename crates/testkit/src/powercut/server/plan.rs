//! What the lanes write: decided by the seed alone.

use std::collections::BTreeMap;

use super::super::random::Random;

/// Writers.
pub(super) const LANES: u32 = 4;
/// Databases they share.
pub(super) const DATABASES: [&str; 2] = ["db0", "db1"];
/// One more, with channels; its users aren't those of the others.
pub(super) const CHANNELS: &str = "channels";

const DOCUMENTS: usize = 5;
const PLACED: usize = 3;

/// Something that a lane writes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// A document.
    Document(usize),
    /// A document that has an attachment and nothing else.
    Attachment,
    /// A local document.
    Local,
    /// A user.
    User,
    /// A document of the database with channels. It says which it is in, and what it grants to whom.
    Placed(usize),
    /// A user of the database with channels, with a session.
    Principal,
}

/// What a slot holds: the number of the write that it comes from, which decides the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) number: u64,
    /// Of its text or its content.
    pub(super) length: usize,
}

impl Held {
    /// The channel that an administrator grants a user who was written so.
    pub(super) fn granted(self) -> String {
        format!("n{}", self.number)
    }
}

/// What a lane holds. Empty slots aren't in it.
pub(super) type State = BTreeMap<Slot, Held>;

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) slot: Slot,
    /// None deletes it.
    pub(super) held: Option<Held>,
}

/// Where a document is put, and what it grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// Sorted.
    pub(super) channels: Vec<String>,
    /// A user or, as `role:…`, a role.
    pub(super) to: String,
    /// The channel that it grants, or, as `role:…`, the role.
    pub(super) give: String,
    pub(super) expires_s: u64,
}

/// The writes of one lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) lane: u32,
}

impl Slot {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..DOCUMENTS)
            .map(Self::Document)
            .chain([Self::Attachment, Self::Local, Self::User, Self::Principal])
            .chain((0..PLACED).map(Self::Placed))
    }
}

impl Plan {
    /// The write of this number, from 1, on what the lane holds before.
    pub(super) fn step(self, number: u64, before: &State) -> Step {
        let mut random = Random::of(&[self.seed, u64::from(self.lane), number]);
        let slot = match random.below(18) {
            0 | 1 => Slot::Attachment,
            2 => Slot::Local,
            3 => Slot::User,
            4 => Slot::Principal,
            placed @ 5..=9 => Slot::Placed(placed % PLACED),
            document => Slot::Document(document % DOCUMENTS),
        };
        let lengths: &[usize] = match slot {
            Slot::Attachment => &[100, 3_000, 90_000, 300_000, 700_000],
            Slot::Document(_) => &[0, 30, 700, 5_000, 80_000],
            Slot::Local | Slot::User | Slot::Principal => &[0],
            Slot::Placed(_) => &[0, 700],
        };
        let length = random.pick(lengths).copied().unwrap_or_default();
        let deletes = matches!(slot, Slot::Document(_) | Slot::Placed(_) | Slot::Principal)
            && before.contains_key(&slot)
            && random.one_in(4);
        Step { slot, held: (!deletes).then_some(Held { number, length }) }
    }

    /// What the lane holds after its first `number` writes.
    pub(super) fn state(self, number: u64) -> State {
        let mut state = State::new();
        for next in 1..=number {
            self.step(next, &state).apply(&mut state);
        }
        state
    }

    pub(super) fn database(self, slot: Slot) -> &'static str {
        match slot {
            Slot::User => "_users",
            Slot::Placed(_) | Slot::Principal => CHANNELS,
            Slot::Document(_) | Slot::Attachment | Slot::Local if self.lane.is_multiple_of(2) => DATABASES[0],
            Slot::Document(_) | Slot::Attachment | Slot::Local => DATABASES[1],
        }
    }

    pub(super) fn id(self, slot: Slot) -> String {
        let lane = self.lane;
        match slot {
            Slot::Document(index) => format!("lane{lane}-{index}"),
            Slot::Attachment => format!("lane{lane}-file"),
            Slot::Local => format!("_local/lane{lane}"),
            Slot::User => format!("org.couchdb.user:lane{lane}"),
            Slot::Placed(index) => format!("placed{lane}-{index}"),
            Slot::Principal => format!("_user/{}", self.principal()),
        }
    }

    /// The name of the lane's user in the database with channels.
    pub(super) fn principal(self) -> String {
        format!("lane{}", self.lane)
    }

    /// Where a document is put.
    pub(super) fn placement(self, Held { number, .. }: Held) -> Placement {
        let mut random = Random::of(&[self.seed, u64::from(self.lane), number, 2]);
        let mut channels: Vec<String> = (0..random.below(4)).map(|_| format!("c{}", random.below(5))).collect();
        channels.sort_unstable();
        channels.dedup();
        // To this lane's user or another's, so that several documents grant the same.
        let user = format!("lane{}", random.below(LANES as usize));
        let (to, give) = match random.below(4) {
            0 => (user, "role:staff".to_owned()),
            1 => ("role:staff".to_owned(), format!("c{}", random.below(5))),
            _ => (user, format!("c{}", random.below(5))),
        };
        Placement { channels, to, give, expires_s: 4_000_000_000 + random.next_u64() % 9 }
    }

    /// The members of a document, as they are sent and stored; of a user, a part that tells it from all others.
    pub(super) fn members(self, slot: Slot, Held { number, length }: Held) -> String {
        match slot {
            Slot::User => format!("\"roles\":[\"n{number}\"]"),
            Slot::Attachment => String::new(),
            Slot::Principal => format!("\"admin_channels\":[\"{}\"]", Held { number, length }.granted()),
            Slot::Placed(_) => {
                let Placement { channels, to, give, expires_s } = self.placement(Held { number, length });
                let text = "placed.".repeat(length / 7);
                format!(
                    "\"number\":{number},\"channels\":{channels:?},\"to\":\"{to}\",\"give\":\"{give}\",\
                     \"expires\":{expires_s},\"text\":\"{text}\""
                )
            }
            Slot::Document(_) | Slot::Local => {
                let text = format!("{number:06}.").repeat(length / 7);
                format!("\"lane\":{},\"number\":{number},\"text\":\"{text}\"", self.lane)
            }
        }
    }

    /// The content of an attachment: nothing that would be packed.
    pub(super) fn content(self, Held { number, length }: Held) -> Vec<u8> {
        Random::of(&[self.seed, u64::from(self.lane), number, 1]).bytes(length)
    }
}

impl Step {
    pub(super) fn apply(self, state: &mut State) {
        match self.held {
            Some(held) => drop(state.insert(self.slot, held)),
            None => drop(state.remove(&self.slot)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_leads_to_another_state_and_all_kinds_come() {
        let plan = Plan { seed: 3, lane: 1 };
        let mut kinds = State::new();
        let mut deletes = 0;
        for number in 1..200 {
            let (before, after) = (plan.state(number - 1), plan.state(number));
            assert_ne!(before, after);
            let step = plan.step(number, &before);
            step.held.map(|held| kinds.insert(step.slot, held));
            deletes += usize::from(step.held.is_none());
        }
        assert_eq!(kinds.len(), Slot::all().count());
        assert!(deletes > 5);
    }
}
