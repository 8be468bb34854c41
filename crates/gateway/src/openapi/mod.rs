//! The dialect as OpenAPI documents, one for each listener, and the page that shows them.
//!
//! They can't tell of what isn't there, nor leave out what is. A path of [`endpoints`] becomes a route by the parser that
//! requests go through; the methods are those that the route knows on the listener's port; and what describes them is
//! found by a `match` on the route, which names every one.
//!
//! **A new route** doesn't compile until it has a line in [`endpoints`]: its pattern, its path, and a function in
//! [`operations`] that describes its methods. What it takes and answers becomes a type in [`schemas`]. The tests say what
//! is missing; `e2e/openapi.test.mjs` asks a server for each operation and compares the answers with the schemas.

mod endpoints;
mod operation;
mod operations;
pub(crate) mod page;
#[expect(
    dead_code,
    clippy::large_enum_variant,
    clippy::struct_excessive_bools,
    reason = "shapes of JSON, of which there are no values: they are read by their derive alone"
)]
mod schemas;
mod tag;
#[cfg(test)]
mod tests;

use crate::{
    route::{self, DatabaseRoute, Parsed, Route},
    service::{self, Port, Profile},
};
use endpoints::{PATHS, describe, path_parameter_meaning};
use operation::{Operation, Schemas, path_parameter};
use serde_json::Value;
use std::collections::BTreeSet;
use tag::Tag;
use utoipa::openapi::{
    self, ComponentsBuilder, Deprecated, HttpMethod, Info, InfoBuilder, LicenseBuilder, OpenApiBuilder, Paths,
    PathsBuilder, SecurityRequirement, Server,
    path::{self, PathItemBuilder},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

/// Which document: of which listener, speaking as which version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edition {
    pub(crate) port: Port,
    pub(crate) profile: Profile,
}

/// The document of a listener.
///
/// # Errors
/// None in practice: it is made of texts.
pub(crate) fn document(edition: Edition) -> Result<Value, serde_json::Error> {
    let (paths, schemas) = paths(edition);
    let tags = tags(&paths);
    let mut components = ComponentsBuilder::new().schemas_from_iter(schemas);
    let mut security = Vec::new();
    for (name, scheme) in security_schemes(edition.port) {
        security.push(SecurityRequirement::new(name, [""; 0]));
        components = components.security_scheme(name, scheme);
    }
    // On some ports somebody gets in without a login: a database's guest, or all who reach the open admin port.
    security.push(SecurityRequirement::default());
    let document = OpenApiBuilder::new()
        .info(info(edition))
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .components(Some(components.build()))
        .security(Some(security))
        .tags(Some(tags));
    let mut document = serde_json::to_value(document.build())?;
    forget_members_of_others(&mut document, edition.profile);
    Ok(document)
}

fn info(edition: Edition) -> Info {
    let (title, who) = match edition.port {
        Port::Public => ("Tidegate, public API", "for users of databases and their apps"),
        Port::Admin => ("Tidegate, admin API", "for administrators"),
    };
    let about = format!(
        "Sync Gateway's REST protocol as Tidegate speaks it, {who}; answers look as those of version {} did.\n\n\
         Wherever there is GET, HEAD answers the same without a body. What Sync Gateway has and isn't listed here is \
         answered with 501, or doesn't exist on this port.",
        match edition.profile {
            Profile::Two => "2.5",
            Profile::Four => "4.2",
        }
    );
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    InfoBuilder::new()
        .title(title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .license(Some(license))
        .build()
}

/// How one says who one is.
fn security_schemes(port: Port) -> [(&'static str, SecurityScheme); 3] {
    let (who, (cookie, session), token) = match port {
        Port::Public => (
            "A user of the database, with the password.",
            ("SyncGatewaySession", "A session of `POST /{db}/_session`."),
            "An ID token of a provider that the database trusts.",
        ),
        Port::Admin => (
            "An administrator of the server, with the password.",
            ("AuthSession", "An administrator's session of CouchDB's dialect."),
            "A token of an administrator, where the server's configuration takes them.",
        ),
    };
    let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(who)).build();
    let session = ApiKey::Cookie(ApiKeyValue::with_description(cookie, session));
    let bearer =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(token)).build();
    [
        ("basic", SecurityScheme::Http(basic)),
        ("session", SecurityScheme::ApiKey(session)),
        ("bearer", SecurityScheme::Http(bearer)),
    ]
}

/// Those that operations have, in the order of the document.
fn tags(paths: &Paths) -> Vec<openapi::Tag> {
    let used: BTreeSet<&str> = paths
        .paths
        .values()
        .flat_map(|item| [&item.get, &item.put, &item.post, &item.delete])
        .flatten()
        .flat_map(|operation| operation.tags.iter().flatten().map(String::as_str))
        .collect();
    let tags = Tag::ALL.into_iter().filter(|tag| used.contains(tag.name()));
    tags.map(|tag| TagBuilder::new().name(tag.name()).description(Some(tag.about())).build()).collect()
}

fn paths(edition: Edition) -> (Paths, Schemas) {
    let (mut paths, mut schemas) = (PathsBuilder::new(), Vec::new());
    for path in PATHS.iter().copied() {
        let Some(listed) = Listed::at(path, edition) else { continue };
        let mut item = PathItemBuilder::new();
        for (method, operation, spoken_of) in listed.operations(edition) {
            item = item.operation(method, operation);
            schemas.extend(spoken_of);
        }
        paths = paths.path(path, item.build());
    }
    (paths.build(), schemas)
}

/// A documented path, as the parser reads it.
struct Listed {
    path: &'static str,
    /// Whether it is another name of an older day.
    is_alias: bool,
    route: Route,
    methods: operation::Methods,
}

impl Listed {
    /// `None` if the port doesn't have it.
    fn at(path: &'static str, edition: Edition) -> Option<Self> {
        let Parsed { route, .. } = route::parse(&sample(path)).ok()?;
        let (paths, describe) = describe(&route)?;
        let has = !route.methods(edition.port).is_empty();
        has.then(|| Self { path, is_alias: paths.first() != Some(&path), route, methods: describe(edition) })
    }

    /// What the route knows of what is described.
    fn operations(self, edition: Edition) -> Vec<(HttpMethod, path::Operation, Schemas)> {
        let Self { path, is_alias, route, methods } = self;
        let known = route.methods(edition.port);
        let described = methods.operations.into_iter().filter(|(method, _)| known.contains(&name_of(method)));
        let listed = described.map(|(method, described)| {
            let described = with_common_refusals(described, &route, (name_of(&method), edition.port));
            let parameters = path_parameters(path).filter_map(|name| Some((name, path_parameter_meaning(name)?)));
            let parameters: Vec<_> = parameters.map(|(name, meaning)| path_parameter(name, meaning)).collect();
            let (mut operation, schemas) = described.build(parameters);
            operation.tags = Some(vec![methods.tag.name().to_owned()]);
            if service::is_for_anybody(&route, edition.port) {
                operation.security = Some(Vec::new());
            }
            if is_alias {
                operation.operation_id = operation.operation_id.map(|id| format!("{id}Alias"));
                operation.deprecated = Some(Deprecated::True);
            }
            (method, operation, schemas)
        });
        listed.collect()
    }
}

/// What every operation of its kind may be refused with.
fn with_common_refusals(operation: Operation, route: &Route, (method, port): (&str, Port)) -> Operation {
    let operation = if service::is_for_anybody(route, port) { operation } else { operation.refuses(&[401]) };
    match route {
        Route::Server(_) => operation,
        Route::Database(_, DatabaseRoute::Database) if method == "PUT" && port == Port::Admin => operation,
        Route::Database(_, route) if route.needs_service(method) => operation.refuses(&[404, 503]),
        Route::Database(..) => operation.refuses(&[404]),
    }
}

fn name_of(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Head => "HEAD",
        HttpMethod::Put => "PUT",
        HttpMethod::Post => "POST",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Options | HttpMethod::Patch | HttpMethod::Trace => "",
    }
}

/// The names in the braces of a path.
fn path_parameters(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// A path as it could be asked for.
fn sample(path: &'static str) -> String {
    path_parameters(path).fold(path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), "x"))
}

/// Members that schemas have in one version alone.
const MEMBERS_OF_ONE: &[(Profile, &str, &[&str])] = &[
    (Profile::Four, "Document", &["_cv"]),
    (Profile::Four, "Written", &["cv"]),
    (Profile::Four, "ListedValue", &["cv"]),
    (Profile::Four, "BulkDocsRow", &["cv"]),
    (Profile::Four, "Welcome", &["persistent_config", "node_uid", "cluster_compat_version"]),
    (Profile::Four, "Raw", &["_xattrs"]),
    (Profile::Two, "Raw", &["_sync"]),
    (Profile::Two, "Expvar", &["syncGateway_changeCache", "syncGateway_dcp"]),
];

fn forget_members_of_others(document: &mut Value, profile: Profile) {
    for (_, schema, members) in MEMBERS_OF_ONE.iter().filter(|(of, _, _)| *of != profile) {
        let Some(schema) = document.pointer_mut(&format!("/components/schemas/{schema}")) else { continue };
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !members.contains(&name.as_str()));
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !name.as_str().is_some_and(|name| members.contains(&name)));
        }
    }
}
