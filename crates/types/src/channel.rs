//! Names of channels.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// The name of a channel: any text but an empty one, without a comma; at most 1,024 bytes. Cheap to clone.
///
/// Source: Sync Gateway, which separates channels by commas in `_changes?channels=`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(Arc<str>);

/// Why a text is no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// There is nothing in it.
    #[error("a channel's name can't be empty")]
    Empty,
    /// There is a comma in it.
    #[error("a channel's name can't have a comma in it")]
    Comma,
    /// Longer than [`Channel::BYTES_MAX`].
    #[error("a channel's name can't be longer than {} bytes", Channel::BYTES_MAX)]
    TooLong,
}

impl Channel {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 1_024;

    /// `*`, for a user: every document.
    pub fn all() -> Self {
        Self("*".into())
    }

    /// `!`, for a document: every user.
    pub fn public() -> Self {
        Self("!".into())
    }

    /// Whether this is `*`.
    pub fn is_all(&self) -> bool {
        self.as_str() == "*"
    }

    /// Whether this is `!`.
    pub fn is_public(&self) -> bool {
        self.as_str() == "!"
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        if text.is_empty() {
            return Err(ChannelError::Empty);
        }
        if text.contains(',') {
            return Err(ChannelError::Comma);
        }
        if text.len() > Self::BYTES_MAX { Err(ChannelError::TooLong) } else { Ok(Self(text.into())) }
    }
}

impl Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_would_be_two_channels() {
        let parse = |text: &str| text.parse::<Channel>().map(|channel| channel.to_string());
        assert_eq!(parse("a b/ü"), Ok("a b/ü".to_owned()));
        assert_eq!(parse("*"), Ok("*".to_owned()));
        assert_eq!(parse(""), Err(ChannelError::Empty));
        assert_eq!(parse("a,b"), Err(ChannelError::Comma));
        assert!(parse(&"x".repeat(Channel::BYTES_MAX)).is_ok());
        assert_eq!(parse(&"x".repeat(Channel::BYTES_MAX + 1)), Err(ChannelError::TooLong));
    }
}
