//! What a design document must be like to be stored: members of the right types, and functions that compile.
//!
//! CouchDB compiles the functions of views alone. Here functions that filter and judge are compiled, too, where somebody
//! edits the document; what is replicated is taken as another server took it.
//!
//! Source: `couch_mrview:validate`, `validate_ddoc_fields`, `couch_query_servers:try_compile`.

use crate::{Error, Pool, Program, ScriptError, validators};
use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tidegate_store::{Edit, History};

/// The reduce functions that are built in, by how their names begin.
const BUILT_IN: [&str; 4] = ["_sum", "_count", "_stats", "_approx_count_distinct"];
/// Those that are named with a number of values.
const RANKED: [&str; 2] = ["_top_", "_bottom_"];
const RANK_MAX: u64 = 100;

/// What a member may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Array,
    Boolean,
    Object,
    String,
}

use Type::{Array, Boolean, Object, String as Text};

/// Members by their paths, of which `*` is any, and what they may be.
const MEMBERS: &[(&[&str], &[Type])] = &[
    (&["filters"], &[Object]),
    (&["filters", "*"], &[Object, Text]),
    (&["language"], &[Text]),
    (&["lists"], &[Object]),
    (&["lists", "*"], &[Object, Text]),
    (&["options"], &[Object]),
    (&["options", "include_design"], &[Boolean]),
    (&["options", "local_seq"], &[Boolean]),
    (&["options", "partitioned"], &[Boolean]),
    (&["rewrites"], &[Text, Array]),
    (&["shows"], &[Object]),
    (&["shows", "*"], &[Object, Text]),
    (&["updates"], &[Object]),
    (&["updates", "*"], &[Object, Text]),
    (&["validate_doc_update"], &[Text, Object]),
    (&["views"], &[Object]),
    (&["views", "*"], &[Object]),
    (&["views", "*", "reduce"], &[Text]),
];

/// A function, and how an error calls it.
#[derive(Debug, PartialEq, Eq)]
struct Function<'a> {
    source: &'a str,
    called: String,
}

/// Checks an edit of a design document.
pub(crate) async fn check(scripts: impl FnOnce() -> Result<Pool, Error>, edit: &Edit) -> Result<(), Error> {
    let text: Bytes = [b"{", &*edit.members, b"}"].concat().into();
    let Ok(design) = serde_json::from_slice::<Map<String, Value>>(&text) else { return Ok(()) };
    check_members(&design)?;
    let is_edit = matches!(edit.history, History::Edit { .. });
    if let Some(Err(why)) = validators::selector(&design).filter(|_| is_edit) {
        return Err(Error::InvalidDesign(why));
    }
    if let Some(language) = validators::unknown_language(&design).filter(|_| is_edit) {
        return Err(Error::UnknownLanguage(language));
    }
    if !matches!(design.get("language").and_then(Value::as_str), None | Some("javascript")) {
        return Ok(());
    }
    let mut functions = functions_of_views(&design)?;
    if is_edit {
        functions.extend(other_functions(&design));
    }
    if functions.is_empty() {
        return Ok(());
    }
    compile(&scripts()?, &text, functions).await
}

async fn compile(scripts: &Pool, design: &Bytes, functions: Vec<Function<'_>>) -> Result<(), Error> {
    for Function { source, called } in functions {
        // Its revision isn't known yet.
        let hash = Sha256::new().chain_update(design).chain_update([0]).chain_update(source).finalize();
        let key: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let program = Program::new(key, source, Some(design.clone()));
        match scripts.compile(&program).await {
            Ok(()) => {}
            Err(ScriptError::Compile { message, place }) => {
                let message = format!("Compilation of {called} failed: {message}");
                return Err(ScriptError::Compile { message, place }.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn check_members(design: &Map<String, Value>) -> Result<(), Error> {
    for (path, types) in MEMBERS {
        check_member(design, path, types, &mut Vec::new())?;
    }
    let map = if design.get("language").and_then(Value::as_str) == Some("query") { Object } else { Text };
    for (name, view) in views(design) {
        let Some(function) = view.get("map") else {
            return Err(Error::InvalidDesign(format!("View `{name}` must contain map function")));
        };
        if !map.is_of(function) {
            return Err(wrong_type(&["views", name, "map"], &[map]));
        }
    }
    Ok(())
}

fn check_member<'d>(
    object: &'d Map<String, Value>,
    path: &[&str],
    types: &[Type],
    above: &mut Vec<&'d str>,
) -> Result<(), Error> {
    let Some((name, below)) = path.split_first() else { return Ok(()) };
    for (key, value) in object.iter().filter(|(key, _)| *name == "*" || key == name) {
        above.push(key);
        if below.is_empty() && !types.iter().any(|allowed| allowed.is_of(value)) {
            return Err(wrong_type(above, types));
        }
        if let Some(object) = value.as_object() {
            check_member(object, below, types, above)?;
        }
        above.pop();
    }
    Ok(())
}

fn wrong_type(path: &[&str], types: &[Type]) -> Error {
    let names: Vec<&str> = types.iter().map(|allowed| allowed.name()).collect();
    Error::InvalidDesign(format!("`{}` field must have {} type", path.join("."), names.join(" or ")))
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Array => "array",
            Boolean => "boolean",
            Object => "object",
            Text => "string",
        }
    }

    fn is_of(self, value: &Value) -> bool {
        match self {
            Array => value.is_array(),
            Boolean => value.is_boolean(),
            Object => value.is_object(),
            Text => value.is_string(),
        }
    }
}

/// The views by name, without `lib`, which holds modules.
fn views(design: &Map<String, Value>) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
    let views = design.get("views").and_then(Value::as_object).into_iter().flatten();
    views.filter(|(name, _)| *name != "lib").filter_map(|(name, view)| Some((name.as_str(), view.as_object()?)))
}

fn functions_of_views(design: &Map<String, Value>) -> Result<Vec<Function<'_>>, Error> {
    let mut functions = Vec::new();
    for (name, view) in views(design) {
        let called = |what: &str| format!("the {what} function in the '{name}' view");
        functions.extend(function(view.get("map"), called("map")));
        match view.get("reduce").and_then(Value::as_str) {
            Some(reduce) if reduce.starts_with('_') => check_built_in(reduce)?,
            _ => functions.extend(function(view.get("reduce"), called("reduce"))),
        }
    }
    Ok(functions)
}

fn check_built_in(name: &str) -> Result<(), Error> {
    if let Some(rank) = RANKED.iter().find_map(|ranked| name.strip_prefix(ranked)) {
        return match rank.parse() {
            Ok(1..=RANK_MAX) => Ok(()),
            Ok(_) => Err(Error::InvalidDesign(format!("rank value must be between 1 and {RANK_MAX}"))),
            Err(_) => Err(Error::InvalidDesign("invalid rank reducer".to_owned())),
        };
    }
    let known = BUILT_IN.iter().chain(&["_first", "_last"]).any(|known| name.starts_with(known));
    let refusal = || Error::InvalidDesign(format!("`{name}` is not a supported reduce function."));
    known.then_some(()).ok_or_else(refusal)
}

fn other_functions(design: &Map<String, Value>) -> impl Iterator<Item = Function<'_>> {
    let filters = design.get("filters").and_then(Value::as_object).into_iter().flatten();
    let filters = filters.filter_map(|(name, source)| function(Some(source), format!("the filter function '{name}'")));
    filters.chain(function(design.get("validate_doc_update"), "the validate_doc_update function".to_owned()))
}

fn function(source: Option<&Value>, called: String) -> Option<Function<'_>> {
    Some(Function { source: source?.as_str()?, called })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let design = object(text);
        let checked = check_members(&design).and_then(|()| functions_of_views(&design).map(|_| ()));
        let said = checked.err().map_or_else(|| "fine".to_owned(), |error| error.to_string());
        assert_eq!(said, expected, "{text}");
    }

    #[test]
    fn members_have_their_types() {
        check(r#"{}"#, "fine");
        check(r#"{"filters":{"f":"x","g":{}},"options":{"partitioned":true},"rewrites":[],"other":1}"#, "fine");
        check(r#"{"filters":[]}"#, "`filters` field must have object type");
        check(r#"{"filters":{"f":1}}"#, "`filters.f` field must have object or string type");
        check(r#"{"language":1}"#, "`language` field must have string type");
        check(r#"{"options":{"local_seq":1}}"#, "`options.local_seq` field must have boolean type");
        check(r#"{"rewrites":{}}"#, "`rewrites` field must have string or array type");
        check(r#"{"validate_doc_update":1}"#, "`validate_doc_update` field must have string or object type");
        check(r#"{"views":{"v":{"map":"x","reduce":1}}}"#, "`views.v.reduce` field must have string type");
    }

    #[test]
    fn views_have_a_map_function() {
        check(r#"{"views":{"v":{"map":"x"},"lib":{"m":"x"}}}"#, "fine");
        check(r#"{"views":1}"#, "`views` field must have object type");
        check(r#"{"views":{"v":1}}"#, "`views.v` field must have object type");
        check(r#"{"views":{"lib":1}}"#, "`views.lib` field must have object type");
        check(r#"{"views":{"v":{}}}"#, "View `v` must contain map function");
        check(r#"{"views":{"v":{"map":{}}}}"#, "`views.v.map` field must have string type");
        check(r#"{"views":{"v":{"map":"x"}},"language":"query"}"#, "`views.v.map` field must have object type");
        check(r#"{"views":{"v":{"map":{}}},"language":"query"}"#, "fine");
    }

    #[test]
    fn built_in_reduce_functions_are_known() {
        let reduce = |name: &str| format!(r#"{{"views":{{"v":{{"map":"x","reduce":"{name}"}}}}}}"#);
        for known in ["_sum", "_count", "_stats", "_approx_count_distinct", "_top_5", "_bottom_100", "_first", "_last"]
        {
            check(&reduce(known), "fine");
        }
        check(&reduce("_none"), "`_none` is not a supported reduce function.");
        check(&reduce("_top_0"), "rank value must be between 1 and 100");
        check(&reduce("_top_x"), "invalid rank reducer");
    }

    #[test]
    fn functions_are_found_where_they_stand() {
        let design = object(
            r#"{"views":{"v":{"map":"m","reduce":"r"},"w":{"map":"n","reduce":"_sum"},"lib":{"map":"no"}},
                "filters":{"f":"g","o":{}},"validate_doc_update":"j","shows":{"s":"no"}}"#,
        );
        let mut functions = functions_of_views(&design).unwrap();
        functions.extend(other_functions(&design));
        let found: Vec<_> = functions.iter().map(|function| (function.source, &*function.called)).collect();
        let expected = [
            ("m", "the map function in the 'v' view"),
            ("r", "the reduce function in the 'v' view"),
            ("n", "the map function in the 'w' view"),
            ("g", "the filter function 'f'"),
            ("j", "the validate_doc_update function"),
        ];
        assert_eq!(found, expected);
    }
}
