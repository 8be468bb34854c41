//! The figures that this server keeps, as CouchDB tells them: `_stats` in JSON, and the same lines of `_prometheus`.
//!
//! Source: `stats_descriptions.cfg`, `couch_prometheus_util`. What isn't counted is left out, never told as nothing.

use crate::context::Context;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_http::observe::Observed;

/// Figures by their path in `_stats`.
pub(crate) struct Figures(Vec<Figure>);

struct Figure {
    path: Vec<String>,
    kind: Kind,
    what: &'static str,
    value: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What only grows.
    Counter,
    /// What there is at the moment. CouchDB tells its own as counters in JSON, and as gauges to Prometheus.
    Gauge,
    /// One of a family, told apart by a label of this name.
    Labelled(&'static str),
}

impl Figures {
    pub(crate) fn of(cx: &Context, observed: &Observed) -> Self {
        let (storage, hashings) = (cx.engine.storage_stats(), cx.engine.hashings());
        let mut figures = Self(Vec::new());
        let requests = observed.methods.values().sum();
        figures.push("couchdb.httpd.requests", Kind::Counter, "number of HTTP requests", requests);
        figures.family("httpd_request_methods", "method", "number of HTTP requests by method", &observed.methods);
        figures.family("httpd_status_codes", "code", "number of HTTP responses by status code", &observed.statuses);
        let open = cx.shared.settings.feeds_max.saturating_sub(cx.shared.feeds.available_permits());
        let following = "number of clients for continuous _changes";
        figures.push("couchdb.httpd.clients_requesting_changes", Kind::Gauge, following, count(open));
        figures.push("couchdb.open_databases", Kind::Gauge, "number of open databases", cx.engine.open_databases());
        figures.push("couchdb.password_hashing_fast", Kind::Counter, "fast hashes of passwords", hashings.fast);
        figures.push("couchdb.password_hashing_slow", Kind::Counter, "slow hashes of passwords", hashings.slow);
        figures.push("couchdb.commits", Kind::Counter, "number of commits performed", storage.commits);
        figures.push("fsync.count", Kind::Counter, "number of fsync calls", storage.log_syncs);
        figures
    }

    fn push(&mut self, path: &str, kind: Kind, what: &'static str, value: u64) {
        self.0.push(Figure { path: path.split('.').map(str::to_owned).collect(), kind, what, value });
    }

    fn family(&mut self, name: &str, label: &'static str, what: &'static str, counts: &BTreeMap<String, u64>) {
        for (member, count) in counts {
            let path = vec!["couchdb".to_owned(), name.to_owned(), member.clone()];
            self.0.push(Figure { path, kind: Kind::Labelled(label), what, value: *count });
        }
    }

    /// As `_stats` tells them, one below the other.
    pub(crate) fn tree(&self) -> Value {
        let mut tree = Value::Object(Map::new());
        for Figure { path, what, value, .. } in &self.0 {
            let mut place = &mut tree;
            for name in path {
                let Value::Object(members) = place else { break };
                place = members.entry(name).or_insert_with(|| Value::Object(Map::new()));
            }
            *place = json!({ "value": value, "type": "counter", "desc": what });
        }
        tree
    }

    /// As Prometheus reads them, under CouchDB's names.
    pub(crate) fn lines(&self) -> String {
        let (mut out, mut head) = (String::new(), String::new());
        for Figure { path, kind, what, value } in &self.0 {
            let path = path.strip_prefix(&["couchdb".to_owned()][..]).unwrap_or(path);
            let (name, labels, kind) = match (kind, path) {
                (Kind::Labelled(label), [family, member]) => {
                    (family.clone(), format!("{{{label}=\"{member}\"}}"), "counter")
                }
                (Kind::Gauge, _) => (path.join("_"), String::new(), "gauge"),
                (Kind::Counter | Kind::Labelled(_), _) => {
                    (format!("{}_total", path.join("_")), String::new(), "counter")
                }
            };
            if head != name {
                out += &format!("\n# HELP couchdb_{name} {what}\n# TYPE couchdb_{name} {kind}\n");
            }
            out += &format!("couchdb_{name}{labels} {value}\n");
            head = name;
        }
        out
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let mut figures = Figures(Vec::new());
        figures.push("couchdb.httpd.requests", Kind::Counter, "number of HTTP requests", 3);
        let methods = BTreeMap::from([("GET".to_owned(), 2), ("PUT".to_owned(), 1)]);
        figures.family("httpd_request_methods", "method", "requests by method", &methods);
        figures.push("couchdb.open_databases", Kind::Gauge, "number of open databases", 4);
        figures.push("fsync.count", Kind::Counter, "number of fsync calls", 5);
        figures
    }

    #[test]
    fn figures_are_a_tree() {
        let tree = figures().tree();
        let put = json!({ "value": 1, "type": "counter", "desc": "requests by method" });
        assert_eq!(tree["couchdb"]["httpd_request_methods"]["PUT"], put);
        assert_eq!(tree["couchdb"]["httpd"]["requests"]["value"], 3);
        assert_eq!(tree["fsync"]["count"]["value"], 5);
    }

    #[test]
    fn figures_are_lines_under_couchdbs_names() {
        let expected = "\n\
            # HELP couchdb_httpd_requests_total number of HTTP requests\n# TYPE couchdb_httpd_requests_total counter\n\
            couchdb_httpd_requests_total 3\n\n\
            # HELP couchdb_httpd_request_methods requests by method\n# TYPE couchdb_httpd_request_methods counter\n\
            couchdb_httpd_request_methods{method=\"GET\"} 2\ncouchdb_httpd_request_methods{method=\"PUT\"} 1\n\n\
            # HELP couchdb_open_databases number of open databases\n# TYPE couchdb_open_databases gauge\n\
            couchdb_open_databases 4\n\n\
            # HELP couchdb_fsync_count_total number of fsync calls\n# TYPE couchdb_fsync_count_total counter\n\
            couchdb_fsync_count_total 5\n";
        assert_eq!(figures().lines(), expected);
    }
}
