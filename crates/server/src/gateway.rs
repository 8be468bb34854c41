//! Sync Gateway's two listeners, for users and for administrators.

use crate::{
    config::{Address, AdminDoor, Config, Profile},
    listener::{Connections, Listener},
    metrics::Metrics,
    observe::Observer,
    serve::READ_BYTES_MAX,
    tls::Certificate,
};
use anyhow::Result;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tidegate_engine::{Administrator, Engine};
use tidegate_gateway::{Door, Gateway, Settings};
use tidegate_http::observe::Observe;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// A listener to be started.
pub(crate) struct Side {
    name: &'static str,
    address: SocketAddr,
    door: Door,
    settings: Settings,
    tls: Option<TlsAcceptor>,
}

/// The listeners that are asked for.
pub(crate) fn sides(
    config: &Config,
    administrator: &Administrator,
    observe: Observe,
    certificate: Option<&Arc<Certificate>>,
) -> Result<Vec<Side>> {
    let settings = settings(config, observe);
    let tls = certificate.map(Certificate::acceptor).transpose()?;
    let mut sides = Vec::new();
    if let Address::At(address) = config.gateway.listen {
        sides.push(Side { name: "gateway", address, door: Door::Users, settings: settings.clone(), tls: tls.clone() });
    }
    if let Address::At(address) = config.gateway.admin {
        let door = match config.gateway.door {
            AdminDoor::Open => Door::Open(administrator.clone()),
            AdminDoor::Passwords => Door::Administrators,
        };
        sides.push(Side { name: "admin", address, door, settings, tls });
    }
    Ok(sides)
}

impl Side {
    /// Listens, and answers until the server drains. The line that tells where.
    pub(crate) async fn start(
        self,
        (engine, metrics): (&Engine, &Metrics),
        connections: &Connections,
        listeners: &TaskTracker,
    ) -> Result<String> {
        let listener = Listener::bind(self.address, self.tls, tidegate_gateway::refusal).await?;
        let line = format!("{:<8} {}://{}", self.name, listener.scheme(), listener.address);
        let (tasks, draining) = (connections.tasks.clone(), connections.draining.clone());
        let gateway = Gateway::new(engine.clone(), self.door, self.settings, tasks, draining);
        let observer = Observer::new(metrics.clone());
        let answer = move |request| {
            let gateway = gateway.clone();
            observer.clone().call(move |request| async move { gateway.call(request).await }, request)
        };
        drop(listeners.spawn(listener.run(connections.clone(), answer)));
        Ok(line)
    }
}

/// As which version of Sync Gateway the server speaks.
pub(crate) fn profile(config: &Config) -> tidegate_gateway::Profile {
    match config.gateway.profile {
        Profile::Two => tidegate_gateway::Profile::Two,
        Profile::Four => tidegate_gateway::Profile::Four,
    }
}

fn settings(config: &Config, observe: Observe) -> Settings {
    Settings {
        read_bytes_max: READ_BYTES_MAX,
        body_timeout: Duration::from_millis(config.limits.body_timeout_ms),
        body_rate_min: config.limits.body_rate_min_bytes,
        feeds_max: config.limits.max_feeds,
        observe,
        profile: profile(config),
    }
}
