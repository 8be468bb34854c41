//! Keyspaces: a database, and what of it.

use crate::error::Error;
use tidegate_engine::Database;
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

    /// Refuses what names a collection, where a database is asked for.
    pub(crate) fn check_whole(&self) -> Result<(), Error> {
        if self.text.contains('.') { Err(Error::no_database(&self.text)) } else { Ok(()) }
    }

    /// The scope and the collection that are named, as far as they are.
    fn named(&self) -> Option<(Option<&str>, Option<&str>)> {
        let parts: Vec<&str> = self.text.split('.').skip(1).collect();
        match *parts.as_slice() {
            [] => Some((None, None)),
            [collection] => Some((None, Some(collection))),
            [scope, collection] => Some((Some(scope), Some(collection))),
            _ => None,
        }
    }

    /// The database seen as the collection that is named.
    ///
    /// # Errors
    /// It has no such collection in use.
    pub(crate) async fn of(&self, db: &Database) -> Result<Database, Error> {
        let found = match self.named() {
            Some((scope, collection)) => db.keyspace(scope, collection).await?,
            None => None,
        };
        found.ok_or_else(|| Error::not_found(format!("keyspace {} not found", self.text)))
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
            let found = Keyspace { text: text.to_owned() }.database();
            assert_eq!(
                found.map(|name| name.to_string()).map_err(|error| error.reason.into_owned()),
                expected.map(str::to_owned).map_err(str::to_owned)
            );
        };
        for text in ["db", "db.c", "db.s.c", "db._default._default.x"] {
            check(text, Ok("db"));
        }
        check("BAD", Err("no such database \"BAD\""));
        check("_users", Err("no such database \"_users\""));
        let named = |text: &str| Keyspace { text: text.to_owned() }.named().map(|(s, c)| format!("{s:?} {c:?}"));
        assert_eq!(named("db").as_deref(), Some("None None"));
        assert_eq!(named("db.c").as_deref(), Some("None Some(\"c\")"));
        assert_eq!(named("db.s.c").as_deref(), Some("Some(\"s\") Some(\"c\")"));
        assert_eq!(named("db.s.c.d"), None);
        let whole =
            |text: &str| Keyspace { text: text.to_owned() }.check_whole().map_err(|error| error.reason.into_owned());
        assert_eq!((whole("db"), whole("db.s.c")), (Ok(()), Err("no such database \"db.s.c\"".to_owned())));
    }
}
