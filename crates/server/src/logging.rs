//! Where log lines go, and in which shape.

use crate::config::{LogFile, LogFormat};
use anyhow::{Context, Result};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::{EnvFilter, fmt};

/// Sends log lines to the standard error stream from now on.
pub(crate) fn start(log: &LogFile) -> Result<()> {
    let filter = EnvFilter::try_new(&log.level).with_context(|| format!("log.level = {:?} is not valid", log.level))?;
    let builder = fmt().with_env_filter(filter).with_writer(stderr);
    // On a terminal the library heeds NO_COLOR.
    let builder = if stderr().is_terminal() { builder } else { builder.with_ansi(false) };
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging could not start: {error}"))
}
