//! The command line.

use crate::{
    config::{Addresses, Config, Supervision},
    serve,
};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A sync backend in one binary: documents that devices take along.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server to develop against: loopback only, everybody is an administrator.
    #[command(after_help = "Examples:\n  tidegate dev\n  tidegate dev --data /tmp/trial --couch 127.0.0.1:15984\n  \
                            tidegate dev --couch 127.0.0.1:0 --metrics off")]
    Dev(Dev),
    /// Start a server for production, as a configuration file says.
    #[command(after_help = "Examples:\n  tidegate serve --config /etc/tidegate.toml\n  \
                            TIDEGATE_COUCH=0.0.0.0:5984 tidegate serve --config /etc/tidegate.toml")]
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Dev {
    /// The folder the data lies in; made if it isn't there.
    #[arg(long, value_name = "DIR", env = "TIDEGATE_DATA", default_value = "tidegate-data")]
    data: PathBuf,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    supervision: Supervision,
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration file. Settings of the environment come before its, flags before both.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: PathBuf,
    /// The folder the data lies in; made if it isn't there.
    #[arg(long, value_name = "DIR", env = "TIDEGATE_DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    supervision: Supervision,
}

impl Cli {
    /// Does what the command line says; returns when it is done.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            Command::Dev(Dev { data, addresses, supervision }) => {
                serve::run(Config::dev(data, &addresses)?, &supervision)
            }
            Command::Serve(Serve { config, data, addresses, supervision }) => {
                serve::run(Config::serve(&config, data, &addresses)?, &supervision)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
