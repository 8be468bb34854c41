//! Passwords on their way in.

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct Given {
    /// The password. Others on this machine can see it: better leave it out, and type or pipe it.
    #[arg(long, env = "TIDEGATE_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

impl Given {
    /// The password: as given, or a line of the standard input, which a terminal doesn't show.
    pub(crate) fn read(self) -> Result<String> {
        let password = match self.password {
            Some(password) => password,
            None => ask()?,
        };
        ensure!(!password.is_empty(), "a password can't be empty; give it with --password, or on the standard input");
        Ok(password)
    }
}

fn ask() -> Result<String> {
    let input = io::stdin();
    let shown = if input.is_terminal() { Some(tcgetattr(&input)?) } else { None };
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        write!(io::stderr(), "Password: ")?;
        io::stderr().flush()?;
        tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    }
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    if let Some(shown) = &shown {
        tcsetattr(&input, OptionalActions::Flush, shown)?;
        writeln!(io::stderr())?;
    }
    read.context("could not read the password")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
