//! Objects and arrays around documents, read from front to back: each byte is read once, by whoever needs the value.

use std::borrow::Cow;

use crate::cursor::{Cursor, Form};
use crate::document::{Document, Scanner};
use crate::string::unescape;
use crate::walk::{Check, walk};
use crate::{Error, Limits};

/// The members of an object, from first to last, repeated ones included.
///
/// Either iterate for names and raw values, or ask for one [`next_name`](Self::next_name) after the other and take its
/// value in the way that suits it; a value that isn't taken is checked and left out. The text is known to be valid JSON
/// once `next_name` has said `None`, not before. After an error there is nothing more to be had.
///
/// ```
/// # use tidegate_json::{Error, Limits, Members};
/// let mut documents = Vec::new();
/// let mut members = Members::new(br#"{"docs":[{"_id":"a","x":1},{"y":2}],"new_edits":false}"#, Limits::default())?;
/// while let Some(name) = members.next_name()? {
///     match &*name {
///         "docs" => members.documents(|_, document| {
///             documents.push(document);
///             Ok::<_, Error>(())
///         })?,
///         "new_edits" => assert_eq!(members.value()?, b"false"),
///         _ => {}
///     }
/// }
/// assert_eq!(documents[1].canonical, br#"{"y":2}"#);
/// # Ok::<_, Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Members<'a> {
    cursor: Cursor<'a>,
    limits: Limits,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Behind `{`.
    Start,
    /// Behind a colon.
    Value,
    /// Behind a value.
    AfterValue,
    /// Behind it all, or an error.
    Done,
}

impl<'a> Members<'a> {
    /// The members of the object that `text` is.
    ///
    /// # Errors
    /// [`Error::Utf8`], and [`Error::NotAnObject`] when the text doesn't begin with `{`.
    pub fn new(text: &'a [u8], limits: Limits) -> Result<Self, Error> {
        let mut cursor = Cursor::new(text)?;
        cursor.skip_white();
        match cursor.peek() {
            Some(b'{') => cursor.at += 1,
            Some(_) => return Err(Error::NotAnObject { offset: cursor.at }),
            None => return Err(cursor.syntax()),
        }
        Ok(Self { cursor, limits, state: State::Start })
    }

    /// The next member's unescaped name; `None` behind the last one.
    ///
    /// # Errors
    /// [`Error`] when the text up to here isn't valid, or there is more text behind the object.
    pub fn next_name(&mut self) -> Result<Option<Cow<'a, str>>, Error> {
        if self.state == State::Value {
            self.value()?;
        }
        let state = std::mem::replace(&mut self.state, State::Done);
        self.cursor.skip_white();
        match (state, self.cursor.peek()) {
            (State::Done, _) => Ok(None),
            (State::Start | State::AfterValue, Some(b'}')) => {
                self.cursor.at += 1;
                self.cursor.finish()?;
                Ok(None)
            }
            (State::Start, Some(_)) => self.name().map(Some),
            (State::AfterValue, Some(b',')) => {
                self.cursor.at += 1;
                self.name().map(Some)
            }
            (State::Start | State::AfterValue | State::Value, _) => Err(self.cursor.syntax()),
        }
    }

    /// The raw text of the value whose name was read last, white space within included; empty when it was taken already.
    ///
    /// # Errors
    /// [`Error`] when the value isn't valid.
    pub fn value(&mut self) -> Result<&'a [u8], Error> {
        if !self.take_value() {
            return Ok(&[]);
        }
        let value = raw_value(&mut self.cursor, self.limits, 1)?;
        self.state = State::AfterValue;
        Ok(value)
    }

    /// Hands out the raw elements of the array whose name was read last; none when it was taken already.
    ///
    /// # Errors
    /// [`Error::NotAnArray`] for another value, [`Error`] when it isn't valid, or what `each` fails with.
    pub fn elements<E: From<Error>>(&mut self, mut each: impl FnMut(&'a [u8]) -> Result<(), E>) -> Result<(), E> {
        let limits = self.limits;
        self.array(|cursor| each(raw_value(cursor, limits, 2)?))
    }

    /// Scans the elements of the array whose name was read last as documents, and hands out raw text and document; none
    /// when it was taken already. Each document may be as deep as one that comes alone.
    ///
    /// This reads the text once, where [`elements`](Self::elements) and [`scan_document`](crate::scan_document) would
    /// read it twice.
    ///
    /// # Errors
    /// [`Error::NotAnArray`] for another value, [`Error::NotAnObject`] for another element, [`Error`] when it isn't
    /// valid, or what `each` fails with.
    pub fn documents<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(&'a [u8], Document<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let limits = self.limits;
        let mut scanner = Scanner::default();
        self.array(|cursor| {
            let start = cursor.at;
            let document = scanner.scan(cursor, limits)?;
            each(cursor.slice(start, cursor.at).as_bytes(), document)
        })
    }

    fn array<E: From<Error>>(&mut self, element: impl FnMut(&mut Cursor<'a>) -> Result<(), E>) -> Result<(), E> {
        if !self.take_value() {
            return Ok(());
        }
        each_element(&mut self.cursor, element)?;
        self.state = State::AfterValue;
        Ok(())
    }

    /// Whether a value is to be had. Until it is read whole, nothing else is.
    fn take_value(&mut self) -> bool {
        let is_value = self.state == State::Value;
        if is_value {
            self.state = State::Done;
        }
        is_value
    }

    fn name(&mut self) -> Result<Cow<'a, str>, Error> {
        self.cursor.skip_white();
        let token = self.cursor.string().ok_or_else(|| self.cursor.syntax())?;
        self.cursor.skip_white();
        if self.cursor.peek() != Some(b':') {
            return Err(self.cursor.syntax());
        }
        self.cursor.at += 1;
        self.cursor.skip_white();
        self.state = State::Value;
        let inside = self.cursor.inside(token);
        Ok(match token.form {
            Form::Plain => Cow::Borrowed(inside),
            Form::Canonical | Form::Other => Cow::Owned(unescape(inside)),
        })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(Cow<'a, str>, &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = match self.next_name() {
            Ok(name) => name?,
            Err(fault) => return Some(Err(fault)),
        };
        Some(self.value().map(|value| (name, value)))
    }
}

/// Checks a whole text that is an array, and hands out its raw elements.
///
/// The text is known to be valid JSON when this has returned, not while elements come.
///
/// # Errors
/// [`Error`] when the text isn't a valid array, or what `each` fails with.
pub fn split_array<'a, E: From<Error>>(
    text: &'a [u8],
    limits: Limits,
    mut each: impl FnMut(&'a [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = Cursor::new(text)?;
    cursor.skip_white();
    each_element(&mut cursor, |cursor| each(raw_value(cursor, limits, 1)?))?;
    Ok(cursor.finish()?)
}

/// Reads the array at the cursor; `element` reads one value.
fn each_element<'a, E: From<Error>>(
    cursor: &mut Cursor<'a>,
    mut element: impl FnMut(&mut Cursor<'a>) -> Result<(), E>,
) -> Result<(), E> {
    if cursor.peek() != Some(b'[') {
        return Err(E::from(Error::NotAnArray { offset: cursor.at }));
    }
    cursor.at += 1;
    cursor.skip_white();
    if cursor.peek() == Some(b']') {
        cursor.at += 1;
        return Ok(());
    }
    loop {
        element(cursor)?;
        cursor.skip_white();
        match cursor.peek() {
            Some(b',') => cursor.at += 1,
            Some(b']') => break,
            Some(_) | None => return Err(E::from(cursor.syntax())),
        }
        cursor.skip_white();
    }
    cursor.at += 1;
    Ok(())
}

fn raw_value<'a>(cursor: &mut Cursor<'a>, limits: Limits, outside: usize) -> Result<&'a [u8], Error> {
    let start = cursor.at;
    walk(cursor, limits, outside, &mut Check)?;
    Ok(cursor.slice(start, cursor.at).as_bytes())
}
