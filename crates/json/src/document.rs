//! A document as the store and the revision digest want it.

use std::borrow::Cow;
use std::cell::RefCell;

use crate::cursor::Cursor;
use crate::outline::{Outline, Scratch, Span, outline};
use crate::render::{Render, Target, Work, next_run};
use crate::string::write_string;
use crate::walk::{Check, walk};
use crate::{Error, Limits};

/// A document taken apart in one pass.
///
/// A name counts as beginning with `_` by its unescaped text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// The members whose names don't begin with `_`: compact, in their order, names and values as they were written,
    /// without the braces around them (`"a":1,"b":[2]`). Of repeated names, at any depth, the last, in the first one's
    /// place. Borrowed where that is one stretch of the text.
    pub members: Cow<'a, [u8]>,
    /// The top-level members whose names begin with `_`: unescaped name and compact value, each name once, in their
    /// order.
    pub special: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
    /// The canonical form of `{members}`, braces included: no white space; at every depth members by their unescaped
    /// names in UTF-8 byte order; numbers as they were written; in strings the fewest escapes, as [`write_string`]
    /// makes them.
    pub canonical: Vec<u8>,
    /// Where in `canonical` names with `_` belong: behind the last value before them.
    seam: usize,
}

/// Takes a whole text apart that is one object.
///
/// # Errors
/// [`Error`] when the text isn't JSON in UTF-8, isn't an object, or is too deep.
pub fn scan_document(text: &[u8], limits: Limits) -> Result<Document<'_>, Error> {
    let mut cursor = Cursor::new(text)?;
    cursor.skip_white();
    let at = cursor.at;
    if cursor.peek() != Some(b'{') {
        // Whether it is JSON at all comes first.
        walk(&mut cursor, limits, 0, &mut Check)?;
        cursor.finish()?;
        return Err(Error::NotAnObject { offset: at });
    }
    let document = SCANNER.with_borrow_mut(|scanner| scanner.scan(&mut cursor, limits))?;
    cursor.finish()?;
    Ok(document)
}

thread_local! {
    /// Working memory for [`scan_document`]: asking for it anew costs a fifth of the time a document takes.
    static SCANNER: RefCell<Scanner> = RefCell::default();
}

/// What a scanner may keep between documents.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// Scans documents one after the other in the same working memory.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    scratch: Scratch,
    work: Vec<Work>,
}

impl Scanner {
    /// Takes the object at the cursor apart and leaves the cursor behind it.
    pub(crate) fn scan<'a>(&mut self, cursor: &mut Cursor<'a>, limits: Limits) -> Result<Document<'a>, Error> {
        if cursor.peek() != Some(b'{') {
            return Err(Error::NotAnObject { offset: cursor.at });
        }
        let document = self.take_apart(cursor, limits);
        if self.scratch.size() + self.work.capacity() * size_of::<Work>() > KEPT_BYTES_MAX {
            *self = Self::default();
        }
        document
    }

    fn take_apart<'a>(&mut self, cursor: &mut Cursor<'a>, limits: Limits) -> Result<Document<'a>, Error> {
        let mut outline = outline(cursor, limits, &mut self.scratch)?;
        let special = std::mem::take(&mut outline.root.special);
        let (canonical, seam) = canonical(&outline, &mut self.work);
        let members = members(&outline, &mut self.work);
        let special = special.into_iter().map(|(name, span)| (name, listed(&outline, span, &mut self.work))).collect();
        Ok(Document { members, special, canonical, seam })
    }
}

impl Document<'_> {
    /// [`canonical`](Self::canonical) with more members, which take their places among the others.
    ///
    /// The names must begin with `_`, as no member's does, and differ; the values must be canonical JSON texts.
    pub fn canonical_with(&self, extra: &[(&str, &[u8])]) -> Vec<u8> {
        debug_assert!(extra.iter().all(|(name, _)| name.starts_with('_')), "only names with _ have their place known");
        let mut extra = extra.to_vec();
        extra.sort_unstable_by_key(|&(name, _)| name);
        let (before, after) = self.canonical.split_at_checked(self.seam).unwrap_or_default();
        let mut out = Vec::with_capacity(self.canonical.len() + 64);
        out.extend_from_slice(before);
        for (name, value) in &extra {
            separate(&mut out);
            write_string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(value);
        }
        if after.first() == Some(&b'"') {
            separate(&mut out);
        }
        out.extend_from_slice(after);
        out
    }

    /// The value of a `_` member.
    pub fn special(&self, name: &str) -> Option<&[u8]> {
        self.special.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// The same, independent of the text it was scanned from.
    pub fn into_owned(self) -> Document<'static> {
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, [u8]>)| {
            (Cow::Owned(name.into_owned()), Cow::Owned(value.into_owned()))
        };
        Document {
            members: Cow::Owned(self.members.into_owned()),
            special: self.special.into_iter().map(owned).collect(),
            canonical: self.canonical,
            seam: self.seam,
        }
    }
}

/// A comma, unless the object has just begun.
fn separate(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
}

fn canonical(outline: &Outline<'_, '_>, work: &mut Vec<Work>) -> (Vec<u8>, usize) {
    let root = &outline.root;
    let middle = root.sorted.start + root.before_special;
    let mut render = Render::new(outline, Target::Sorted, work);
    let mut out = Vec::with_capacity(outline.text.len());
    out.push(b'{');
    render.list(&mut out, root.sorted.start..middle);
    let seam = out.len();
    if middle < root.sorted.end {
        separate(&mut out);
        render.list(&mut out, middle..root.sorted.end);
    }
    out.push(b'}');
    (out, seam)
}

fn members<'a>(outline: &Outline<'_, 'a>, work: &mut Vec<Work>) -> Cow<'a, [u8]> {
    let mut list = outline.root.listed.clone();
    let Some(run) = next_run(&outline.scratch.spans, &mut list) else { return Cow::Borrowed(&[]) };
    if list.is_empty() {
        return listed(outline, run, work);
    }
    let mut out = Vec::with_capacity(outline.text.len());
    Render::new(outline, Target::Listed, work).list(&mut out, outline.root.listed.clone());
    Cow::Owned(out)
}

fn listed<'a>(outline: &Outline<'_, 'a>, span: Span, work: &mut Vec<Work>) -> Cow<'a, [u8]> {
    if let (Some(text), false) = (outline.original, outline.scratch.repeated) {
        return Cow::Borrowed(text.get(span.start..span.end).unwrap_or_default());
    }
    let mut out = Vec::with_capacity(span.end - span.start);
    Render::new(outline, Target::Listed, work).span(&mut out, span);
    Cow::Owned(out)
}
