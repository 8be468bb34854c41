//! Passwords of a database's users: bcrypt, as Sync Gateway keeps them.
//!
//! Hashing takes some 50 ms of a processor on purpose: it belongs on a bounded pool of threads.

use super::Error;
use crate::verified::Kept;

/// A password as it is kept: the text of a bcrypt hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// Of new passwords, and of what an unknown user's are compared with.
const COST: u32 = 10;
/// Of hashes that come from elsewhere: each more doubles what a login costs.
const COST_MAX: u32 = 14;
/// bcrypt reads no more: a longer password would be as good as its beginning.
const PASSWORD_BYTES_MAX: usize = 72;
const PASSWORD_CHARS_MIN: usize = 3;
/// Version, cost, salt and hash, as `$2a$10$` and 53 characters.
const HASH_BYTES: usize = 60;
/// Where the salt ends.
const SALT_END: usize = 29;

impl PasswordHash {
    /// The password as it is to be kept. Slow.
    ///
    /// # Errors
    /// [`Error::LongPassword`] for one of which bcrypt would read the beginning alone.
    pub fn new(password: &str, salt: [u8; 16]) -> Result<Self, Error> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(Error::LongPassword);
        }
        let hashed = bcrypt::hash_with_salt(password, COST, salt).map_err(|_impossible| Error::BadHash)?;
        // The version that Go writes; what is hashed is the same.
        Ok(Self(hashed.format_for_version(bcrypt::Version::TwoA)))
    }

    /// A hash that was made elsewhere.
    ///
    /// # Errors
    /// [`Error::BadHash`] for what is no hash of bcrypt, or costs too much to compare with.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let cost = text.strip_prefix("$2").and_then(|rest| rest.get(2..4)?.parse::<u32>().ok());
        let is_hash = text.len() == HASH_BYTES
            && ["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version))
            && cost.is_some_and(|cost| (4..=COST_MAX).contains(&cost))
            && text.parse::<bcrypt::HashParts>().is_ok();
        if is_hash { Ok(Self(text.to_owned())) } else { Err(Error::BadHash) }
    }

    /// The text of the hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What tells this password from another of the same user, and nothing of it.
    pub fn salt(&self) -> &str {
        self.0.get(..SALT_END).unwrap_or_default()
    }

    /// Whether `password` is the one kept. Slow, and as slow where there is none (`None`), so that the time doesn't tell
    /// which users there are.
    pub fn verify(kept: Option<&Self>, password: &str) -> bool {
        let Some(kept) = kept else {
            // Seen by nobody, and yet not to be optimised away.
            std::hint::black_box(bcrypt::hash_with_salt(password, COST, [0; 16]).ok());
            return false;
        };
        bcrypt::verify(password, &kept.0).unwrap_or(false)
    }
}

/// Checks what a new password must be like.
///
/// # Errors
/// [`Error::EmptyPassword`], [`Error::ShortPassword`], [`Error::LongPassword`].
pub fn check_password(password: &str) -> Result<(), Error> {
    if password.is_empty() {
        return Err(Error::EmptyPassword);
    }
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Error::ShortPassword);
    }
    if password.len() > PASSWORD_BYTES_MAX { Err(Error::LongPassword) } else { Ok(()) }
}

impl Kept for PasswordHash {
    fn parts(&self) -> [&[u8]; 2] {
        [self.0.as_bytes(), b""]
    }
}

/// Without what would help to guess the password.
impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordHash").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognised_and_no_other() {
        let kept = PasswordHash::new("letmein", [7; 16]).unwrap();
        assert!(kept.as_str().starts_with("$2a$10$"), "{}", kept.as_str());
        assert_eq!(PasswordHash::parse(kept.as_str()).as_ref(), Ok(&kept));
        assert!(PasswordHash::verify(Some(&kept), "letmein"));
        assert!(!PasswordHash::verify(Some(&kept), "Letmein"));
        assert!(!PasswordHash::verify(None, "letmein"));
        assert_eq!(kept.salt().len(), "$2a$10$".len() + 22);
        assert!(!format!("{kept:?}").contains("$2a"));
    }

    #[test]
    fn hashes_from_elsewhere_are_taken_as_they_are() {
        // The vector of the original implementation: bcrypt of "U*U".
        let text = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let kept = PasswordHash::parse(text).unwrap();
        assert!(PasswordHash::verify(Some(&kept), "U*U"));
        assert!(!PasswordHash::verify(Some(&kept), "U*V"));
    }

    #[test]
    fn what_is_no_hash_or_too_dear_is_refused() {
        let rest = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        for text in [String::new(), format!("$2a$15${rest}"), format!("$2a$03${rest}"), format!("$1a$05${rest}")] {
            assert_eq!(PasswordHash::parse(&text), Err(Error::BadHash), "{text}");
        }
        assert_eq!(PasswordHash::parse("$2a$05$é"), Err(Error::BadHash));
    }

    #[test]
    fn new_passwords_have_a_length() {
        let check = |password: &str, expected| assert_eq!(check_password(password), expected, "{password}");
        check("", Err(Error::EmptyPassword));
        check("pw", Err(Error::ShortPassword));
        check("éé", Err(Error::ShortPassword));
        check("pwd", Ok(()));
        check(&"a".repeat(72), Ok(()));
        check(&"a".repeat(73), Err(Error::LongPassword));
        assert_eq!(PasswordHash::new(&"a".repeat(73), [1; 16]), Err(Error::LongPassword));
    }
}
