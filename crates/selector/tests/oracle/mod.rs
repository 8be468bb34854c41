//! Mango over trees of values, as plainly as can be: what the crate is compared with.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

/// A condition in normal form. An empty path is the value itself.
#[derive(Clone, Debug)]
enum Sel {
    And(Vec<Sel>),
    Or(Vec<Sel>),
    Not(Box<Sel>),
    Op(Vec<String>, String, Value),
    /// `$elemMatch` and its kin.
    Each(Vec<String>, String, Box<Sel>),
    NotEach(Vec<String>, String, Box<Sel>),
    NotOp(Vec<String>, String, Value),
}

/// Whether `document` matches the valid selector.
pub(crate) fn matches(selector: &Value, document: &Value) -> bool {
    if selector == &json!({}) {
        return true;
    }
    holds(&norm(selector, &[], true), document)
}

fn norm(selector: &Value, path: &[String], push: bool) -> Sel {
    let Some(members) = selector.as_object().filter(|members| !members.is_empty()) else {
        return Sel::Op(path.to_vec(), "$eq".to_owned(), selector.clone());
    };
    let mut clauses: Vec<Sel> = members.iter().map(|(name, argument)| member(name, argument, path, push)).collect();
    if clauses.len() == 1 { clauses.remove(0) } else { Sel::And(clauses) }
}

fn member(name: &str, argument: &Value, path: &[String], push: bool) -> Sel {
    let list = || argument.as_array().unwrap().iter().map(|one| norm(one, path, push)).collect::<Vec<_>>();
    let not = |sel: Sel| if push { negate(sel) } else { Sel::Not(Box::new(sel)) };
    match name {
        "$and" => Sel::And(list()),
        "$or" => Sel::Or(list()),
        "$nor" => Sel::And(list().into_iter().map(not).collect()),
        "$not" => not(norm(argument, path, push)),
        "$elemMatch" | "$allMatch" | "$keyMapMatch" => {
            Sel::Each(path.to_vec(), name.to_owned(), Box::new(norm(argument, &[], false)))
        }
        operator if operator.starts_with('$') => Sel::Op(path.to_vec(), operator.to_owned(), argument.clone()),
        field => {
            let path: Vec<String> = path.iter().cloned().chain(field.split('.').map(str::to_owned)).collect();
            norm(argument, &path, push)
        }
    }
}

fn negate(sel: Sel) -> Sel {
    match sel {
        Sel::And(sels) => Sel::Or(sels.into_iter().map(negate).collect()),
        Sel::Or(sels) => Sel::And(sels.into_iter().map(negate).collect()),
        Sel::Not(sel) => *sel,
        Sel::Each(path, name, sel) => Sel::NotEach(path, name, sel),
        Sel::NotEach(path, name, sel) => Sel::Each(path, name, sel),
        Sel::Op(path, name, argument) => Sel::NotOp(path, name, argument),
        Sel::NotOp(path, name, argument) => Sel::Op(path, name, argument),
    }
}

fn holds(sel: &Sel, value: &Value) -> bool {
    match sel {
        Sel::And(sels) => sels.iter().all(|sel| holds(sel, value)),
        Sel::Or(sels) => sels.is_empty() || sels.iter().any(|sel| holds(sel, value)),
        Sel::Not(sel) => !holds(sel, value),
        Sel::Op(path, name, argument) if name == "$exists" => exists(value, path, argument == &json!(true)),
        Sel::NotOp(path, name, argument) if name == "$exists" => exists(value, path, argument == &json!(false)),
        Sel::Op(path, name, argument) => get(value, path).is_ok_and(|at| op(name, at, argument, is_id(path))),
        Sel::NotOp(path, name, argument) => get(value, path).is_ok_and(|at| !op(name, at, argument, is_id(path))),
        Sel::Each(path, name, sel) => get(value, path).is_ok_and(|at| each(name, at, sel)),
        Sel::NotEach(path, name, sel) => get(value, path).is_ok_and(|at| !each(name, at, sel)),
    }
}

fn is_id(path: &[String]) -> bool {
    path == ["_id"]
}

#[derive(PartialEq)]
enum Miss {
    NotFound,
    BadPath,
}

fn get<'v>(value: &'v Value, path: &[String]) -> Result<&'v Value, Miss> {
    path.iter().try_fold(value, |at, name| match at {
        Value::Object(members) => members.get(name).ok_or(Miss::NotFound),
        Value::Array(elements) => name.parse::<usize>().ok().and_then(|index| elements.get(index)).ok_or(Miss::BadPath),
        _ => Err(Miss::BadPath),
    })
}

fn exists(value: &Value, path: &[String], wanted: bool) -> bool {
    match get(value, path) {
        Ok(_) => wanted,
        Err(miss) => miss == Miss::NotFound && !wanted,
    }
}

fn each(name: &str, value: &Value, sel: &Sel) -> bool {
    match (name, value) {
        ("$elemMatch", Value::Array(elements)) => elements.iter().any(|element| holds(sel, element)),
        ("$allMatch", Value::Array(elements)) => {
            !elements.is_empty() && elements.iter().all(|element| holds(sel, element))
        }
        ("$keyMapMatch", Value::Object(members)) => members.keys().any(|name| holds(sel, &json!(name))),
        _ => false,
    }
}

fn op(name: &str, value: &Value, argument: &Value, raw: bool) -> bool {
    let order =
        |value: &Value, argument: &Value| if raw { compare_ids(value, argument) } else { compare(value, argument) };
    match name {
        "$lt" => order(value, argument).is_lt(),
        "$lte" => order(value, argument).is_le(),
        "$eq" => order(value, argument).is_eq(),
        "$ne" => order(value, argument).is_ne(),
        "$gte" => order(value, argument).is_ge(),
        "$gt" => order(value, argument).is_gt(),
        "$in" | "$nin" => {
            let among = |value: &Value| argument.as_array().unwrap().iter().any(|one| order(value, one).is_eq());
            let is_in = value.as_array().map_or_else(|| among(value), |elements| elements.iter().any(among));
            is_in == (name == "$in")
        }
        "$type" => argument == kind(value).1,
        "$mod" => {
            value.is_i64() && value.as_i64().unwrap() % argument[0].as_i64().unwrap() == argument[1].as_i64().unwrap()
        }
        "$size" => value.as_array().is_some_and(|elements| json!(elements.len()) == *argument),
        "$beginsWith" => value.as_str().is_some_and(|text| text.starts_with(argument.as_str().unwrap())),
        "$all" => all(value, argument.as_array().unwrap()),
        other => unreachable!("{other}"),
    }
}

fn all(value: &Value, arguments: &[Value]) -> bool {
    let Some(elements) = value.as_array().filter(|_| !arguments.is_empty()) else { return false };
    // As texts, for the order of members counts.
    let text = |value: &Value| value.to_string();
    let same = |a: &Value, b: &Value| text(a) == text(b);
    arguments.iter().all(|argument| elements.iter().any(|element| same(element, argument)))
        || (arguments.len() == 1 && same(value, &arguments[0]))
}

fn kind(value: &Value) -> (u8, &'static str) {
    match value {
        Value::Null => (0, "null"),
        Value::Bool(yes) => (1 + u8::from(*yes), "boolean"),
        Value::Number(_) => (3, "number"),
        Value::String(_) => (4, "string"),
        Value::Array(_) => (5, "array"),
        Value::Object(_) => (6, "object"),
    }
}

fn compare_ids(a: &Value, b: &Value) -> Ordering {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.cmp(b),
        (None, None) => compare(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    let members = |members: &Map<String, Value>| -> Vec<Value> {
        members.iter().flat_map(|(name, value)| [json!(name), value.clone()]).collect()
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().unwrap().total_cmp(&b.as_f64().unwrap()),
        (Value::String(a), Value::String(b)) => tidegate_collate::compare_strings(a, b),
        (Value::Array(a), Value::Array(b)) => compare_lists(a, b),
        (Value::Object(a), Value::Object(b)) => compare_lists(&members(a), &members(b)),
        (a, b) => kind(a).0.cmp(&kind(b).0),
    }
}

fn compare_lists(a: &[Value], b: &[Value]) -> Ordering {
    let first = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
    first.unwrap_or_else(|| a.len().cmp(&b.len()))
}
