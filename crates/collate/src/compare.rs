//! Two values side by side, without a tree and without recursion.

use std::cmp::Ordering;

use tidegate_json::{Kind, Literal, Reader};

use crate::number::compare_numbers;
use crate::string::compare_literals;

/// How the values `a` and `b`, given as JSON text, are ordered.
///
/// A total order of values; different texts may be equal (`1` and `1.0`, `"a"` and `"\u0061"`, characters that collation
/// ignores).
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    compare_by(a, b, compare_literals, compare_numbers)
}

/// The same with an order of one's own for strings, names among them, and for the texts of numbers.
pub fn compare_by(
    a: &[u8],
    b: &[u8],
    strings: impl Fn(&Literal<'_>, &Literal<'_>) -> Ordering,
    numbers: impl Fn(&[u8], &[u8]) -> Ordering,
) -> Ordering {
    let mut pair = Pair { a: Reader::new(a), b: Reader::new(b), open: Vec::new() };
    loop {
        let order = pair.values(&strings, &numbers).then_with(|| pair.next_values(&strings));
        if order.is_ne() || pair.open.is_empty() {
            return order;
        }
    }
}

/// Two readers at the same place of values that are equal up to there.
struct Pair<'a, 'b> {
    a: Reader<'a>,
    b: Reader<'b>,
    /// The arrays and objects around the place.
    open: Vec<Kind>,
}

impl Pair<'_, '_> {
    /// Compares the values at the place; arrays and objects are opened.
    #[inline]
    fn values(
        &mut self,
        strings: &impl Fn(&Literal<'_>, &Literal<'_>) -> Ordering,
        numbers: &impl Fn(&[u8], &[u8]) -> Ordering,
    ) -> Ordering {
        let kind = self.a.kind();
        // `Kind`s are declared in their order.
        let order = kind.cmp(&self.b.kind());
        if order.is_ne() {
            return order;
        }
        match kind {
            Kind::Null | Kind::False | Kind::True => {
                self.a.skip();
                self.b.skip();
            }
            Kind::Number => return numbers(self.a.value(), self.b.value()),
            Kind::String => return strings(&self.a.string(), &self.b.string()),
            Kind::Array | Kind::Object => {
                self.a.open();
                self.b.open();
                self.open.push(kind);
            }
        }
        Ordering::Equal
    }

    /// Steps to the next pair of values, out of arrays and objects that end here; nothing stays open behind the last.
    #[inline]
    fn next_values(&mut self, strings: &impl Fn(&Literal<'_>, &Literal<'_>) -> Ordering) -> Ordering {
        while let Some(&kind) = self.open.last() {
            let (more_of_a, more_of_b) = if kind == Kind::Object {
                match (self.a.next_name(), self.b.next_name()) {
                    (Some(a), Some(b)) => return strings(&a, &b),
                    (a, b) => (a.is_some(), b.is_some()),
                }
            } else {
                (self.a.next_element(), self.b.next_element())
            };
            if more_of_a || more_of_b {
                return more_of_a.cmp(&more_of_b);
            }
            self.open.pop();
        }
        Ordering::Equal
    }
}
