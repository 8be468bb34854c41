//! Starting, running, stopping.

use crate::{
    clock,
    config::{Address, Admins, Config, Supervision},
    fetch, gateway, identity, limits,
    listener::{Connections, Listener},
    logging,
    metrics::{self, Metrics},
    observe::Observer,
    sections,
    sync_files::{Again, Reread, SyncFiles},
    systemd::Supervisor,
    tls::Certificate,
};
use anyhow::{Context, Result};
use std::{io::Write, sync::Arc, time::Duration};
use tidegate_couch::{Couch, Settings};
use tidegate_engine::{Engine, Identity, Options, Party};
use tidegate_http::observe::Observe;
use tidegate_kv::{EmbeddedOptions, Kv};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Runs a server until it is told to stop.
pub(crate) fn run(config: Config, supervision: &Supervision) -> Result<()> {
    logging::start(&config.log)?;
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    drop(runtime.spawn(beat()));
    runtime.block_on(serve(config, Supervisor::new(supervision)))
}

/// Keeps a timer that ends soon.
///
/// A timer that ends before all others wakes the thread that waits for sockets. Without this one every deadline of a
/// request did so, on a server with little else to do: two wake-ups of a thread that had to sleep again.
async fn beat() {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    loop {
        beat.tick().await;
    }
}

async fn serve(config: Config, supervisor: Supervisor) -> Result<()> {
    let draining = CancellationToken::new();
    let certificate = config.tls.clone().map(Certificate::load).transpose()?;
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    let gateway_certificate = config.gateway.tls.clone().map(Certificate::load).transpose()?;
    let engine = open(&config).await?;
    engine.set_fetch(fetch::fetch());
    let connections = Connections {
        tasks: TaskTracker::new(),
        draining: draining.clone(),
        places: Arc::new(Semaphore::new(limits::connections(config.limits.max_connections))),
        header_timeout: Duration::from_millis(config.limits.header_timeout_ms),
    };
    let metrics = Metrics::new();
    let administrator = engine.take_administrator().context("the rights of administrators are taken")?;
    let sync_files = SyncFiles::new(config.sync.files.clone(), engine.clone(), administrator.caller());
    sync_files.set().await?;
    let mut lines = Vec::new();
    let listeners = TaskTracker::new();
    // Replications run whether or not anybody may ask for them here.
    let couch = settings(&config, metrics.observe(&engine));
    let couch = Couch::new(engine.clone(), couch, connections.tasks.clone(), draining.clone());
    if let Address::At(address) = config.couch {
        let listener = Listener::bind(address, tls, tidegate_couch::refusal).await?;
        lines.push(format!("couch    {}://{}", listener.scheme(), listener.address));
        let observer = Observer::new(metrics.clone());
        let answer = move |request| {
            let couch = couch.clone();
            observer.clone().call(move |request| async move { couch.call(request).await }, request)
        };
        drop(listeners.spawn(listener.run(connections.clone(), answer)));
    }
    for side in gateway::sides(&config, &administrator, metrics.observe(&engine), gateway_certificate.as_ref())? {
        lines.push(side.start((&engine, &metrics), &connections, &listeners).await?);
    }
    if let Address::At(address) = config.metrics {
        let listener = Listener::bind(address, None, tidegate_couch::refusal).await?;
        // Not those of the others: whoever watches must get in when everybody does.
        let connections = Connections { places: Arc::new(Semaphore::new(METRICS_CONNECTIONS)), ..connections.clone() };
        lines.push(format!("metrics  http://{}/metrics", listener.address));
        let profile = gateway::profile(&config);
        let watcher = metrics::Watcher { engine: engine.clone(), administrator, profile };
        let answer = move |request| metrics.clone().answer(watcher.clone(), request);
        drop(listeners.spawn(listener.run(connections, answer)));
    }
    warn_of_plain(&config);
    for certificate in [certificate, gateway_certificate] {
        drop(listeners.spawn(reload(certificate, signal(SignalKind::hangup())?, draining.clone())));
    }
    if !config.sync.files.is_empty() {
        let again = match config.sync.reread {
            Reread::AtEdits => Again::AtEdits,
            Reread::AtHangup => Again::At(signal(SignalKind::hangup())?),
        };
        drop(listeners.spawn(sync_files.follow(again, draining.clone())));
    }
    announce(&lines)?;
    supervisor.ready();
    let living = async {
        stop_signal().await?;
        supervisor.stopping();
        draining.cancel();
        stop(&config, &engine, &listeners, &connections.tasks).await
    };
    tokio::select! {
        ended = living => ended,
        () = supervisor.watch(&engine) => Ok(()),
    }
}

/// Opens the storage and what lives in it.
async fn open(config: &Config) -> Result<Engine> {
    let mut options = EmbeddedOptions::new(&config.data);
    options.cache_bytes = config.limits.cache_bytes;
    let opening = || format!("could not open the data in {}", config.data.display());
    let kv = Kv::open_embedded(options).await.with_context(opening)?;
    let identity = Identity { version: env!("CARGO_PKG_VERSION"), uuid: identity::load(&config.data)? };
    let party = match &config.admins {
        Admins::Open => Party::Open,
        Admins::Named(_) => Party::Closed,
    };
    let databases_max = config.limits.max_databases;
    let options = Options { config: sections::of(config), party, databases_max, identity, clock: clock::now };
    Engine::open(kv, options).await.with_context(opening)
}

fn settings(config: &Config, observe: Observe) -> Settings {
    Settings {
        read_bytes_max: READ_BYTES_MAX,
        body_timeout: Duration::from_millis(config.limits.body_timeout_ms),
        body_rate_min: config.limits.body_rate_min_bytes,
        feeds_max: config.limits.max_feeds,
        observe,
    }
}

/// Bodies that are read into memory as a whole are smaller than those that are streamed.
pub(crate) const READ_BYTES_MAX: u64 = 192 << 20;

/// Connections to the metrics listener.
const METRICS_CONNECTIONS: usize = 128;

/// Passwords and documents travel readable where there is no TLS.
fn warn_of_plain(config: &Config) {
    if config.tls.is_none() && !config.couch.is_loopback() {
        tracing::warn!("the server is reached from elsewhere without TLS; set [couch.tls], or let a proxy do it");
    }
    let gateway = &config.gateway;
    if gateway.tls.is_none() && !(gateway.listen.is_loopback() && gateway.admin.is_loopback()) {
        tracing::warn!("[gateway] is reached from elsewhere without TLS; set [gateway.tls], or let a proxy do it");
    }
}

/// Obeys SIGHUP: certificates are read again, else there is nothing to read.
async fn reload(certificate: Option<Arc<Certificate>>, mut hangup: Signal, draining: CancellationToken) {
    let Some(certificate) = certificate else {
        let ignored = async { while hangup.recv().await.is_some() {} };
        tokio::select! {
            () = ignored => {}
            () = draining.cancelled() => {}
        }
        return;
    };
    certificate.follow(hangup, draining).await;
}

/// Tells where the server listens, and that it does.
fn announce(lines: &[String]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "ready")?;
    out.flush().context("could not write to the standard output")
}

async fn stop_signal() -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
    }
    Ok(())
}

/// Lets what runs come to its end, for as long as `drain_timeout_ms`, then closes the storage.
async fn stop(config: &Config, engine: &Engine, listeners: &TaskTracker, tasks: &TaskTracker) -> Result<()> {
    listeners.close();
    tasks.close();
    let drained = async {
        listeners.wait().await;
        tasks.wait().await;
    };
    if timeout(Duration::from_millis(config.limits.drain_timeout_ms), drained).await.is_err() {
        tracing::warn!(connections = tasks.len(), "some requests didn't end in time and are cut");
    }
    engine.close().await.context("the data could not be closed")
}
