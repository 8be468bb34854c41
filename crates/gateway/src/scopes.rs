//! The collections that a database's configuration names, `scopes: {scope: {collections: {name: {sync, import_filter}}}}`.
//!
//! Functions are kept with their collections, as the database's own is; the rest stays in the configuration. Source:
//! `spec/gateway.md` 2.2, Sync Gateway 4.2.

use crate::error::Error;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tidegate_engine::{CollectionPlan, Collections, Database, SyncPlan};
use tidegate_types::CollectionName;

const SCOPES: &str = "scopes";
const COLLECTIONS: &str = "collections";
const SYNC: &str = "sync";
const IMPORT_FILTER: &str = "import_filter";

type Config = Map<String, Value>;

/// Whether a configuration names collections.
pub(crate) fn are_named(config: &Config) -> bool {
    config.get(SCOPES).and_then(Value::as_object).is_some_and(|scopes| !scopes.is_empty())
}

/// Refuses what names collections as they can't be.
///
/// # Errors
/// All that is wrong, a line for each.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    let scopes = members(config.get(SCOPES), SCOPES)?;
    let mut faults = Vec::new();
    if scopes.len() > 1 {
        let names: Vec<&str> = scopes.iter().map(|(name, _)| *name).collect();
        faults.push(format!("only one named scope is supported, but had {} ({})", names.len(), names.join(" ")));
        return refused(&faults);
    }
    for (scope, value) in scopes {
        let inside = members(Some(value), scope)?;
        check_keys(&inside, &[COLLECTIONS])?;
        let collections = members(value.get(COLLECTIONS), COLLECTIONS)?;
        if collections.is_empty() {
            faults.push(format!("must specify at least one collection in scope {scope}"));
        }
        for (key, what) in [(SYNC, "sync function"), (IMPORT_FILTER, "import filter")] {
            if config.get(key).is_some_and(|text| !text.is_null()) && !collections.is_empty() {
                faults.push(format!("cannot specify a database-level {what} with named scopes and collections"));
            }
        }
        for (name, value) in collections {
            check_keys(&members(Some(value), name)?, &[IMPORT_FILTER, SYNC])?;
            if CollectionName::new(scope, name).is_err() {
                faults.push(format!("invalid collection name {scope}.{name}"));
            }
            if [SYNC, IMPORT_FILTER].iter().any(|key| value.get(key).is_some_and(|f| !f.is_string() && !f.is_null())) {
                return Err(Error::bad_json(format!("the functions of collection {name} must be strings")));
            }
        }
    }
    refused(&faults)
}

/// Refuses a configuration whose scope isn't that of the one before.
///
/// # Errors
/// It isn't.
pub(crate) fn check_change(old: &Config, new: &Config) -> Result<(), Error> {
    let names = |config: &Config| -> BTreeSet<String> {
        config.get(SCOPES).and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect()
    };
    let (was, is) = (names(old), names(new));
    let is_said_now = was.is_empty() && is.len() == 1 && is.contains("_default");
    if was == is || is_said_now {
        Ok(())
    } else {
        refused(&["cannot change scopes after database creation".to_owned()])
    }
}

fn refused(faults: &[String]) -> Result<(), Error> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::bad_request(format!("{} errors:\n{}", faults.len(), faults.join("\n"))))
}

/// The members of an object; none where there is none.
fn members<'v>(value: Option<&'v Value>, name: &str) -> Result<Vec<(&'v str, &'v Value)>, Error> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(members)) => Ok(members.iter().map(|(name, value)| (name.as_str(), value)).collect()),
        Some(_) => Err(Error::bad_json(format!("{name} must be an object"))),
    }
}

fn check_keys(members: &[(&str, &Value)], known: &[&str]) -> Result<(), Error> {
    match members.iter().find(|(key, _)| !known.contains(key)) {
        Some((key, _)) => Err(Error::bad_request(format!("JSON Unknown Field: json: unknown field \"{key}\""))),
        None => Ok(()),
    }
}

/// What a configuration that was checked says of each collection.
fn collections(config: &Config) -> impl Iterator<Item = (CollectionName, &Value)> {
    let scopes = config.get(SCOPES).and_then(Value::as_object).into_iter().flatten();
    scopes.flat_map(|(scope, inside)| {
        let collections = inside.get(COLLECTIONS).and_then(Value::as_object).into_iter().flatten();
        collections.filter_map(move |(name, value)| Some((CollectionName::new(scope, name).ok()?, value)))
    })
}

/// The collections of a configuration with their functions. Those that `said` doesn't speak of keep theirs.
pub(crate) fn plans(config: &Config, said: &Config) -> Vec<CollectionPlan> {
    let plan = |(name, _): (CollectionName, &Value)| {
        let sync = match of(said, &name).map(|collection| collection.get(SYNC)) {
            None => SyncPlan::AsItIs,
            Some(Some(Value::String(source))) if !source.trim().is_empty() => SyncPlan::Source(source.clone()),
            Some(_) => SyncPlan::Default,
        };
        CollectionPlan { name, sync }
    };
    collections(config).map(plan).collect()
}

/// What a configuration says of one collection.
fn of<'c>(config: &'c Config, name: &CollectionName) -> Option<&'c Value> {
    config.get(SCOPES)?.get(name.scope())?.get(COLLECTIONS)?.get(name.name())
}

fn of_mut<'c>(config: &'c mut Config, name: &CollectionName) -> Option<&'c mut Map<String, Value>> {
    let scope = config.get_mut(SCOPES)?.get_mut(name.scope())?;
    scope.get_mut(COLLECTIONS)?.get_mut(name.name())?.as_object_mut()
}

/// Adds what is said now to what was said before: collections that aren't spoken of stay.
pub(crate) fn merge(old: &mut Config, new: &Config) {
    let Some(new) = new.get(SCOPES).filter(|scopes| scopes.is_object()) else { return };
    let scopes = old.entry(SCOPES).or_insert_with(|| Value::Object(Map::new()));
    merge_objects(scopes, new);
}

fn merge_objects(old: &mut Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in new {
                merge_objects(old.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (old, new) => old.clone_from(new),
    }
}

/// Takes the functions out that are kept elsewhere.
pub(crate) fn forget_functions(config: &mut Config) {
    let names: Vec<CollectionName> = collections(config).map(|(name, _)| name).collect();
    for name in names {
        if let Some(collection) = of_mut(config, &name) {
            collection.remove(SYNC);
        }
    }
}

/// Puts functions in where they are shown.
pub(crate) fn put_functions(config: &mut Config, functions: Vec<(CollectionName, String)>) {
    for (name, source) in functions {
        if let Some(collection) = of_mut(config, &name) {
            collection.insert(SYNC.to_owned(), source.into());
        }
    }
}

/// The functions of the collections in use that somebody set.
pub(crate) async fn functions(db: &Database) -> Result<Vec<(CollectionName, String)>, Error> {
    let names = match db.collections() {
        Collections::Default => Vec::new(),
        Collections::Named(names) => names.clone(),
    };
    let mut functions = Vec::new();
    for name in names {
        if let Some(source) = db.collection(&name).await?.sync_function().await? {
            functions.push((name, source));
        }
    }
    Ok(functions)
}

/// Where a configuration has what is said of a collection alone: with the collection, or, where there is none but the
/// default one, at the top.
pub(crate) fn place<'c>(config: &'c mut Config, name: &CollectionName) -> Option<&'c mut Config> {
    if are_named(config) { of_mut(config, name) } else { Some(config) }
}

/// What decides on channels where nobody says.
pub(crate) fn default_function(name: &CollectionName) -> String {
    if name.is_default() {
        return "function(doc){channel(doc.channels);}".to_owned();
    }
    format!("function(doc){{channel({});}}", Value::from(name.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check_refused(value: Value, reason: &str) {
        assert_eq!(check(&config(value)).unwrap_err().reason, reason);
    }

    #[test]
    fn what_cant_be_is_told() {
        let one = json!({ "collections": { "c": {} } });
        assert!(check(&config(json!({}))).is_ok());
        assert!(check(&config(json!({ "scopes": null }))).is_ok());
        assert!(check(&config(json!({ "scopes": { "s": one } }))).is_ok());
        check_refused(
            json!({ "scopes": { "s": one, "t": one } }),
            "1 errors:\nonly one named scope is supported, but had 2 (s t)",
        );
        check_refused(json!({ "scopes": { "s": {} } }), "1 errors:\nmust specify at least one collection in scope s");
        check_refused(
            json!({ "scopes": { "s": one }, "sync": "x", "import_filter": "y" }),
            "2 errors:\ncannot specify a database-level sync function with named scopes and collections\n\
             cannot specify a database-level import filter with named scopes and collections",
        );
        let illegal = json!({ "scopes": { "s": { "collections": { "_c": {}, "d.e": null } } } });
        check_refused(illegal, "2 errors:\ninvalid collection name s._c\ninvalid collection name s.d.e");
        let unknown = json!({ "scopes": { "s": { "collections": { "c": { "synk": 1 } } } } });
        check_refused(unknown, "JSON Unknown Field: json: unknown field \"synk\"");
        check_refused(json!({ "scopes": { "s": { "x": 1 } } }), "JSON Unknown Field: json: unknown field \"x\"");
        check_refused(json!({ "scopes": [] }), "Bad JSON: scopes must be an object");
        let number = json!({ "scopes": { "s": { "collections": { "c": { "sync": 1 } } } } });
        check_refused(number, "Bad JSON: the functions of collection c must be strings");
    }

    #[test]
    fn a_scope_is_for_ever() {
        let of = |scope: &str| config(json!({ "scopes": { scope: { "collections": { "c": {} } } } }));
        let none = Config::new();
        assert!(check_change(&none, &none).is_ok() && check_change(&of("s"), &of("s")).is_ok());
        assert!(check_change(&none, &of("_default")).is_ok());
        for (old, new) in [(Config::new(), of("s")), (of("s"), Config::new()), (of("s"), of("t"))] {
            let refused = check_change(&old, &new).unwrap_err();
            assert_eq!(refused.reason, "1 errors:\ncannot change scopes after database creation");
        }
    }

    #[test]
    fn functions_are_set_where_they_are_spoken_of() {
        let mut old =
            config(json!({ "scopes": { "s": { "collections": { "c": { "import_filter": "f" }, "d": {} } } } }));
        let new = config(json!({ "scopes": { "s": { "collections": { "d": { "sync": "x" }, "e": {} } } } }));
        merge(&mut old, &new);
        let plans: Vec<String> =
            plans(&old, &new).iter().map(|plan| format!("{} {:?}", plan.name, plan.sync)).collect();
        assert_eq!(plans, ["s.c AsItIs", "s.d Source(\"x\")", "s.e Default"]);
        forget_functions(&mut old);
        let kept = json!({ "scopes": { "s": { "collections": { "c": { "import_filter": "f" }, "d": {}, "e": {} } } } });
        assert_eq!(Value::Object(old.clone()), kept);
        put_functions(&mut old, vec![("s.e".parse().unwrap(), "y".to_owned())]);
        assert_eq!(old["scopes"]["s"]["collections"]["e"], json!({ "sync": "y" }));
    }

    #[test]
    fn a_collections_default_is_its_name() {
        let text = |name: &str| default_function(&name.parse().unwrap());
        assert_eq!(text("_default._default"), "function(doc){channel(doc.channels);}");
        assert_eq!(text("s.c"), "function(doc){channel(\"c\");}");
    }
}
