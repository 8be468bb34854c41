//! Documents of the `_users` database: what they say of a user, who may read and write them, and what becomes of the
//! password in them.
//!
//! Documents come and go as the text of their members, without the braces: `"name":"ada","roles":[]`. Who writes one
//! takes these steps: [`check_writer`], [`Requirements::check_document`],
//! [`hash_password`], [`check_update`] or [`check_delete`].

mod read;
mod record;
mod requirements;
mod rules;
mod write;

use serde_json::{Map, Value};

use crate::{Error, Security, UserCtx};

pub use read::{PublicFields, visible_members};
pub use record::UserRecord;
pub use requirements::Requirements;
pub use rules::{Label, Update, check_delete, check_update};
pub use write::{check_writer, hash_password, upgrade_password};

/// What the id of a user's document begins with; the name follows.
pub const ID_PREFIX: &str = "org.couchdb.user:";

/// The name in the id of a user's document; `None` for another document.
pub fn name_of_id(id: &str) -> Option<&str> {
    id.strip_prefix(ID_PREFIX)
}

/// Who reads or writes, and who administers the `_users` database.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Who reads or writes.
    pub user: &'a UserCtx,
    /// The security object of `_users`.
    pub security: &'a Security,
}

impl Author<'_> {
    fn is_admin(&self) -> bool {
        self.security.is_admin(self.user)
    }
}

/// The members as values, to be looked at; what is stored is the text.
fn parse_members(members: &[u8]) -> Result<Map<String, Value>, Error> {
    let values = serde_json::from_slice(&with_braces(members));
    values.map_err(|_invalid| Error::bad_request("Document must be a JSON object"))
}

fn with_braces(members: &[u8]) -> Vec<u8> {
    [b"{", members, b"}"].concat()
}
