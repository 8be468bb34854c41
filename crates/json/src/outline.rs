//! What one walk over a document finds out: where its members lie, and where their canonical text differs.
//!
//! Positions are those of the *compact* text (the document without white space between tokens), which is the original
//! text itself where there is none. Only what is out of the ordinary is remembered: the members of objects whose names
//! are out of order or repeated, and strings that are written otherwise than canonically. See [`Edit`].

use std::borrow::Cow;
use std::ops::Range;

use crate::cursor::{Cursor, Form, Token};
use crate::names::{Name, Names, is_special};
use crate::string::write_canonical;
use crate::walk::{Visit, walk};
use crate::{Error, Limits};

/// A stretch of the compact text, and the first edit that may lie within.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) edit: usize,
}

/// A stretch that is, or may contain what is, rendered otherwise than it stands. Edits are in order of their start.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The first edit behind this one and what it encloses.
    pub(crate) next: usize,
    pub(crate) kind: EditKind,
}

#[derive(Debug)]
pub(crate) enum EditKind {
    /// An object in order; edits within it follow.
    Through,
    /// An object out of order.
    Object(Lists),
    /// A string with this canonical form, a range of the patches.
    String(Range<usize>),
}

/// An object's members as ranges of [`Scratch::spans`], each name once.
#[derive(Debug)]
pub(crate) struct Lists {
    /// By name.
    pub(crate) sorted: Range<usize>,
    /// In their own order; `None`: as they stand.
    pub(crate) listed: Option<Range<usize>>,
}

/// The top-level object.
pub(crate) struct Root<'a> {
    /// The members without `_`, by name.
    pub(crate) sorted: Range<usize>,
    /// How many of those come before `_`.
    pub(crate) before_special: usize,
    /// The same in their own order.
    pub(crate) listed: Range<usize>,
    /// The members with `_`: names, and the spans of the values.
    pub(crate) special: Vec<(Cow<'a, str>, Span)>,
}

/// A document taken apart, not yet rendered.
pub(crate) struct Outline<'s, 'a: 's> {
    /// The compact text, `{` first.
    pub(crate) text: &'s [u8],
    /// The same, when it is a stretch of the original text.
    pub(crate) original: Option<&'a [u8]>,
    pub(crate) scratch: &'s Scratch,
    pub(crate) root: Root<'a>,
}

/// What outlines are made in. Kept from document to document, so that its memory is asked for once.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) edits: Vec<Edit>,
    pub(crate) spans: Vec<Span>,
    pub(crate) patches: Vec<u8>,
    /// The compact text, where it isn't a stretch of the original: what is known of it so far.
    compact: Vec<u8>,
    /// Some object, below the top level, has a repeated name.
    pub(crate) repeated: bool,
    /// The members of all open objects.
    members: Vec<Member>,
    /// Their names.
    member_names: Vec<Name>,
    frames: Vec<Frame>,
    names: Names,
}

impl Scratch {
    fn clear(&mut self) {
        self.edits.clear();
        self.spans.clear();
        self.patches.clear();
        self.compact.clear();
        self.repeated = false;
        self.members.clear();
        self.member_names.clear();
        self.frames.clear();
        self.names.clear();
    }

    /// Bytes held for the next document.
    pub(crate) fn size(&self) -> usize {
        self.edits.capacity() * size_of::<Edit>()
            + self.spans.capacity() * size_of::<Span>()
            + self.patches.capacity()
            + self.compact.capacity()
            + self.members.capacity() * size_of::<Member>()
            + self.member_names.capacity() * size_of::<Name>()
            + self.frames.capacity() * size_of::<Frame>()
            + self.names.size()
    }
}

/// Takes the object at the cursor apart and leaves the cursor behind it.
pub(crate) fn outline<'s, 'a>(
    cursor: &mut Cursor<'a>,
    limits: Limits,
    scratch: &'s mut Scratch,
) -> Result<Outline<'s, 'a>, Error> {
    scratch.clear();
    let packed = Packed { kept_from: cursor.at, removed: cursor.at };
    let mut builder = Builder { text: *cursor, packed, scratch };
    walk(cursor, limits, 0, &mut builder)?;
    let root = builder.root();
    let Builder { packed, scratch, .. } = builder;
    let rest = cursor.bytes(packed.kept_from, cursor.at);
    if scratch.compact.is_empty() {
        return Ok(Outline { text: rest, original: Some(rest), scratch, root });
    }
    scratch.compact.extend_from_slice(rest);
    Ok(Outline { text: &scratch.compact, original: None, scratch, root })
}

#[derive(Clone, Copy, Debug)]
struct Member {
    start: usize,
    value: usize,
    end: usize,
    edit: usize,
}

impl Member {
    fn span(&self) -> Span {
        Span { start: self.start, end: self.end, edit: self.edit }
    }
}

/// An object that is still open: where its members and its edits begin.
#[derive(Clone, Copy, Debug)]
struct Frame {
    members: usize,
    edit: usize,
}

struct Builder<'s, 'a> {
    text: Cursor<'a>,
    packed: Packed,
    scratch: &'s mut Scratch,
}

impl<'a> Builder<'_, 'a> {
    fn root(&mut self) -> Root<'a> {
        let before_special = self.pick(0, |name| !is_special(name));
        let sorted = self.list(0, |names| &names.sorted);
        let Names { sorted: by_name, listed, .. } = &self.scratch.names;
        let listed = if by_name == listed { sorted.clone() } else { self.list(0, |names| &names.listed) };
        self.pick(0, is_special);
        Root { sorted, before_special, listed, special: self.special() }
    }

    /// Picks among the members from `from` on; see [`Names::pick`].
    fn pick(&mut self, from: usize, is_wanted: impl Fn(&Name) -> bool) -> usize {
        let Scratch { member_names, names, .. } = &mut *self.scratch;
        names.pick(&self.text, member_names.get(from..).unwrap_or_default(), is_wanted)
    }

    /// Notes the spans of members picked.
    fn list(&mut self, from: usize, which: fn(&Names) -> &Vec<usize>) -> Range<usize> {
        let Scratch { members, names, spans, .. } = &mut *self.scratch;
        let members = members.get(from..).unwrap_or_default();
        let first = spans.len();
        for member in which(names).iter().filter_map(|&at| members.get(at)) {
            spans.push(member.span());
        }
        first..spans.len()
    }

    fn special(&self) -> Vec<(Cow<'a, str>, Span)> {
        let Scratch { members, member_names, names, .. } = &*self.scratch;
        let special = names.listed.iter().filter_map(|&at| Some((members.get(at)?, member_names.get(at)?)));
        special
            .map(|(member, name)| (names.text(&self.text, name), Span { start: member.value, ..member.span() }))
            .collect()
    }

    /// Settles an object below the top level.
    fn settle(&mut self, from: usize) -> EditKind {
        let names = self.scratch.member_names.get(from..).unwrap_or_default();
        if self.scratch.names.is_ascending(&self.text, names) {
            return EditKind::Through;
        }
        let all = names.len();
        self.pick(from, |_| true);
        let sorted = self.list(from, |names| &names.sorted);
        let listed = (sorted.len() < all).then(|| {
            self.scratch.repeated = true;
            self.list(from, |names| &names.listed)
        });
        EditKind::Object(Lists { sorted, listed })
    }

    /// The canonical form of a string that is written otherwise.
    #[inline(never)]
    fn patch(&mut self, token: Token) {
        let Scratch { patches, edits, .. } = &mut *self.scratch;
        let from = patches.len();
        write_canonical(patches, self.text.inside(token));
        edits.push(Edit {
            start: self.packed.at(token.start),
            end: self.packed.at(token.end),
            next: edits.len() + 1,
            kind: EditKind::String(from..patches.len()),
        });
    }
}

impl Visit for Builder<'_, '_> {
    fn white(&mut self, gap: Range<usize>) {
        self.scratch.compact.extend_from_slice(self.text.bytes(self.packed.kept_from, gap.start));
        self.packed.kept_from = gap.end;
        self.packed.removed += gap.len();
    }

    #[inline]
    fn object_start(&mut self, at: usize) {
        let Scratch { frames, members, edits, .. } = &mut *self.scratch;
        if !frames.is_empty() {
            let start = self.packed.at(at);
            edits.push(Edit { start, end: start, next: 0, kind: EditKind::Through });
        }
        frames.push(Frame { members: members.len(), edit: edits.len() });
    }

    #[inline(always)]
    fn name(&mut self, token: Token) {
        let name = match token.form {
            Form::Plain => Name::literal(&self.text, token.start + 1, token.end - 1),
            Form::Canonical | Form::Other => self.scratch.names.unescape(self.text.inside(token)),
        };
        let (start, value) = (self.packed.at(token.start), self.packed.at(token.end) + 1);
        let edit = self.scratch.edits.len();
        self.scratch.member_names.push(name);
        self.scratch.members.push(Member { start, value, end: value, edit });
        if token.form == Form::Other {
            self.patch(token);
        }
    }

    #[inline]
    fn string(&mut self, token: Token) {
        if token.form == Form::Other {
            self.patch(token);
        }
    }

    #[inline]
    fn member_end(&mut self, at: usize) {
        if let Some(member) = self.scratch.members.last_mut() {
            member.end = self.packed.at(at);
        }
    }

    #[inline]
    fn object_end(&mut self, at: usize) {
        let Some(frame) = self.scratch.frames.pop() else { return };
        if self.scratch.frames.is_empty() {
            return;
        }
        let kind = self.settle(frame.members);
        let Scratch { members, member_names, edits, .. } = &mut *self.scratch;
        members.truncate(frame.members);
        member_names.truncate(frame.members);
        let next = edits.len();
        if next == frame.edit && matches!(kind, EditKind::Through) {
            edits.pop();
        } else if let Some(edit) = edits.get_mut(frame.edit - 1) {
            *edit = Edit { start: edit.start, end: self.packed.at(at), next, kind };
        }
    }
}

/// How far the compact text is.
struct Packed {
    /// Where the text begins that isn't copied yet.
    kept_from: usize,
    /// How much was left out so far.
    removed: usize,
}

impl Packed {
    /// Where an offset of the text is in the compact text.
    #[inline]
    fn at(&self, offset: usize) -> usize {
        offset - self.removed
    }
}
