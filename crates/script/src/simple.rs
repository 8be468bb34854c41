//! Sync functions so simple that they are decided without JavaScript.
//!
//! Most functions put a document into the channels that its members name, and require what they name. Such a one is a
//! list of calls, some only where there is an old document: it is read from its tokens once and then followed on the
//! documents' texts. Where it isn't sure what JavaScript would do (warnings, errors, escapes in strings) it doesn't decide,
//! and the function runs. That both decide the same is tested on random documents (`tests/simple.rs`).

use std::collections::BTreeMap;

use tidegate_json::{Kind, Limits, Members, Reader};
use tidegate_types::{Channel, Principal};

use crate::tokens::{Token, split, tokens};
use crate::{Rejection, SyncCaller, SyncInput, SyncOutcome, SyncUser};

/// Documents in more channels than this may be worth a warning, or an error.
const CHANNELS_MAX: usize = 50;
/// Longer names, in bytes, may be worth a warning.
const NAME_BYTES_MAX: usize = 250;
/// What every object has without being given it: no member of a document.
const INHERITED: &[&str] = &[
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
];
/// No names of variables, or odd ones.
const RESERVED: &str = "\
    arguments await break case catch class const continue debugger default delete do else enum eval \
    export extends false finally for function if implements import in instanceof interface let new null \
    package private protected public return static super switch this throw true try typeof undefined var \
    void while with yield";

/// A function as a list of what it does.
#[derive(Debug)]
pub(crate) struct Simple(Vec<Statement>);

#[derive(Debug)]
struct Statement {
    /// Whether there must be an old document, or must be none.
    needs_old: Option<bool>,
    call: Call,
    arguments: Vec<Argument>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Channel,
    Access,
    RequireUser,
    RequireRole,
    RequireAccess,
}

#[derive(Debug)]
enum Argument {
    Text(String),
    Member { of: Which, name: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    New,
    Old,
}

/// Why there is no decision: JavaScript has to say.
struct Unsure;

impl Simple {
    /// The function of this text, if it is that simple.
    pub(crate) fn of(source: &str) -> Option<Self> {
        let tokens = tokens(source)?;
        let (parameters, body) = split(&tokens)?;
        let name = match tokens.as_slice() {
            [Token::Word("function"), Token::Word(name), ..] => Some(*name),
            _ => None,
        };
        let is_free = |name: &&str| is_name(name) && Call::of(name).is_none();
        if !parameters.iter().chain(&name).all(is_free) {
            return None;
        }
        let end = body.iter().rposition(|token| *token == Token::Mark("}"))?;
        let mut reader = Source { tokens: body.get(1..end)?, parameters: &parameters, statements: Vec::new() };
        reader.read_all()?;
        Some(Self(reader.statements))
    }

    /// What the function decides, if that is sure.
    pub(crate) fn decide(&self, input: &SyncInput) -> Option<SyncOutcome> {
        if input.meta.is_some() {
            return None;
        }
        let mut deciding = Deciding {
            new: self.members(Which::New, &input.document).ok()?,
            old: match &input.old_document {
                Some(old) => Some(self.members(Which::Old, old).ok()?),
                None => None,
            },
            user: match &input.caller {
                SyncCaller::Unrestricted => None,
                SyncCaller::User(user) => Some(user),
            },
            channels: Vec::new(),
            access: BTreeMap::new(),
        };
        for statement in &self.0 {
            if statement.needs_old.is_some_and(|needs_old| needs_old != deciding.old.is_some()) {
                continue;
            }
            if let Some(message) = deciding.follow(statement).ok()? {
                let rejection = Some(Rejection::Forbidden(message.to_owned()));
                return Some(SyncOutcome { rejection, ..SyncOutcome::default() });
            }
        }
        Some(deciding.finish())
    }

    /// The members that are read of a document; of a repeated one the last.
    fn members<'t>(&self, which: Which, text: &'t [u8]) -> Result<Read<'_, 't>, Unsure> {
        let arguments = self.0.iter().flat_map(|statement| &statement.arguments);
        let mut read: Read<'_, 't> = arguments
            .filter_map(|argument| match argument {
                Argument::Member { of, name } if *of == which => Some((name.as_str(), None)),
                Argument::Member { .. } | Argument::Text(_) => None,
            })
            .collect();
        let mut members = Members::new(text, Limits { depth_max: DEPTH_MAX })?;
        while let Some(name) = members.next_name()? {
            if let Some((_, value)) = read.iter_mut().find(|(read, _)| *read == name) {
                *value = Some(members.value()?);
            }
        }
        Ok(read)
    }
}

/// Members that are read of a document, and their texts.
type Read<'s, 't> = Vec<(&'s str, Option<&'t [u8]>)>;

/// Deeper documents are left to JavaScript.
const DEPTH_MAX: usize = 100;

impl From<tidegate_json::Error> for Unsure {
    fn from(_: tidegate_json::Error) -> Self {
        Self
    }
}

/// The tokens of a body, being read.
struct Source<'t> {
    tokens: &'t [Token<'t>],
    parameters: &'t [&'t str],
    statements: Vec<Statement>,
}

impl Source<'_> {
    fn read_all(&mut self) -> Option<()> {
        while !self.tokens.is_empty() {
            if self.takes(&[Token::Mark(";")]) {
                continue;
            }
            if self.takes(&[Token::Word("if"), Token::Mark("(")]) {
                self.read_if()?;
            } else {
                self.read_call(None)?;
            }
        }
        Some(())
    }

    /// `if (oldDoc)` or `if (!oldDoc)`, and a call or a block of them.
    fn read_if(&mut self) -> Option<()> {
        let needs_old = !self.takes(&[Token::Mark("!")]);
        let old = *self.parameters.get(1)?;
        if !self.takes(&[Token::Word(old), Token::Mark(")")]) {
            return None;
        }
        if !self.takes(&[Token::Mark("{")]) {
            return self.read_call(Some(needs_old));
        }
        while !self.takes(&[Token::Mark("}")]) {
            self.read_call(Some(needs_old))?;
        }
        Some(())
    }

    /// A call of a function of ours, with its semicolon.
    fn read_call(&mut self, needs_old: Option<bool>) -> Option<()> {
        let [Token::Word(word), Token::Mark("("), rest @ ..] = self.tokens else { return None };
        let call = Call::of(word)?;
        self.tokens = rest;
        let mut arguments = Vec::new();
        loop {
            arguments.push(self.read_argument()?);
            if self.takes(&[Token::Mark(")")]) {
                break;
            }
            if !self.takes(&[Token::Mark(",")]) {
                return None;
            }
        }
        let is_last = matches!(self.tokens, [] | [Token::Mark("}"), ..]);
        if !self.takes(&[Token::Mark(";")]) && !is_last {
            return None;
        }
        let takes = match call {
            Call::Channel => arguments.len(),
            Call::Access => 2,
            Call::RequireUser | Call::RequireRole | Call::RequireAccess => 1,
        };
        self.statements.push(Statement { needs_old, call, arguments });
        (self.statements.last()?.arguments.len() == takes).then_some(())
    }

    fn read_argument(&mut self) -> Option<Argument> {
        match self.tokens {
            [Token::Literal(text), rest @ ..] => {
                self.tokens = rest;
                let text = text.strip_prefix(['"', '\''])?.strip_suffix(['"', '\''])?;
                (!text.contains('\\')).then(|| Argument::Text(text.to_owned()))
            }
            [Token::Word(of), Token::Mark("."), Token::Word(name), rest @ ..] => {
                self.tokens = rest;
                let which = match self.parameters.iter().position(|parameter| parameter == of)? {
                    0 => Which::New,
                    1 => Which::Old,
                    _ => return None,
                };
                let is_own = is_ascii_name(name) && !name.starts_with("__") && !INHERITED.contains(name);
                is_own.then(|| Argument::Member { of: which, name: (*name).to_owned() })
            }
            _ => None,
        }
    }

    fn takes(&mut self, wanted: &[Token<'_>]) -> bool {
        let is_next = self.tokens.starts_with(wanted);
        if is_next {
            self.tokens = self.tokens.get(wanted.len()..).unwrap_or_default();
        }
        is_next
    }
}

impl Call {
    fn of(word: &str) -> Option<Self> {
        match word {
            "channel" => Some(Self::Channel),
            "access" => Some(Self::Access),
            "requireUser" => Some(Self::RequireUser),
            "requireRole" => Some(Self::RequireRole),
            "requireAccess" => Some(Self::RequireAccess),
            _ => None,
        }
    }

    /// Whether a user has what one of these names; for other calls, there is nothing to have. Or the message.
    fn check(self, user: &SyncUser, names: &[&str]) -> Option<&'static str> {
        let (has, message) = match self {
            Self::Channel | Self::Access => return None,
            Self::RequireUser => (!user.name.is_empty() && names.contains(&user.name.as_str()), "sg wrong user"),
            Self::RequireRole => (names.iter().any(|name| user.has_role(name)), "sg missing role"),
            Self::RequireAccess => (names.iter().any(|name| user.reads(name)), "sg missing channel access"),
        };
        (!has).then_some(message)
    }
}

/// A decision under way.
struct Deciding<'s, 't> {
    new: Read<'s, 't>,
    old: Option<Read<'s, 't>>,
    /// `None` where nothing is required.
    user: Option<&'t SyncUser>,
    channels: Vec<Channel>,
    access: BTreeMap<Principal, Vec<Channel>>,
}

impl<'t> Deciding<'_, 't> {
    /// Does what a call does; the message by which it rejects the document, if it does.
    fn follow(&mut self, statement: &'t Statement) -> Result<Option<&'static str>, Unsure> {
        let names = |argument| self.names(argument);
        let mut named = statement.arguments.iter().map(names).collect::<Result<Vec<_>, _>>()?.into_iter();
        match statement.call {
            Call::Channel => {
                for name in named.flatten() {
                    self.channels.push(channel(name)?);
                }
            }
            Call::Access => {
                let (to, channels) = (named.next().unwrap_or_default(), named.next().unwrap_or_default());
                for to in to {
                    let granted = self.access.entry(to.parse().map_err(|_illegal| Unsure)?).or_default();
                    for name in &channels {
                        granted.push(channel(name)?);
                    }
                }
                self.access.retain(|_, channels| !channels.is_empty());
            }
            call @ (Call::RequireUser | Call::RequireRole | Call::RequireAccess) => {
                let named = named.next().unwrap_or_default();
                return Ok(self.user.and_then(|user| call.check(user, &named)));
            }
        }
        let granted = self.access.values().map(Vec::len).max().unwrap_or_default();
        let is_many = self.channels.len().max(granted).max(self.access.len()) > CHANNELS_MAX;
        if is_many { Err(Unsure) } else { Ok(None) }
    }

    /// The strings that an argument is, or that its array holds.
    fn names(&self, argument: &'t Argument) -> Result<Vec<&'t str>, Unsure> {
        let (of, name) = match argument {
            Argument::Text(text) => return Ok(vec![text]),
            Argument::Member { of, name } => (of, name),
        };
        let read = match of {
            Which::New => &self.new,
            Which::Old => self.old.as_ref().ok_or(Unsure)?,
        };
        let Some(text) = read.iter().find(|(read, _)| read == name).and_then(|(_, text)| *text) else {
            return Ok(Vec::new());
        };
        strings(text)
    }

    fn finish(mut self) -> SyncOutcome {
        sort(&mut self.channels);
        self.access.values_mut().for_each(sort);
        let access = self.access.into_iter().collect();
        SyncOutcome { channels: self.channels, access, ..SyncOutcome::default() }
    }
}

fn sort(channels: &mut Vec<Channel>) {
    channels.sort_unstable();
    channels.dedup();
}

fn channel(name: &str) -> Result<Channel, Unsure> {
    if name.len() > NAME_BYTES_MAX { Err(Unsure) } else { name.parse().map_err(|_illegal| Unsure) }
}

/// The strings in a value that was checked: itself, or those in its array, `null` left out.
fn strings(text: &[u8]) -> Result<Vec<&str>, Unsure> {
    let mut reader = Reader::new(text);
    let mut strings = Vec::new();
    match reader.kind() {
        Kind::Null => {}
        Kind::String => strings.push(plain(reader.value())?),
        Kind::Array => {
            reader.open();
            while reader.next_element() {
                match reader.kind() {
                    Kind::Null => reader.skip(),
                    Kind::String => strings.push(plain(reader.value())?),
                    Kind::False | Kind::True | Kind::Number | Kind::Array | Kind::Object => return Err(Unsure),
                }
            }
        }
        Kind::False | Kind::True | Kind::Number | Kind::Object => return Err(Unsure),
    }
    Ok(strings)
}

/// The text of a string literal without escapes.
fn plain(literal: &[u8]) -> Result<&str, Unsure> {
    let inside = literal.strip_prefix(b"\"").and_then(|inside| inside.strip_suffix(b"\"")).ok_or(Unsure)?;
    if inside.contains(&b'\\') { Err(Unsure) } else { std::str::from_utf8(inside).map_err(|_not_text| Unsure) }
}

/// Whether it surely is the name of a variable.
fn is_name(word: &str) -> bool {
    is_ascii_name(word) && RESERVED.split(' ').all(|reserved| reserved != word)
}

fn is_ascii_name(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_simple() {
        let simple = |body: &str| Simple::of(&format!("function (doc, oldDoc, meta) {{ {body} }}")).is_some();
        for body in [
            "",
            "channel(doc.channels)",
            "channel(doc.channels, 'a', \"b\");;",
            "if (oldDoc) requireAccess(oldDoc.channels); requireAccess(doc.channels); channel(doc.channels);",
            "if (!oldDoc) { requireUser(doc.owner); requireRole('editor') } access(doc.owner, doc.channels)",
        ] {
            assert!(simple(body), "{body}");
        }
        for body in [
            "channel()",
            "channel(doc.a.b)",
            "channel(doc['a'])",
            "channel(doc.a) channel(doc.b)",
            "channel(meta.a)",
            "channel(doc)",
            "channel(1)",
            "channel('\\x41')",
            "channel(doc.toString)",
            "channel(doc.__proto__)",
            "channel(doc.a + 'x')",
            "access(doc.owner)",
            "requireUser(doc.a, doc.b)",
            "if (doc) channel('a')",
            "if (oldDoc) channel('a'); else channel('b')",
            "if (oldDoc) if (oldDoc) channel('a')",
            "if (oldDoc) { channel('a') channel('b') }",
            "if (oldDoc) { channel('a')",
            "requireAdmin()",
            "var x; channel(doc.x)",
            "channel = doc.a",
        ] {
            assert!(!simple(body), "{body}");
        }
        for source in [
            "function channel(doc) { channel(doc.a) }",
            "function (channel) { channel('a') }",
            "function (if) { channel('a') }",
            "function (doc) { if (oldDoc) channel('a') }",
            "function (d–c) { channel('a') }",
            "channel('a')",
        ] {
            assert!(Simple::of(source).is_none(), "{source}");
        }
        assert!(Simple::of("(d, o) => { channel(d.a, o.b) }").is_some());
    }
}
