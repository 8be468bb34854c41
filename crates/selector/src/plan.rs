//! A selector in its normal form: conditions on fields, joined by all, any and not. CouchDB's `norm_fields` and
//! `norm_negations`, and the matching itself.

use crate::clause::Clause;
use crate::document::Document;
use crate::field::{self, Path};
use crate::paths::{FieldId, Paths, ROOT, Slot};
use crate::test::{Order, Test};
use crate::{Error, Limits};

/// What fits without asking for memory.
const SLOTS_AT_HAND: usize = 8;

/// A selector, or the argument of `$elemMatch` and its kin.
#[derive(Debug)]
pub(crate) struct Plan {
    root: Node,
    paths: Paths,
    /// There is a condition on the document as a whole.
    whole: bool,
}

#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    /// Of nothing: matches.
    Any(Vec<Node>),
    Not(Box<Node>),
    Field {
        id: FieldId,
        order: Order,
        test: Test,
    },
}

impl Plan {
    /// Of a whole selector: negations are brought down to the fields they are about.
    pub(crate) fn of_selector(clause: Clause, limits: &Limits) -> Result<Self, Error> {
        let mut build = Build { paths: Paths::new(), whole: false, negations: Negations::Down, limits };
        let root = build.node(clause, &[], Sense::Plain)?;
        if matches!(root, Node::Field { id: ROOT, .. }) {
            return Err(Error::MissingFieldName);
        }
        Ok(Self { root, paths: build.paths, whole: build.whole })
    }

    /// Of an argument: negations stay where they are.
    pub(crate) fn of_value(clause: Clause, limits: &Limits) -> Result<Self, Error> {
        let mut build = Build { paths: Paths::new(), whole: false, negations: Negations::Stay, limits };
        let root = build.node(clause, &[], Sense::Plain)?;
        Ok(Self { root, paths: build.paths, whole: build.whole })
    }

    pub(crate) fn matches_document(&self, document: &Document<'_>) -> bool {
        if self.whole {
            return self.matches_value(&document.to_text());
        }
        self.evaluate(|slots| self.paths.find_in_document(document, slots))
    }

    pub(crate) fn matches_value(&self, raw: &[u8]) -> bool {
        self.evaluate(|slots| self.paths.find_in_value(raw, slots))
    }

    pub(crate) fn reads(&self, name: &str) -> bool {
        self.whole || self.paths.begin_with(name)
    }

    pub(crate) fn requires(&self, path: &Path) -> bool {
        self.paths.find(path).is_some_and(|id| self.root.requires(id))
    }

    fn evaluate<'a>(&self, find: impl FnOnce(&mut [Slot<'a>])) -> bool {
        let mut at_hand = [Slot::Missing; SLOTS_AT_HAND];
        if let Some(slots) = at_hand.get_mut(..self.paths.len()) {
            find(slots);
            return self.root.matches(slots);
        }
        let mut slots = vec![Slot::Missing; self.paths.len()];
        find(&mut slots);
        self.root.matches(&slots)
    }
}

impl Node {
    fn matches(&self, slots: &[Slot<'_>]) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(slots)),
            Self::Any(nodes) => nodes.is_empty() || nodes.iter().any(|node| node.matches(slots)),
            Self::Not(node) => !node.matches(slots),
            Self::Field { id, order, test } => match slots.get(*id) {
                Some(Slot::Found(raw)) => test.holds(raw, *order),
                Some(Slot::Missing) | None => matches!(test, Test::Exists(false)),
                Some(Slot::BadPath) => false,
            },
        }
    }

    /// Whether only values match that have the field.
    fn requires(&self, wanted: FieldId) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().any(|node| node.requires(wanted)),
            Self::Any(nodes) => !nodes.is_empty() && nodes.iter().all(|node| node.requires(wanted)),
            Self::Not(_) => false,
            Self::Field { id, test, .. } => *id == wanted && !matches!(test, Test::Exists(false)),
        }
    }
}

/// What becomes of negations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Negations {
    /// They are brought down to the conditions.
    Down,
    /// They stay where they are.
    Stay,
}

/// Whether what is being built is under a negation that is being brought down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    Plain,
    Negated,
}

impl Sense {
    fn reversed(self) -> Self {
        match self {
            Self::Plain => Self::Negated,
            Self::Negated => Self::Plain,
        }
    }
}

struct Build<'l> {
    paths: Paths,
    whole: bool,
    negations: Negations,
    limits: &'l Limits,
}

impl Build<'_> {
    fn node(&mut self, clause: Clause, path: &[String], sense: Sense) -> Result<Node, Error> {
        match (clause, sense) {
            (Clause::And(clauses), Sense::Plain) | (Clause::Or(clauses), Sense::Negated) => {
                Ok(Node::All(self.nodes(clauses, path, sense)?))
            }
            (Clause::Or(clauses), Sense::Plain) | (Clause::And(clauses), Sense::Negated) => {
                Ok(Node::Any(self.nodes(clauses, path, sense)?))
            }
            (Clause::Nor(clauses), _) if self.negations == Negations::Stay => {
                let nodes = self.nodes(clauses, path, sense)?;
                Ok(Node::All(nodes.into_iter().map(|node| Node::Not(Box::new(node))).collect()))
            }
            (Clause::Not(clause), _) if self.negations == Negations::Stay => {
                Ok(Node::Not(Box::new(self.node(*clause, path, sense)?)))
            }
            (Clause::Nor(clauses), Sense::Plain) => Ok(Node::All(self.nodes(clauses, path, sense.reversed())?)),
            (Clause::Nor(clauses), Sense::Negated) => Ok(Node::Any(self.nodes(clauses, path, sense.reversed())?)),
            (Clause::Not(clause), _) => self.node(*clause, path, sense.reversed()),
            (Clause::Field(name, clause), _) => {
                let path = self.path(path, &name)?;
                self.node(*clause, &path, sense)
            }
            (Clause::Test(test), Sense::Plain) => Ok(self.field(test, path)),
            (Clause::Test(test), Sense::Negated) => Ok(self.field(test.negated(), path)),
        }
    }

    fn nodes(&mut self, clauses: Vec<Clause>, path: &[String], sense: Sense) -> Result<Vec<Node>, Error> {
        clauses.into_iter().map(|clause| self.node(clause, path, sense)).collect()
    }

    fn path(&self, parent: &[String], name: &str) -> Result<Path, Error> {
        let path: Path = parent.iter().cloned().chain(field::parse(name)?).collect();
        if path.len() > self.limits.path_len_max {
            return Err(Error::TooLarge { what: "the number of names in a field", max: self.limits.path_len_max });
        }
        Ok(path)
    }

    fn field(&mut self, mut test: Test, path: &[String]) -> Node {
        let order = if matches!(path, [name] if name == "_id") { Order::Raw } else { Order::Collated };
        test.prepare(order);
        self.whole |= path.is_empty();
        Node::Field { id: self.paths.insert(path), order, test }
    }
}
