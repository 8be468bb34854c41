//! What a supervisor of systemd's kind is told: that the server is ready, stops, and is well.
//!
//! The protocol is datagrams to a socket that the environment names; without one, nothing is told.

use crate::config::Supervision;
use std::{
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
    time::Duration,
};
use tidegate_engine::{Engine, Health};
use tokio::time::{MissedTickBehavior, interval};

/// Tells the supervisor. Its failures are logged: a server isn't worse for them.
#[derive(Debug)]
pub(crate) struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it must hear that the server is well.
    watchdog: Option<Duration>,
}

impl Supervisor {
    pub(crate) fn new(supervision: &Supervision) -> Self {
        let socket = supervision.notify_socket.as_deref().and_then(|name| match reach(name) {
            Ok(reached) => Some(reached),
            Err(error) => {
                tracing::warn!(%error, name, "NOTIFY_SOCKET can't be reached");
                None
            }
        });
        let is_ours = supervision.watchdog_pid.is_none_or(|pid| pid == std::process::id());
        let watchdog = supervision.watchdog_usec.filter(|usec| *usec > 0 && is_ours && socket.is_some());
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=ready");
    }

    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    /// Tells twice in each period that the server is well, as long as a restart wouldn't help it. Never ends.
    pub(crate) async fn watch(&self, engine: &Engine) {
        let Some(period) = self.watchdog else { return std::future::pending().await };
        let mut ticks = interval(period / 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Health::Ok;
        loop {
            ticks.tick().await;
            let health = engine.health();
            if status(&health) != status(&told) {
                self.tell(status(&health));
                told = health;
            }
            if is_well(&told) {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, "the supervisor couldn't be told {message:?}");
        }
    }
}

/// A full disk isn't mended by a restart, and reads go on.
fn is_well(health: &Health) -> bool {
    match health {
        Health::Ok | Health::Full { .. } => true,
        Health::ReadOnly { .. } | Health::Stalled { .. } => false,
    }
}

fn status(health: &Health) -> &'static str {
    match health {
        Health::Ok => "STATUS=ready",
        Health::Full { .. } => "STATUS=the disk is full: reads only",
        Health::ReadOnly { .. } => "STATUS=the storage has failed: reads only until a restart",
        Health::Stalled { .. } => "STATUS=the disk lets writes wait",
    }
}

/// A socket, and the address: a path, or behind `@` a name outside the file system.
fn reach(name: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    Ok((UnixDatagram::unbound()?, address))
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}
