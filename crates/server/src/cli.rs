//! The command line.
//!
//! Commands on a running server speak to its CouchDB listener (`client`), as anybody could, or for what CouchDB hasn't to
//! the admin listener of Sync Gateway's protocol; those on a data folder open the storage themselves. A result goes to the standard output, as text or, with `--json`, as one value a line.
//! Exit codes: [`Ending`].

mod backup;
mod changes;
mod client;
mod couchdb;
mod db;
mod doc;
mod doctor;
mod explain;
mod export;
mod import;
mod output;
mod pages;
mod password;
mod principal;
mod pull;
mod role;
mod sync;
mod user;

use crate::{
    config::{Addresses, Config, Supervision},
    serve,
    sync_files::SyncFile,
    tls,
};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
pub(crate) use output::Form;
use output::Output;
use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    process::ExitCode,
};

/// A sync backend in one binary: documents that devices take along.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    max_term_width = 110,
    after_help = "Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 done, and something is wrong with the data (damage was \
                  found, or documents were left out); 130 interrupted, to be gone on with."
)]
pub(crate) struct Cli {
    /// Results as JSON, one value a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// How a command came to its end, other than by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Exit code 0.
    Well,
    /// Done, and something is wrong with the data: damage was found, or documents were left out. Exit code 3.
    Incomplete,
    /// Exit code 130.
    Interrupted,
}

impl Ending {
    fn worse(self, other: Self) -> Self {
        self.max(other)
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Well => Self::SUCCESS,
            Ending::Incomplete => 3.into(),
            Ending::Interrupted => 130.into(),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server to develop against: loopback only, everybody is an administrator.
    #[command(after_help = "Examples:\n  tidegate dev\n  tidegate dev --data /tmp/trial --couch 127.0.0.1:15984\n  \
                            tidegate dev --couch 127.0.0.1:0 --metrics off --gateway off --admin off")]
    Dev(Dev),
    /// Start a server for production, as a configuration file says.
    #[command(after_help = "Examples:\n  tidegate serve --config /etc/tidegate.toml\n  \
                            TIDEGATE_COUCH=0.0.0.0:5984 tidegate serve --config /etc/tidegate.toml")]
    Serve(Serve),
    /// Databases of a running server.
    Db(db::Db),
    /// Documents of a running server.
    Doc(doc::Doc),
    /// What changed in a database, and what changes.
    Changes(changes::Changes),
    /// Users, who log in and have roles.
    User(user::User),
    /// Administrators, who may do everything.
    Admin(user::Admin),
    /// Roles of a database whose documents are in channels.
    Role(role::Role),
    /// The function that decides on documents' channels: check it, try it out, set it.
    Sync(sync::Sync),
    /// Why a user sees a document, or doesn't.
    Explain(explain::Explain),
    /// Write a database as lines of JSON.
    Export(export::Export),
    /// Bring in documents: from a CouchDB server, or from lines of JSON.
    Import(import::Import),
    /// Write everything a server holds into one file, while it runs.
    Backup(backup::Backup),
    /// Make a data folder of a backup.
    Restore(backup::Restore),
    /// Check a data folder, and repair it.
    Doctor(doctor::Doctor),
    /// Write completions for a shell.
    Completions(pages::Completions),
    /// Write the manual.
    Man(pages::Man),
}

#[derive(Debug, Args)]
struct Dev {
    /// The folder the data lies in; made if it isn't there.
    #[arg(long, value_name = "DIR", env = "TIDEGATE_DATA", default_value = "tidegate-data")]
    data: PathBuf,
    /// A file with a sync function, set again whenever it is saved: DB=FILE, or a FILE named like its database, which is
    /// made if it isn't there. May be given several times.
    #[arg(long, value_name = "[DB=]FILE")]
    sync: Vec<SyncFile>,
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
    /// A file with a sync function, read again at SIGHUP: DB=FILE, or a FILE named like its database, which is made if it
    /// isn't there. May be given several times; in the configuration it is `[sync]`, DB = "FILE".
    #[arg(long, value_name = "[DB=]FILE")]
    sync: Vec<SyncFile>,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    supervision: Supervision,
}

impl Cli {
    /// How results, and failures, are to be written.
    pub(crate) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }

    /// Does what the command line says; returns when it is done.
    pub(crate) fn run(self) -> Result<ExitCode> {
        tls::install_provider();
        let out = Output { form: self.form() };
        match self.command.run(out) {
            // Whoever reads the results has read enough.
            Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            ended => ended.map(ExitCode::from),
        }
    }
}

impl Command {
    fn run(self, out: Output) -> Result<Ending> {
        let well = |()| Ending::Well;
        match self {
            Self::Dev(Dev { data, sync, addresses, supervision }) => {
                serve::run(Config::dev(data, &addresses, sync)?, &supervision).map(well)
            }
            Self::Serve(Serve { config, data, sync, addresses, supervision }) => {
                serve::run(Config::serve(&config, data, &addresses, sync)?, &supervision).map(well)
            }
            Self::Db(db) => wait_for(db.run(out)).map(well),
            Self::Doc(doc) => wait_for(doc.run(out)).map(well),
            Self::Changes(changes) => wait_for(changes.run(out)).map(well),
            Self::User(user) => wait_for(user.run(out)).map(well),
            Self::Admin(admin) => wait_for(admin.run(out)).map(well),
            Self::Role(role) => wait_for(role.run(out)).map(well),
            Self::Sync(sync) => wait_for(sync.run(out)).map(well),
            Self::Explain(explain) => wait_for(explain.run(out)).map(well),
            Self::Export(export) => wait_for(export.run(out)).map(well),
            Self::Import(import) => wait_for(import.run(out)),
            Self::Backup(backup) => wait_for(backup.run(out)),
            Self::Restore(restore) => restore.run(out),
            Self::Doctor(doctor) => wait_for(doctor.run(out)),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
        }
    }
}

fn wait_for<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
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
