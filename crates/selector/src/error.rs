//! Why a selector was refused: CouchDB's names and reasons. Which status to answer is the dialect's affair.

/// A selector that can't be. [`name`](Error::name) and `Display` are what CouchDB answers as `error` and `reason`.
///
/// Where CouchDB prints an argument as an Erlang term, it is JSON text here, and cut if it is long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text isn't JSON, or is nested too deep.
    #[error("invalid UTF-8 JSON")]
    Json(#[source] tidegate_json::Error),
    /// JSON, but no object.
    #[error("Selector must be a JSON object, not: {0}")]
    NotAnObject(String),
    /// A name with `$` that is no operator.
    #[error("Invalid operator: {0}")]
    InvalidOperator(String),
    /// An operator that CouchDB knows by name only, or that needs a text index.
    #[error("Unsupported operator: {0}")]
    NotSupported(String),
    /// An argument that its operator can't take.
    #[error("Bad argument for operator {operator}: {argument}")]
    BadArgument {
        /// The operator.
        operator: &'static str,
        /// The argument's text.
        argument: String,
    },
    /// A condition that is about no field.
    #[error("One or more conditions is missing a field name.")]
    MissingFieldName,
    /// A field's name, or a part of it, is empty.
    #[error("Invalid field name: {0}")]
    InvalidFieldName(String),
    /// More than a limit allows; CouchDB has none.
    #[error("The selector is too large: {what} is limited to {max}.")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl Error {
    /// CouchDB's name for the error.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "bad_request",
            Self::NotAnObject(_) => "invalid_selector_json",
            Self::InvalidOperator(_) => "invalid_operator",
            Self::NotSupported(_) => "not_supported",
            Self::BadArgument { .. } => "bad_arg",
            Self::MissingFieldName | Self::TooLarge { .. } => "invalid_selector",
            Self::InvalidFieldName(_) => "invalid_field_name",
        }
    }
}

/// How much of an argument is told.
const SHOWN_CHARS_MAX: usize = 200;

/// A raw value for an error to show.
pub(crate) fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
