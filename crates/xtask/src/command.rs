//! Runs programs: shows the command line, and says what to do when a program is missing or fails.

use std::{
    io::ErrorKind,
    process::{Command, Stdio},
};

use anyhow::{Context as _, anyhow, ensure};

/// Runs `command` on this terminal, its command line shown first.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = command_line(command);
    println!("$ {line}");
    let status = command.status().map_err(|error| not_started(&line, error))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// What `command` prints; its error output stays on this terminal.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let line = command_line(command);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| not_started(&line, error))?;
    ensure!(output.status.success(), "`{line}` failed ({})", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed something other than UTF-8"))
}

fn not_started(line: &str, error: std::io::Error) -> anyhow::Error {
    let missing = error.kind() == ErrorKind::NotFound;
    let hint =
        if missing { "it isn't installed: `.ci/run` installs what the checks need" } else { "it can't be started" };
    anyhow!(error).context(format!("`{line}`: {hint}"))
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_line() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
    }

    #[test]
    fn a_missing_program_says_how_to_get_it() {
        let error = output(&mut Command::new("tidegate-no-such-program")).unwrap_err();
        assert!(error.to_string().contains("`.ci/run` installs"), "{error}");
    }
}
