//! A selector as it is written: its operators checked, nothing rearranged. CouchDB's `norm_ops`.

use tidegate_json::{Kind, Reader, scan_document};

use crate::error::shown;
use crate::test::Test;
use crate::{Document, Error, Limits};

/// A selector, or a part of one.
#[derive(Debug)]
pub(crate) enum Clause {
    And(Vec<Clause>),
    Or(Vec<Clause>),
    Nor(Vec<Clause>),
    Not(Box<Clause>),
    /// The rest is about a field of what it would be about.
    Field(String, Box<Clause>),
    /// About the value itself.
    Test(Test),
}

impl Clause {
    /// Reads a whole selector.
    pub(crate) fn parse(text: &[u8], limits: &Limits) -> Result<Self, Error> {
        if text.len() > limits.bytes_max {
            return Err(Error::TooLarge { what: "its length in bytes", max: limits.bytes_max });
        }
        let text = compact(text, limits)?;
        let mut reader = Reader::new(&text);
        reader.open();
        if reader.next_name().is_none() {
            return Ok(Self::And(Vec::new())); // Here alone, `{}` isn't a value to compare with.
        }
        Self::read(&text, limits)
    }

    /// Reads what may stand for a condition: an object of conditions, or a value to be equal to.
    fn read(raw: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(raw);
        let mut clauses = Vec::new();
        if reader.kind() == Kind::Object {
            reader.open();
            while let Some(name) = reader.next_name() {
                clauses.push(Self::member(&name.to_str(), reader.value(), limits)?);
            }
        }
        match (clauses.len(), clauses.pop()) {
            (1, Some(clause)) => Ok(clause),
            (_, Some(last)) => {
                clauses.push(last);
                Ok(Self::And(clauses))
            }
            (_, None) => Ok(Self::Test(Test::equal(raw))),
        }
    }

    fn member(name: &str, argument: &[u8], limits: &Limits) -> Result<Self, Error> {
        match name {
            "$and" => Ok(Self::And(Self::read_list("$and", argument, limits)?)),
            "$or" => Ok(Self::Or(Self::read_list("$or", argument, limits)?)),
            "$nor" => Ok(Self::Nor(Self::read_list("$nor", argument, limits)?)),
            "$not" => Ok(Self::Not(Box::new(Self::read_object("$not", argument, limits)?))),
            operator if operator.starts_with('$') => Ok(Self::Test(Test::parse(operator, argument, limits)?)),
            field => Ok(Self::Field(field.to_owned(), Box::new(Self::read(argument, limits)?))),
        }
    }

    fn read_list(operator: &'static str, argument: &[u8], limits: &Limits) -> Result<Vec<Self>, Error> {
        let elements = elements(argument).ok_or_else(|| bad_argument(operator, argument))?;
        elements.into_iter().map(|element| Self::read(element, limits)).collect()
    }

    /// Reads an argument that must be an object.
    pub(crate) fn read_object(operator: &'static str, argument: &[u8], limits: &Limits) -> Result<Self, Error> {
        match Reader::new(argument).kind() {
            Kind::Object => Self::read(argument, limits),
            Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::String | Kind::Array => {
                Err(bad_argument(operator, argument))
            }
        }
    }
}

pub(crate) fn bad_argument(operator: &'static str, argument: &[u8]) -> Error {
    Error::BadArgument { operator, argument: shown(argument) }
}

/// The elements of an array, `None` for another value.
pub(crate) fn elements(raw: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = Reader::new(raw);
    if reader.kind() != Kind::Array {
        return None;
    }
    let mut elements = Vec::new();
    reader.open();
    while reader.next_element() {
        elements.push(reader.value());
    }
    Some(elements)
}

/// Checks that the text is an object, and takes white space and repeated names out of it.
fn compact(text: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let limits = tidegate_json::Limits { depth_max: limits.depth_max };
    let scanned = scan_document(text, limits).map_err(|fault| {
        if matches!(fault, tidegate_json::Error::NotAnObject { .. }) {
            Error::NotAnObject(shown(text.trim_ascii()))
        } else {
            Error::Json(fault)
        }
    })?;
    let special: Vec<(&str, &[u8])> = scanned.special.iter().map(|(name, value)| (&**name, &**value)).collect();
    Ok(Document { special: &special, members: &scanned.members }.to_text())
}
