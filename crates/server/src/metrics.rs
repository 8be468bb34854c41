//! Figures for Prometheus: on `/metrics` of the metrics listener.

use crate::process::Process;
use http::{HeaderValue, Request, Response, StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};
use tidegate_engine::{Administrator, Engine, Health};
use tidegate_gateway::{Profile, expvar_json, prometheus_text};
use tidegate_http::{
    Body,
    observe::{Observe, Observed},
    respond,
};

/// The figures, as they are counted.
#[derive(Clone)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

/// Who watches: of whom the figures of databases are asked.
#[derive(Clone)]
pub(crate) struct Watcher {
    pub(crate) engine: Engine,
    pub(crate) administrator: Administrator,
    pub(crate) profile: Profile,
}

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    storage: StorageGauges,
    started: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    status: u16,
}

/// The storage counts for itself; these are read from it when somebody asks.
#[derive(Default)]
struct StorageGauges {
    commits: Gauge,
    groups: Gauge,
    syncs: Gauge,
    log_bytes: Gauge,
    checkpoints: Gauge,
    checkpoint_seconds: Gauge<f64, AtomicU64>,
    tree_bytes: Gauge,
    full: Gauge,
    read_only: Gauge,
    stalled: Gauge,
    refused_full: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tidegate");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let seconds = Histogram::new([0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]);
        let help = "Time from a request's head to its answer's head";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, seconds.clone());
        let storage = StorageGauges::default();
        storage.register(registry.sub_registry_with_prefix("storage"));
        Self { inner: Arc::new(Inner { registry, requests, seconds, storage, started: Instant::now() }) }
    }

    /// Counts a request that was answered.
    pub(crate) fn count(&self, method: &http::Method, status: StatusCode, took: Duration) {
        let labels = RequestLabels { method: known(method), status: status.as_u16() };
        self.inner.requests.get_or_create(&labels).inc();
        self.inner.seconds.observe(took.as_secs_f64());
    }

    /// Answers a request to the metrics listener.
    pub(crate) async fn answer(self, watcher: Watcher, request: Request<hyper::body::Incoming>) -> Response<Body> {
        let Watcher { engine, administrator, profile } = watcher;
        let caller = administrator.caller();
        match request.uri().path() {
            "/metrics" | "/_metrics" => {
                let figures = prometheus_text(&engine, &caller, &self.observed(&engine)).await;
                figures.map_or_else(|error| failed(&error), |figures| text(StatusCode::OK, figures))
            }
            "/_expvar" => {
                let figures = expvar_json(&engine, &caller, (profile, &self.observed(&engine))).await;
                let json = |figures: serde_json::Value| respond::json(StatusCode::OK, figures.to_string().into());
                figures.map_or_else(|error| failed(&error), json)
            }
            "/health" => health(&engine),
            "/_ping" => text(StatusCode::OK, "OK".to_owned()),
            _ => text(StatusCode::NOT_FOUND, "try /metrics or /health\n".to_owned()),
        }
    }

    /// What CouchDB's clients may ask the process about itself.
    pub(crate) fn observe(&self, engine: &Engine) -> Observe {
        let (metrics, engine) = (self.clone(), engine.clone());
        Observe(Arc::new(move || metrics.observed(&engine)))
    }

    fn observed(&self, engine: &Engine) -> Observed {
        let prometheus = self.text(engine).unwrap_or_default();
        let (mut methods, mut statuses) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
        for (method, status, count) in requests(&prometheus) {
            *methods.entry(method.to_owned()).or_default() += count;
            *statuses.entry(status.to_owned()).or_default() += count;
        }
        let Process { resident_bytes, threads } = Process::read();
        let uptime_s = self.inner.started.elapsed().as_secs();
        Observed { uptime_s, resident_bytes, threads, methods, statuses, prometheus }
    }

    fn text(&self, engine: &Engine) -> Result<String, std::fmt::Error> {
        self.inner.storage.read(engine);
        let mut out = String::new();
        encode(&mut out, &self.inner.registry)?;
        Ok(out)
    }
}

impl StorageGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("commits", "Transactions committed since the start", self.commits.clone());
        registry.register("groups", "Groups they were committed in", self.groups.clone());
        registry.register("log_syncs", "Times the commit log was synced", self.syncs.clone());
        registry.register("log_bytes", "Bytes written to the commit log", self.log_bytes.clone());
        registry.register("checkpoints", "Checkpoints of the tree", self.checkpoints.clone());
        registry.register("checkpoint_seconds", "Time spent in checkpoints", self.checkpoint_seconds.clone());
        registry.register("tree_bytes", "Length of the tree's file", self.tree_bytes.clone());
        registry.register("full", "1 while the disk is full: writes that find no room are refused", self.full.clone());
        registry.register(
            "read_only",
            "1 if a write failed: no more are taken until a restart",
            self.read_only.clone(),
        );
        registry.register("stalled", "1 if the disk lets a write wait for too long", self.stalled.clone());
        registry.register(
            "refused_full",
            "Transactions refused since the start as the disk was full",
            self.refused_full.clone(),
        );
    }

    fn read(&self, engine: &Engine) {
        let stats = engine.storage_stats();
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.commits, stats.commits);
        set(&self.groups, stats.groups);
        set(&self.syncs, stats.log_syncs);
        set(&self.log_bytes, stats.log_bytes);
        set(&self.checkpoints, stats.checkpoints);
        self.checkpoint_seconds.set(stats.checkpoint_time.as_secs_f64());
        set(&self.tree_bytes, stats.tree_bytes);
        set(&self.full, u64::from(stats.full));
        set(&self.read_only, u64::from(stats.read_only.is_some()));
        set(&self.stalled, u64::from(stats.stalled));
        set(&self.refused_full, stats.refused_full);
    }
}

fn failed(error: &tidegate_engine::Error) -> Response<Body> {
    tracing::error!(%error, "the figures could not be told");
    text(StatusCode::INTERNAL_SERVER_ERROR, "the storage failed; see the server's log\n".to_owned())
}

fn health(engine: &Engine) -> Response<Body> {
    match engine.health() {
        Health::Ok => text(StatusCode::OK, "ok\n".to_owned()),
        Health::Full { reason } => text(StatusCode::SERVICE_UNAVAILABLE, format!("full: {reason}\n")),
        Health::ReadOnly { reason } => text(StatusCode::SERVICE_UNAVAILABLE, format!("read-only: {reason}\n")),
        Health::Stalled { since } => {
            text(StatusCode::SERVICE_UNAVAILABLE, format!("stalled: a write waits for {} s\n", since.as_secs()))
        }
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    respond::bytes(status, HeaderValue::from_static("text/plain; version=1.0.0; charset=utf-8"), text.into())
}

/// Method, status and number of the requests in a text for Prometheus: the registry can't be read otherwise.
fn requests(text: &str) -> impl Iterator<Item = (&str, &str, u64)> {
    text.lines().filter_map(|line| {
        let labels = line.strip_prefix("tidegate_http_requests_total{method=\"")?;
        let (method, rest) = labels.split_once("\",status=\"")?;
        let (status, count) = rest.split_once("\"} ")?;
        Some((method, status, count.parse().ok()?))
    })
}

/// Methods by name; a client's inventions are one, so that it can't grow the table.
fn known(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "COPY" => "COPY",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
