//! What can be asked of one value.

use std::cmp::Ordering;

use fancy_regex::{Regex, RegexBuilder};
use tidegate_collate::{compare, compare_by, compare_numbers};
use tidegate_json::{Kind, Literal, Reader};

use crate::clause::{Clause, bad_argument, elements};
use crate::plan::Plan;
use crate::{Error, Limits};

/// Steps a regular expression with lookaround or back references may take on one string.
const BACKTRACK_MAX: usize = 100_000;
/// What one may take when compiled.
const REGEX_COMPILED_BYTES_MAX: usize = 1 << 20;

/// A condition on a value that is there.
#[derive(Debug)]
pub(crate) enum Test {
    Compare(Relation, Operand),
    /// Equal to one of these; for an array: an element is.
    In(Operands),
    NotIn(Operands),
    Exists(bool),
    Type(Option<Type>),
    Mod {
        divisor: i64,
        remainder: i64,
    },
    Size(u64),
    Regex(Box<Regex>),
    BeginsWith(String),
    All(Vec<Operand>),
    /// An element matches.
    ElementMatch(Box<Plan>),
    /// There are elements, and all match.
    AllMatch(Box<Plan>),
    /// A name of an object matches.
    KeyMapMatch(Box<Plan>),
    Not(Box<Test>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

/// JSON text to compare with.
pub(crate) type Operand = Box<[u8]>;

/// What `$type` tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As in views.
    Collated,
    /// Strings by their bytes, above all else: the order of document ids.
    Raw,
}

/// Values to be found among, in ascending order.
#[derive(Debug)]
pub(crate) struct Operands(Vec<Operand>);

impl Test {
    /// Reads an operator and its argument.
    pub(crate) fn parse(operator: &str, argument: &[u8], limits: &Limits) -> Result<Self, Error> {
        if let Some(relation) = Relation::parse(operator) {
            return Ok(Self::Compare(relation, argument.into()));
        }
        let sub_plan = |operator: &'static str| -> Result<Box<Plan>, Error> {
            Ok(Box::new(Plan::of_value(Clause::read_object(operator, argument, limits)?, limits)?))
        };
        match operator {
            "$in" => Ok(Self::In(Operands::parse("$in", argument)?)),
            "$nin" => Ok(Self::NotIn(Operands::parse("$nin", argument)?)),
            "$exists" => parse_exists(argument),
            "$type" => Ok(Self::Type(Type::parse(&parse_string("$type", argument)?))),
            "$mod" => parse_mod(argument),
            "$size" => parse_size(argument),
            "$regex" => parse_regex(argument, limits),
            "$beginsWith" => Ok(Self::BeginsWith(parse_string("$beginsWith", argument)?)),
            "$all" => {
                let operands = elements(argument).ok_or_else(|| bad_argument("$all", argument))?;
                Ok(Self::All(operands.into_iter().map(Operand::from).collect()))
            }
            "$elemMatch" => Ok(Self::ElementMatch(sub_plan("$elemMatch")?)),
            "$allMatch" => Ok(Self::AllMatch(sub_plan("$allMatch")?)),
            "$keyMapMatch" => Ok(Self::KeyMapMatch(sub_plan("$keyMapMatch")?)),
            "$text" | "$default" | "$where" | "$near" | "$nearSphere" | "$geoWithin" | "$geoIntersects" => {
                Err(Error::NotSupported(operator.to_owned()))
            }
            unknown => Err(Error::InvalidOperator(unknown.to_owned())),
        }
    }

    /// The implicit operator.
    pub(crate) fn equal(raw: &[u8]) -> Self {
        Self::Compare(Relation::Equal, raw.into())
    }

    /// What matches every value that is there and this doesn't match.
    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Compare(relation, operand) => Self::Compare(relation.negated(), operand),
            Self::In(operands) => Self::NotIn(operands),
            Self::NotIn(operands) => Self::In(operands),
            Self::Exists(wanted) => Self::Exists(!wanted),
            Self::Not(test) => *test,
            Self::Type(_)
            | Self::Mod { .. }
            | Self::Size(_)
            | Self::Regex(_)
            | Self::BeginsWith(_)
            | Self::All(_)
            | Self::ElementMatch(_)
            | Self::AllMatch(_)
            | Self::KeyMapMatch(_) => Self::Not(Box::new(self)),
        }
    }

    /// Makes ready for comparing in `order`.
    pub(crate) fn prepare(&mut self, order: Order) {
        match self {
            Self::In(operands) | Self::NotIn(operands) => operands.0.sort_by(|a, b| order.compare(a, b)),
            Self::Not(test) => test.prepare(order),
            Self::Compare(..)
            | Self::Exists(_)
            | Self::Type(_)
            | Self::Mod { .. }
            | Self::Size(_)
            | Self::Regex(_)
            | Self::BeginsWith(_)
            | Self::All(_)
            | Self::ElementMatch(_)
            | Self::AllMatch(_)
            | Self::KeyMapMatch(_) => {}
        }
    }

    /// Whether the value `raw` matches.
    pub(crate) fn holds(&self, raw: &[u8], order: Order) -> bool {
        match self {
            Self::Compare(relation, operand) => relation.holds(order.compare(raw, operand)),
            Self::In(operands) => operands.contain(raw, order),
            Self::NotIn(operands) => !operands.contain(raw, order),
            Self::Exists(wanted) => *wanted,
            Self::Type(wanted) => *wanted == Some(Type::of(Reader::new(raw).kind())),
            Self::Mod { divisor, remainder } => remainder_of(raw, *divisor) == Some(i128::from(*remainder)),
            Self::Size(wanted) => array_len(raw) == Some(*wanted),
            Self::Regex(regex) => string_holds(raw, |text| regex.is_match(text).unwrap_or(false)),
            Self::BeginsWith(prefix) => string_holds(raw, |text| text.starts_with(&**prefix)),
            Self::All(operands) => holds_all(raw, operands),
            Self::ElementMatch(plan) => any_element(raw, |element| plan.matches_value(element)),
            Self::AllMatch(plan) => {
                array_len(raw).is_some_and(|len| len > 0) && !any_element(raw, |element| !plan.matches_value(element))
            }
            Self::KeyMapMatch(plan) => any_name(raw, |name| plan.matches_value(name)),
            Self::Not(test) => !test.holds(raw, order),
        }
    }
}

impl Relation {
    fn parse(operator: &str) -> Option<Self> {
        Some(match operator {
            "$lt" => Self::Less,
            "$lte" => Self::LessOrEqual,
            "$eq" => Self::Equal,
            "$ne" => Self::NotEqual,
            "$gte" => Self::GreaterOrEqual,
            "$gt" => Self::Greater,
            _ => return None,
        })
    }

    fn negated(self) -> Self {
        match self {
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::GreaterOrEqual => Self::Less,
            Self::Greater => Self::LessOrEqual,
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Greater => order.is_gt(),
        }
    }
}

impl Type {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Null => Self::Null,
            Kind::False | Kind::True => Self::Boolean,
            Kind::Number => Self::Number,
            Kind::String => Self::String,
            Kind::Array => Self::Array,
            Kind::Object => Self::Object,
        }
    }
}

impl Order {
    #[inline]
    fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Collated => compare(a, b),
            Self::Raw => compare_raw(a, b),
        }
    }
}

fn compare_raw(a: &[u8], b: &[u8]) -> Ordering {
    let is_string = |raw| Reader::new(raw).kind() == Kind::String;
    match (is_string(a), is_string(b)) {
        (true, true) => compare_bytes(&Reader::new(a).string(), &Reader::new(b).string()),
        (false, false) => compare(a, b),
        (a, b) => a.cmp(&b),
    }
}

fn compare_bytes(a: &Literal<'_>, b: &Literal<'_>) -> Ordering {
    a.to_bytes().cmp(&b.to_bytes())
}

impl Operands {
    fn parse(operator: &'static str, argument: &[u8]) -> Result<Self, Error> {
        let operands = elements(argument).ok_or_else(|| bad_argument(operator, argument))?;
        Ok(Self(operands.into_iter().map(Operand::from).collect()))
    }

    fn contain(&self, raw: &[u8], order: Order) -> bool {
        let contain = |value: &[u8]| self.0.binary_search_by(|operand| order.compare(operand, value)).is_ok();
        match Reader::new(raw).kind() {
            Kind::Array => any_element(raw, contain),
            Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::String | Kind::Object => contain(raw),
        }
    }
}

fn parse_string(operator: &'static str, argument: &[u8]) -> Result<String, Error> {
    let text = tidegate_json::read_string(argument).ok_or_else(|| bad_argument(operator, argument))?;
    Ok(text.into_owned())
}

fn parse_exists(argument: &[u8]) -> Result<Test, Error> {
    match Reader::new(argument).kind() {
        Kind::True => Ok(Test::Exists(true)),
        Kind::False => Ok(Test::Exists(false)),
        Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => Err(bad_argument("$exists", argument)),
    }
}

fn parse_mod(argument: &[u8]) -> Result<Test, Error> {
    let numbers: Option<Vec<i64>> = elements(argument).and_then(|numbers| numbers.into_iter().map(integer).collect());
    match numbers.as_deref() {
        Some(&[divisor, remainder]) if divisor != 0 => Ok(Test::Mod { divisor, remainder }),
        Some(_) | None => Err(bad_argument("$mod", argument)),
    }
}

fn parse_size(argument: &[u8]) -> Result<Test, Error> {
    let size = integer(argument).and_then(|size| u64::try_from(size).ok());
    size.map(Test::Size).ok_or_else(|| bad_argument("$size", argument))
}

fn parse_regex(argument: &[u8], limits: &Limits) -> Result<Test, Error> {
    let pattern = parse_string("$regex", argument)?;
    if pattern.len() > limits.regex_bytes_max {
        return Err(Error::TooLarge { what: "the length of a $regex in bytes", max: limits.regex_bytes_max });
    }
    let mut builder = RegexBuilder::new(&pattern);
    builder.backtrack_limit(BACKTRACK_MAX).delegate_size_limit(REGEX_COMPILED_BYTES_MAX);
    // The cause tells nothing that the pattern doesn't, and CouchDB tells none.
    let Ok(regex) = builder.build() else { return Err(bad_argument("$regex", argument)) };
    Ok(Test::Regex(Box::new(regex)))
}

/// The text of a number that is an integer by its form.
fn integer_text(raw: &[u8]) -> Option<&str> {
    let is_integer = matches!(raw, [b'-' | b'0'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
    std::str::from_utf8(raw).ok().filter(|_| is_integer)
}

fn integer(raw: &[u8]) -> Option<i64> {
    integer_text(raw)?.parse().ok()
}

/// The remainder of an integer of any length; it has the integer's sign.
fn remainder_of(raw: &[u8], divisor: i64) -> Option<i128> {
    let text = integer_text(raw)?;
    let divisor = i128::from(divisor.unsigned_abs());
    let digits = text.trim_start_matches('-').bytes();
    let remainder = digits.fold(0, |sum, digit| (sum * 10 + i128::from(digit.saturating_sub(b'0'))) % divisor);
    Some(if text.starts_with('-') { -remainder } else { remainder })
}

fn string_holds(raw: &[u8], holds: impl FnOnce(&str) -> bool) -> bool {
    let mut reader = Reader::new(raw);
    reader.kind() == Kind::String && holds(&reader.string().to_str())
}

/// How many elements an array has; `None` for another value.
fn array_len(raw: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(raw);
    if reader.kind() != Kind::Array {
        return None;
    }
    let mut len = 0;
    reader.open();
    while reader.next_element() {
        reader.skip();
        len += 1;
    }
    Some(len)
}

/// Whether the value is an array and `holds` holds for an element.
fn any_element(raw: &[u8], mut holds: impl FnMut(&[u8]) -> bool) -> bool {
    let mut reader = Reader::new(raw);
    if reader.kind() != Kind::Array {
        return false;
    }
    reader.open();
    while reader.next_element() {
        if holds(reader.value()) {
            return true;
        }
    }
    false
}

/// Whether the value is an object and `holds` holds for the JSON text of a name.
fn any_name(raw: &[u8], mut holds: impl FnMut(&[u8]) -> bool) -> bool {
    let mut reader = Reader::new(raw);
    if reader.kind() != Kind::Object {
        return false;
    }
    reader.open();
    while let Some(name) = reader.next_name() {
        let mut text = Vec::new();
        tidegate_json::write_string(&mut text, &name.to_str());
        if holds(&text) {
            return true;
        }
        reader.skip();
    }
    false
}

/// Whether each operand is an element, or the only operand is the array itself.
fn holds_all(raw: &[u8], operands: &[Operand]) -> bool {
    if operands.is_empty() || Reader::new(raw).kind() != Kind::Array {
        return false;
    }
    let is_it = |operand: &Operand| compare_by(raw, operand, compare_bytes, compare_numbers).is_eq();
    operands.iter().all(|operand| any_element(raw, |element| is_identical(element, operand)))
        || matches!(operands, [operand] if is_it(operand))
}

/// The same in every respect but the way it is written: Erlang's `=:=`.
fn is_identical(a: &[u8], b: &[u8]) -> bool {
    let numbers = |a: &[u8], b: &[u8]| {
        integer_text(a).is_some().cmp(&integer_text(b).is_some()).then_with(|| compare_numbers(a, b))
    };
    compare_by(a, b, compare_bytes, numbers).is_eq()
}
