//! The grammar: walks one value of any depth and tells a visitor what it passes. Iterative, so depth costs no stack.

use std::ops::Range;

use crate::cursor::{Cursor, Token};
use crate::{Error, Limits};

/// What is told about a value on the way. Offsets are those of the text.
pub(crate) trait Visit {
    /// White space between tokens; may be empty where the text is about to be refused.
    fn white(&mut self, gap: Range<usize>);
    /// `{` at the offset.
    fn object_start(&mut self, at: usize);
    /// A member's name; its value follows.
    fn name(&mut self, token: Token);
    /// A string that is a value.
    fn string(&mut self, token: Token);
    /// The offset after a member's value.
    fn member_end(&mut self, at: usize);
    /// The offset after `}`.
    fn object_end(&mut self, at: usize);
}

/// Checks, and remembers nothing.
pub(crate) struct Check;

impl Visit for Check {
    fn white(&mut self, _: Range<usize>) {}
    fn object_start(&mut self, _: usize) {}
    fn name(&mut self, _: Token) {}
    fn string(&mut self, _: Token) {}
    fn member_end(&mut self, _: usize) {}
    fn object_end(&mut self, _: usize) {}
}

/// Walks the value at the cursor, which stands within `outside` containers, and leaves the cursor behind it.
pub(crate) fn walk<V: Visit>(
    cursor: &mut Cursor<'_>,
    limits: Limits,
    outside: usize,
    visit: &mut V,
) -> Result<(), Error> {
    let mut walk = Walk { cursor: *cursor, visit, limits, outside, open: Open::default() };
    let outcome = walk.run();
    *cursor = walk.cursor;
    outcome.map_err(|fault| match fault {
        Fault::Syntax => cursor.syntax(),
        Fault::TooDeep => Error::TooDeep { offset: cursor.at, limit: limits.depth_max },
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// The containers that are open: a bit each, the innermost 64 at hand.
#[derive(Default)]
struct Open {
    /// The lowest bit is the innermost; 1 is an object.
    bits: u64,
    depth: usize,
    outer: Vec<u64>,
}

impl Open {
    #[inline(always)]
    fn innermost(&self) -> Option<Container> {
        if self.depth == 0 {
            return None;
        }
        Some(if self.bits & 1 == 1 { Container::Object } else { Container::Array })
    }

    #[inline(always)]
    fn push(&mut self, container: Container) {
        if self.depth.is_multiple_of(64) && self.depth > 0 {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(container == Container::Object);
        self.depth += 1;
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth.is_multiple_of(64) && self.depth > 0 {
            self.bits = self.outer.pop().unwrap_or(0);
        }
    }
}

/// What stands at the cursor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Value,
    AfterValue,
}

/// What is wrong with what stands at the cursor. Smaller than an [`Error`], as it passes through every step.
enum Fault {
    Syntax,
    TooDeep,
}

struct Walk<'v, 'a, V> {
    cursor: Cursor<'a>,
    visit: &'v mut V,
    limits: Limits,
    outside: usize,
    open: Open,
}

impl<V: Visit> Walk<'_, '_, V> {
    #[inline(always)]
    fn run(&mut self) -> Result<(), Fault> {
        loop {
            let mut step = self.value()?;
            while step == Step::AfterValue {
                step = match self.open.innermost() {
                    None => return Ok(()),
                    Some(Container::Object) => self.after_member()?,
                    Some(Container::Array) => self.after_element()?,
                };
            }
        }
    }

    #[inline(always)]
    fn value(&mut self) -> Result<Step, Fault> {
        match self.cursor.peek() {
            Some(b'"') => {
                let token = self.cursor.string().ok_or(Fault::Syntax)?;
                self.visit.string(token);
            }
            Some(b'-' | b'0'..=b'9') => self.cursor.number().ok_or(Fault::Syntax)?,
            Some(b'{') => return self.object(),
            Some(b'[') => return self.array(),
            Some(b't') => self.cursor.word("true").ok_or(Fault::Syntax)?,
            Some(b'f') => self.cursor.word("false").ok_or(Fault::Syntax)?,
            Some(b'n') => self.cursor.word("null").ok_or(Fault::Syntax)?,
            Some(_) | None => return Err(Fault::Syntax),
        }
        Ok(Step::AfterValue)
    }

    #[inline(always)]
    fn after_member(&mut self) -> Result<Step, Fault> {
        self.visit.member_end(self.cursor.at);
        match self.peek_token() {
            Some(b',') => {
                self.cursor.at += 1;
                self.peek_token();
                self.name()
            }
            Some(b'}') => Ok(self.close_object()),
            Some(_) | None => Err(Fault::Syntax),
        }
    }

    #[inline(always)]
    fn after_element(&mut self) -> Result<Step, Fault> {
        match self.peek_token() {
            Some(b',') => {
                self.cursor.at += 1;
                self.peek_token();
                Ok(Step::Value)
            }
            Some(b']') => Ok(self.close_array()),
            Some(_) | None => Err(Fault::Syntax),
        }
    }

    #[inline(always)]
    fn object(&mut self) -> Result<Step, Fault> {
        self.visit.object_start(self.cursor.at);
        match self.open(Container::Object)? {
            Some(b'}') => Ok(self.close_object()),
            Some(_) | None => self.name(),
        }
    }

    #[inline(always)]
    fn array(&mut self) -> Result<Step, Fault> {
        match self.open(Container::Array)? {
            Some(b']') => Ok(self.close_array()),
            Some(_) | None => Ok(Step::Value),
        }
    }

    #[inline(always)]
    fn open(&mut self, container: Container) -> Result<Option<u8>, Fault> {
        if self.outside + self.open.depth >= self.limits.depth_max {
            return Err(Fault::TooDeep);
        }
        self.open.push(container);
        self.cursor.at += 1;
        Ok(self.peek_token())
    }

    #[inline(always)]
    fn close_object(&mut self) -> Step {
        self.cursor.at += 1;
        self.open.pop();
        self.visit.object_end(self.cursor.at);
        Step::AfterValue
    }

    #[inline(always)]
    fn close_array(&mut self) -> Step {
        self.cursor.at += 1;
        self.open.pop();
        Step::AfterValue
    }

    /// A name, its colon and the white space around that.
    #[inline(always)]
    fn name(&mut self) -> Result<Step, Fault> {
        let token = self.cursor.string().ok_or(Fault::Syntax)?;
        self.visit.name(token);
        if self.peek_token() != Some(b':') {
            return Err(Fault::Syntax);
        }
        self.cursor.at += 1;
        self.peek_token();
        Ok(Step::Value)
    }

    /// The first byte of the next token, after white space.
    #[inline(always)]
    fn peek_token(&mut self) -> Option<u8> {
        match self.cursor.peek() {
            Some(byte) if byte > b' ' => Some(byte),
            _ => {
                let start = self.cursor.at;
                self.cursor.at = self.cursor.after_white();
                self.visit.white(start..self.cursor.at);
                self.cursor.peek()
            }
        }
    }
}
