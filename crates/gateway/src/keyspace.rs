//! Keyspaces: a database, and what of it.

use crate::error::Error;
use tidegate_types::DbName;

/// `db`, `db.collection` or `db.scope.collection`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keyspace {
    pub(crate) text: String,
}

impl Keyspace {
    /// The database of the keyspace.
    ///
    /// # Errors
    /// No database can have this name.
    pub(crate) fn database(&self) -> Result<DbName, Error> {
        let name = self.text.split('.').next().unwrap_or_default();
        let parsed = name.parse::<DbName>();
        parsed.ok().filter(|name| !is_system(name)).ok_or_else(|| Error::no_database(name))
    }

    /// Refuses other collections than the default one: a database has no others yet.
    pub(crate) fn check_collection(&self) -> Result<(), Error> {
        let mut parts = self.text.split('.').skip(1);
        match (parts.next(), parts.next(), parts.next()) {
            (None | Some("_default"), None | Some("_default"), None) => Ok(()),
            _ => Err(Error::not_found(format!("keyspace {} not found", self.text))),
        }
    }
}

/// Whether the server keeps it for itself.
pub(crate) fn is_system(name: &DbName) -> bool {
    name.as_str().starts_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyspaces() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let keyspace = Keyspace { text: text.to_owned() };
            let found = keyspace.database().and_then(|name| keyspace.check_collection().map(|()| name.to_string()));
            assert_eq!(
                found.map_err(|error| error.reason.into_owned()),
                expected.map(str::to_owned).map_err(str::to_owned)
            );
        };
        check("db", Ok("db"));
        check("db._default", Ok("db"));
        check("db._default._default", Ok("db"));
        check("db.c", Err("keyspace db.c not found"));
        check("db.s.c", Err("keyspace db.s.c not found"));
        check("db._default._default.x", Err("keyspace db._default._default.x not found"));
        check("BAD", Err("no such database \"BAD\""));
        check("_users", Err("no such database \"_users\""));
    }
}
