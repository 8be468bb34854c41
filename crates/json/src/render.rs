//! Writes what an outline describes, by as few and as large copies as possible. Iterative, so depth costs no stack.

use std::ops::Range;

use crate::outline::{Edit, EditKind, Lists, Outline, Scratch, Span};

/// Which form of a text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// As it stands; of a repeated name the last.
    Listed,
    /// Canonical.
    Sorted,
}

/// What is left to write, last first.
#[derive(Debug)]
pub(crate) enum Work {
    Span(Span),
    List(Range<usize>),
    Comma,
    Close,
}

/// An object whose members come next, and the stretch behind it.
struct Inner {
    list: Range<usize>,
    rest: Span,
}

pub(crate) struct Render<'r> {
    text: &'r [u8],
    scratch: &'r Scratch,
    edits: &'r [Edit],
    target: Target,
    work: &'r mut Vec<Work>,
}

impl<'r> Render<'r> {
    /// `work` is empty before and after, unless it is dropped.
    pub(crate) fn new(outline: &'r Outline<'_, '_>, target: Target, work: &'r mut Vec<Work>) -> Self {
        let scratch = outline.scratch;
        let is_verbatim = target == Target::Listed && !scratch.repeated;
        let edits: &[Edit] = if is_verbatim { &[] } else { &scratch.edits };
        Self { text: outline.text, scratch, edits, target, work }
    }

    /// Appends members, with commas between them.
    pub(crate) fn list(&mut self, out: &mut Vec<u8>, list: Range<usize>) {
        self.begin_list(out, list);
        self.drain(out);
    }

    /// Appends a stretch of the text.
    pub(crate) fn span(&mut self, out: &mut Vec<u8>, span: Span) {
        self.work.push(Work::Span(span));
        self.drain(out);
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        while let Some(work) = self.work.pop() {
            match work {
                Work::Comma => out.push(b','),
                Work::List(list) => self.begin_list(out, list),
                Work::Close => out.push(b'}'),
                Work::Span(span) => {
                    if let Some(inner) = self.begin_span(out, span) {
                        self.enter(inner);
                    }
                }
            }
        }
    }

    /// Writes members up to the first that has an object out of order.
    fn begin_list(&mut self, out: &mut Vec<u8>, mut list: Range<usize>) {
        while let Some(run) = next_run(&self.scratch.spans, &mut list) {
            if let Some(inner) = self.begin_span(out, run) {
                if !list.is_empty() {
                    self.work.push(Work::List(list));
                    self.work.push(Work::Comma);
                }
                return self.enter(inner);
            }
            if !list.is_empty() {
                out.push(b',');
            }
        }
    }

    /// Writes a stretch up to the first object that is out of order, and its `{`.
    #[inline(always)]
    fn begin_span(&self, out: &mut Vec<u8>, span: Span) -> Option<Inner> {
        if self.edits.get(span.edit).is_some_and(|edit| edit.start < span.end) {
            return self.begin_edited(out, span);
        }
        self.copy(out, span.start, span.end);
        None
    }

    fn begin_edited(&self, out: &mut Vec<u8>, mut span: Span) -> Option<Inner> {
        while let Some(edit) = self.edits.get(span.edit).filter(|edit| edit.start < span.end) {
            match (&edit.kind, self.target) {
                (EditKind::Through, _)
                | (EditKind::String(_), Target::Listed)
                | (EditKind::Object(Lists { listed: None, .. }), Target::Listed) => span.edit += 1,
                (EditKind::String(patch), Target::Sorted) => {
                    self.copy(out, span.start, edit.start);
                    out.extend_from_slice(self.scratch.patches.get(patch.clone()).unwrap_or_default());
                    span = Span { start: edit.end, edit: edit.next, ..span };
                }
                (EditKind::Object(Lists { sorted: list, .. }), Target::Sorted)
                | (EditKind::Object(Lists { listed: Some(list), .. }), Target::Listed) => {
                    // Its brace is part of the text.
                    self.copy(out, span.start, edit.start + 1);
                    return Some(Inner { list: list.clone(), rest: Span { start: edit.end, edit: edit.next, ..span } });
                }
            }
        }
        self.copy(out, span.start, span.end);
        None
    }

    fn enter(&mut self, inner: Inner) {
        self.work.push(Work::Span(inner.rest));
        self.work.push(Work::Close);
        self.work.push(Work::List(inner.list));
    }

    #[inline]
    fn copy(&self, out: &mut Vec<u8>, start: usize, end: usize) {
        out.extend_from_slice(self.text.get(start..end).unwrap_or_default());
    }
}

/// Takes the members off the list that stand side by side in the text: they are one copy, commas included.
pub(crate) fn next_run(spans: &[Span], list: &mut Range<usize>) -> Option<Span> {
    let mut run = *spans.get(list.next()?)?;
    while let Some(next) = spans.get(list.clone()).and_then(<[Span]>::first)
        && next.start == run.end + 1
    {
        run.end = next.end;
        list.next();
    }
    Some(run)
}
