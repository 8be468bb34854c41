//! The fields a selector asks for, as a tree of names; and the one pass over a text that finds them.

use tidegate_json::{Kind, Reader};

use crate::document::Document;
use crate::field::index;

/// The place of a field in [`Paths`], and of what was found in the slots.
pub(crate) type FieldId = usize;

/// The value itself, below no name.
pub(crate) const ROOT: FieldId = 0;

/// What a document has for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    /// An object on the way doesn't have the name.
    Missing,
    /// Something on the way is no object, or an array without that element.
    BadPath,
    /// The value's text.
    Found(&'a [u8]),
}

/// A tree of names; its root has none.
#[derive(Debug)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
    /// How many children of the root are sought among a document's members, and not among the special ones.
    wanted_members: usize,
}

#[derive(Debug, Default)]
struct Node {
    name: String,
    /// What the name means in an array.
    index: Option<usize>,
    children: Vec<FieldId>,
}

impl Paths {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Node::default()], wanted_members: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The id of a path, which is added if need be.
    pub(crate) fn insert(&mut self, path: &[String]) -> FieldId {
        path.iter().fold(ROOT, |parent, name| self.child_or_insert(parent, name))
    }

    /// The id of a path that was inserted.
    pub(crate) fn find(&self, path: &[String]) -> Option<FieldId> {
        path.iter().try_fold(ROOT, |parent, name| self.child(parent, |known| known == name))
    }

    /// Whether a path begins with `name`.
    pub(crate) fn begin_with(&self, name: &str) -> bool {
        self.child(ROOT, |known| known == name).is_some()
    }

    fn child_or_insert(&mut self, parent: FieldId, name: &str) -> FieldId {
        if let Some(child) = self.child(parent, |known| known == name) {
            return child;
        }
        let id = self.nodes.len();
        self.wanted_members += usize::from(parent == ROOT && !name.starts_with('_'));
        self.nodes.push(Node { name: name.to_owned(), index: index(name), children: Vec::new() });
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(id);
        }
        id
    }

    fn child(&self, parent: FieldId, is_it: impl Fn(&str) -> bool) -> Option<FieldId> {
        self.children(parent).iter().copied().find(|&child| self.node(child).is_some_and(|node| is_it(&node.name)))
    }

    fn node(&self, id: FieldId) -> Option<&Node> {
        self.nodes.get(id)
    }

    #[inline]
    fn children(&self, id: FieldId) -> &[FieldId] {
        self.node(id).map_or(&[], |node| &node.children)
    }

    /// Fills in what `document` has, but for the root.
    pub(crate) fn find_in_document<'a>(&self, document: &Document<'a>, slots: &mut [Slot<'a>]) {
        for (name, value) in document.special {
            if let Some(child) = self.child(ROOT, |known| known == *name) {
                self.take(child, &mut Reader::new(value), slots);
            }
        }
        self.take_members(ROOT, self.wanted_members, &mut Reader::new(document.members), slots);
    }

    /// Fills in what the value `raw` has.
    pub(crate) fn find_in_value<'a>(&self, raw: &'a [u8], slots: &mut [Slot<'a>]) {
        self.take(ROOT, &mut Reader::new(raw), slots);
    }

    /// Takes the value at the reader for the field `id`, and from it what is below.
    fn take<'a>(&self, id: FieldId, reader: &mut Reader<'a>, slots: &mut [Slot<'a>]) {
        let children = self.children(id);
        let kind = reader.kind();
        let start = *reader; // Behind white space, which `kind` passes over.
        match kind {
            Kind::Object if !children.is_empty() => {
                reader.open();
                if self.take_members(id, children.len(), reader, slots) {
                    reader.close();
                }
            }
            Kind::Array if !children.is_empty() => {
                self.mark_bad(children, slots);
                reader.open();
                self.take_elements(children, reader, slots);
            }
            Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::String | Kind::Array | Kind::Object => {
                self.mark_bad(children, slots);
                reader.skip();
            }
        }
        put(slots, id, Slot::Found(reader.since(&start)));
    }

    /// Takes members for the `wanted` children of `id`; `true` when it stopped behind the last of them, before the end.
    fn take_members<'a>(
        &self,
        id: FieldId,
        mut wanted: usize,
        reader: &mut Reader<'a>,
        slots: &mut [Slot<'a>],
    ) -> bool {
        while wanted > 0 {
            let Some(name) = reader.next_name() else { return false };
            match self.child(id, |known| name.is(known)) {
                Some(child) => {
                    self.take(child, reader, slots);
                    wanted -= 1;
                }
                None => reader.skip(),
            }
        }
        true
    }

    fn take_elements<'a>(&self, children: &[FieldId], reader: &mut Reader<'a>, slots: &mut [Slot<'a>]) {
        let mut at = 0;
        while reader.next_element() {
            let start = *reader;
            // Two names may mean one index: `1` and `01`.
            for &child in children {
                if self.node(child).and_then(|node| node.index) == Some(at) {
                    self.unmark(child, slots);
                    self.take(child, &mut start.clone(), slots);
                }
            }
            reader.skip();
            at += 1;
        }
    }

    fn mark_bad(&self, children: &[FieldId], slots: &mut [Slot<'_>]) {
        for &child in children {
            put(slots, child, Slot::BadPath);
            self.mark_bad(self.children(child), slots);
        }
    }

    fn unmark(&self, id: FieldId, slots: &mut [Slot<'_>]) {
        put(slots, id, Slot::Missing);
        for &child in self.children(id) {
            self.unmark(child, slots);
        }
    }
}

#[inline]
fn put<'a>(slots: &mut [Slot<'a>], id: FieldId, found: Slot<'a>) {
    if let Some(slot) = slots.get_mut(id) {
        *slot = found;
    }
}
