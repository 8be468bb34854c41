//! What the documents must hold, whatever is added to them.

use super::*;
use std::collections::BTreeSet;

const PORTS: [Port; 2] = [Port::Public, Port::Admin];

fn documents() -> impl Iterator<Item = (Edition, Value)> {
    let editions = PORTS
        .into_iter()
        .flat_map(|port| [Profile::Two, Profile::Four].into_iter().map(move |profile| Edition { port, profile }));
    editions.map(|edition| (edition, document(edition).unwrap()))
}

/// Shows each operation, with its path and method.
fn for_each_operation(document: &Value, mut check: impl FnMut(&str, &str, &Value)) {
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            check(path, &method.to_uppercase(), operation);
        }
    }
}

#[test]
fn each_path_is_the_route_whose_description_it_has() {
    for path in PATHS {
        let parsed = route::parse(&sample(path)).unwrap_or_else(|error| panic!("{path}: {}", error.reason));
        let (paths, _) = describe(&parsed.route).unwrap_or_else(|| panic!("{path} is a route that isn't documented"));
        assert!(paths.contains(path), "{path} is the route of {paths:?}");
        assert_eq!(parsed.slash, route::Slash::Right, "{path}");
    }
}

#[test]
fn each_method_of_each_route_is_described_and_none_beyond() {
    for edition in PORTS.map(|port| Edition { port, profile: Profile::Four }) {
        let document = document(edition).unwrap();
        for path in PATHS {
            let known: BTreeSet<&str> =
                route::parse(&sample(path)).unwrap().route.methods(edition.port).iter().copied().collect();
            let described = document["paths"][path].as_object();
            let described: BTreeSet<String> =
                described.into_iter().flatten().map(|(method, _)| method.to_uppercase()).collect();
            assert_eq!(described.iter().map(String::as_str).collect::<BTreeSet<_>>(), known, "{path} on {edition:?}");
        }
    }
    // Nothing is described that no port has.
    for path in PATHS {
        let route = route::parse(&sample(path)).unwrap().route;
        let (_, describe) = describe(&route).unwrap();
        for port in PORTS {
            let described = describe(Edition { port, profile: Profile::Four });
            for (method, _) in described.operations {
                let known = PORTS.iter().any(|port| route.methods(*port).contains(&name_of(&method)));
                assert!(known, "{} {path} isn't routed", name_of(&method));
            }
        }
    }
}

#[test]
fn each_operation_says_what_it_takes_and_answers() {
    for (edition, document) in documents() {
        let mut ids = BTreeSet::new();
        for_each_operation(&document, |path, method, operation| {
            let place = format!("{method} {path} of {edition:?}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{place}: another operation is called {id}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{place}");
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{place}");
            let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
            for parameter in &parameters {
                assert!(!parameter["description"].as_str().unwrap().is_empty(), "{place}: {parameter}");
                assert!(parameter.get("schema").or(parameter.get("content")).is_some(), "{place}: {parameter}");
            }
            let in_path: Vec<&str> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let in_template: Vec<&str> =
                path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(in_path, in_template, "{place}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{place}: {status}");
                if status.as_str() >= "400" && method != "HEAD" {
                    let refused = &response["content"]["application/json"]["schema"]["$ref"];
                    assert_eq!(refused, "#/components/schemas/Refused", "{place}: {status}");
                }
            }
            let is_open = operation.get("security").is_some();
            assert_eq!(operation["responses"].get("401").is_none(), is_open, "{place}");
        });
        assert!(ids.len() > 30, "{edition:?}");
    }
}

#[test]
fn each_schema_that_is_spoken_of_is_there() {
    fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for (edition, document) in documents() {
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in &found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference} of {edition:?}");
        }
        for schema in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(format!("#/components/schemas/{schema}").as_str()), "{schema} is spoken of nowhere");
        }
    }
}

#[test]
fn each_version_has_its_own_members() {
    for profile in [Profile::Two, Profile::Four] {
        let document = document(Edition { port: Port::Admin, profile }).unwrap();
        for (of, schema, members) in MEMBERS_OF_ONE {
            let properties = &document["components"]["schemas"][schema]["properties"];
            for member in *members {
                assert_eq!(properties.get(member).is_some(), *of == profile, "{member} of {schema} in {profile:?}");
            }
        }
    }
}

#[test]
fn users_are_told_nothing_of_what_administrators_can_do() {
    let document = document(Edition { port: Port::Public, profile: Profile::Four }).unwrap();
    let text = document.to_string();
    for admin in ["/_purge", "/_config", "/_user/", "/_raw", "sync_function", "DatabaseConfig"] {
        assert!(!text.contains(admin), "{admin}");
    }
}

#[test]
fn the_configuration_has_keys_that_are_known() {
    let document = document(Edition { port: Port::Admin, profile: Profile::Four }).unwrap();
    for key in document["components"]["schemas"]["DatabaseConfig"]["properties"].as_object().unwrap().keys() {
        assert!(crate::config::keys::KEYS.contains(&key.as_str()), "{key}");
    }
}
