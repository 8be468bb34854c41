//! From what the engine says went wrong to an [`Error`].

use rquickjs::{Ctx, Value};

use crate::{Error, Place};

/// What was thrown, as the harness tells it.
pub(crate) fn thrown(ctx: &Ctx<'_>, outcome: &Value<'_>) -> Error {
    let part = |name| outcome.as_object().and_then(|told| told.get::<_, String>(name).ok());
    match (part("error"), part("reason")) {
        (Some(error), Some(reason)) => {
            let place = part("stack").as_deref().and_then(place_of);
            classify(error, reason, place)
        }
        _ => fault_of(ctx, &rquickjs::Error::Unknown),
    }
}

/// The engine's own words for a limit are the limit.
fn classify(error: String, reason: String, place: Option<Place>) -> Error {
    match (error.as_str(), reason.as_str()) {
        ("InternalError", "out of memory") => Error::Memory,
        ("RangeError", "Maximum call stack size exceeded") => Error::Stack,
        _ => Error::Thrown { error, reason, place },
    }
}

/// What went wrong in the engine.
pub(crate) fn fault_of(ctx: &Ctx<'_>, fault: &rquickjs::Error) -> Error {
    if fault.is_exception() {
        exception(&ctx.catch())
    } else if matches!(fault, rquickjs::Error::Allocation) {
        Error::Memory
    } else {
        unexpected(fault)
    }
}

/// Memory may end while the exception is made, which leaves none.
fn exception(value: &Value<'_>) -> Error {
    let Some(object) = value.as_object() else {
        return match value.as_string().and_then(|text| text.to_string().ok()) {
            Some(reason) => Error::Thrown { error: "unknown_error".to_owned(), reason, place: None },
            None => Error::Memory,
        };
    };
    let part = |name| object.get::<_, String>(name).unwrap_or_default();
    classify(part("name"), part("message"), None)
}

pub(crate) fn unexpected(fault: &rquickjs::Error) -> Error {
    Error::Internal(fault.to_string())
}

/// An exception while compiling is the source's fault, unless a limit was reached.
pub(crate) fn compile_fault(ctx: &Ctx<'_>, fault: &rquickjs::Error) -> Error {
    if matches!(fault, rquickjs::Error::InvalidString(_)) {
        return Error::Compile { message: "NUL in source".to_owned(), place: None };
    }
    if !fault.is_exception() {
        return fault_of(ctx, fault);
    }
    let value = ctx.catch();
    let stack = value.as_object().and_then(|object| object.get::<_, String>("stack").ok());
    let place = stack.as_deref().and_then(place_of);
    let fault = exception(&value);
    let Error::Thrown { error, reason, .. } = fault else { return fault };
    let message = if error == "unknown_error" { reason } else { format!("{error}: {reason}") };
    Error::Compile { message, place }
}

/// The first place of the stack that is in the source. Our own code has another name, see `environment.rs`.
fn place_of(stack: &str) -> Option<Place> {
    let (_, place) = stack.split_once("eval_script:")?;
    let mut numbers = place.split(|each: char| !each.is_ascii_digit());
    let line = numbers.next()?.parse().ok()?;
    let column = numbers.next().and_then(|column| column.parse().ok()).unwrap_or(1);
    Some(Place { line, column })
}

impl Error {
    /// The same, where the engine sees the first line further right than it is.
    pub(crate) fn shifted(mut self, columns: u32) -> Self {
        if let Self::Compile { place: Some(place), .. } | Self::Thrown { place: Some(place), .. } = &mut self
            && place.line == 1
        {
            place.column = place.column.saturating_sub(columns).max(1);
        }
        self
    }
}
