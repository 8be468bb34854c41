//! `tidegate completions`, `tidegate man`: the command line, told to shells and in manual pages.

use super::{Cli, Ending};
use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate completions bash > /etc/bash_completion.d/tidegate\n  \
                        tidegate completions zsh > \"${fpath[1]}/_tidegate\"\n  \
                        tidegate completions fish > ~/.config/fish/completions/tidegate.fish")]
pub(crate) struct Completions {
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate man | man -l -\n  tidegate man /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Write a page for each command into this folder, instead of the main page to the standard output.
    dir: Option<PathBuf>,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<Ending> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tidegate", &mut text);
        io::stdout().write_all(&text)?;
        Ok(Ending::Well)
    }
}

impl Man {
    pub(crate) fn run(&self) -> Result<Ending> {
        let Some(dir) = &self.dir else {
            let mut text = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut text)?;
            io::stdout().write_all(&text)?;
            return Ok(Ending::Well);
        };
        let failed = || format!("the pages could not be written to {}", dir.display());
        fs::create_dir_all(dir).with_context(failed)?;
        clap_mangen::generate_to(Cli::command(), dir).with_context(failed)?;
        Ok(Ending::Well)
    }
}
