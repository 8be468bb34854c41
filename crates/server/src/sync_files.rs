//! Sync functions that lie in files beside the configuration.
//!
//! What a file holds is set when the server starts, and again when it has changed: in `dev` as soon as it is saved, in
//! `serve` at SIGHUP. Documents that are there are then synced again, in the background.

use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};
use tidegate_engine::{Caller, Engine, Error, Place, ResyncFrom, ScriptError, check_sync_function};
use tidegate_types::DbName;
use tokio::{signal::unix::Signal, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often files are looked at while somebody edits them.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// A file with the sync function of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncFile {
    pub(crate) db: DbName,
    pub(crate) path: PathBuf,
}

/// Sync functions in files.
#[derive(Debug)]
pub(crate) struct SyncRule {
    pub(crate) files: Vec<SyncFile>,
    pub(crate) reread: Reread,
}

/// When files are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reread {
    /// When they have changed.
    AtEdits,
    /// At SIGHUP.
    AtHangup,
}

/// All of them, and who sets them.
pub(crate) struct SyncFiles {
    files: Vec<SyncFile>,
    engine: Engine,
    caller: Caller,
}

/// When files are read again.
pub(crate) enum Again {
    /// When they have changed.
    AtEdits,
    /// When the signal says so.
    At(Signal),
}

impl FromStr for SyncFile {
    type Err = String;

    /// `DB=FILE`, or `FILE`, which is named like its database.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Path::new(path)),
            None => (Path::new(text).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default(), Path::new(text)),
        };
        let db = name.parse().map_err(|error| format!("{error}; name the database: --sync DB={}", path.display()))?;
        Ok(Self { db, path: path.to_owned() })
    }
}

impl SyncRule {
    /// The flags' files, and those of the configuration file for the other databases.
    pub(crate) fn of(flags: Vec<SyncFile>, file: &BTreeMap<String, PathBuf>, folder: &Path) -> Result<Vec<SyncFile>> {
        let mut files = flags;
        for (name, path) in file {
            let db: DbName = name.parse().with_context(|| format!("[sync]: {name}"))?;
            if files.iter().all(|file| file.db != db) {
                files.push(SyncFile { db, path: folder.join(path) });
            }
        }
        Ok(files)
    }
}

impl SyncFiles {
    pub(crate) fn new(files: Vec<SyncFile>, engine: Engine, caller: Caller) -> Self {
        Self { files, engine, caller }
    }

    /// Sets the functions at the start, where a bad one is a reason not to start.
    pub(crate) async fn set(&self) -> Result<()> {
        for file in &self.files {
            self.set_one(file).await?;
        }
        Ok(())
    }

    /// Sets them again whenever it is time to. What is wrong with a file is logged, and the function stays as it was.
    pub(crate) async fn follow(self, mut again: Again, draining: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = vec![String::new(); self.files.len()];
        loop {
            let time = async {
                match &mut again {
                    Again::AtEdits => drop(ticks.tick().await),
                    Again::At(signal) => drop(signal.recv().await),
                }
            };
            tokio::select! {
                () = time => {}
                () = draining.cancelled() => return,
            }
            for (file, told) in self.files.iter().zip(&mut told) {
                let fault = self.set_one(file).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
                if !fault.is_empty() && (*told != fault || matches!(again, Again::At(_))) {
                    tracing::error!(db = %file.db, "the sync function stays as it was: {fault}");
                }
                *told = fault;
            }
        }
    }

    /// Sets one, if it isn't what the database has.
    async fn set_one(&self, file: &SyncFile) -> Result<()> {
        let SyncFile { db: name, path } = file;
        let shown = path.display().to_string();
        let source = tokio::fs::read_to_string(path).await.with_context(|| format!("could not read {shown}"))?;
        let db = match self.engine.database(&self.caller, name).await {
            Err(Error::NoDatabase(_)) => {
                check(&shown, &source)?;
                self.engine.create_database_in_channels(&self.caller, name).await?;
                self.engine.database(&self.caller, name).await?
            }
            db => db?,
        };
        db.check_channels().with_context(|| {
            format!("{shown} would have no effect on {name}; `tidegate db create NAME --access channels` makes another")
        })?;
        if db.sync_function().await?.as_deref() == Some(source.as_str()) {
            return Ok(());
        }
        check(&shown, &source)?;
        db.set_sync_function(Some(&source)).await?;
        db.start_resync(ResyncFrom::Beginning).await?;
        tracing::info!(db = %name, file = shown, "the sync function is set; documents are synced again");
        Ok(())
    }
}

/// Refuses a text that is no function, and shows where.
pub(crate) fn check(file: &str, source: &str) -> Result<()> {
    match check_sync_function(source) {
        Ok(()) => Ok(()),
        Err(ScriptError::Compile { message, place: Some(place) }) => {
            bail!("{}", pointed(file, source, &message, place));
        }
        Err(error) => bail!("{file}: {error}"),
    }
}

/// What is wrong, with the line it is in and a mark below the place.
fn pointed(file: &str, source: &str, message: &str, place: Place) -> String {
    let Place { line, column } = place;
    let index = usize::try_from(line).unwrap_or_default().saturating_sub(1);
    let text = source.lines().nth(index).unwrap_or_default();
    let indent = usize::try_from(column).unwrap_or_default().saturating_sub(1);
    let number = line.to_string();
    let gap = " ".repeat(number.len());
    format!("{file}:{line}:{column}: {message}\n{gap} |\n{number} | {text}\n{gap} | {}^", " ".repeat(indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_like_its_database_or_named_with_it() {
        let parsed = |text: &str| text.parse::<SyncFile>().map(|file| (file.db.to_string(), file.path));
        assert_eq!(parsed("conf/notes.js").unwrap(), ("notes".to_owned(), PathBuf::from("conf/notes.js")));
        assert_eq!(parsed("notes=conf/sync.js").unwrap(), ("notes".to_owned(), PathBuf::from("conf/sync.js")));
        assert_eq!(parsed("notes=a=b.js").unwrap(), ("notes".to_owned(), PathBuf::from("a=b.js")));
        for text in ["", "Notes.js", "=a.js", ".."] {
            let refused = parsed(text).unwrap_err();
            assert!(refused.contains("name the database: --sync DB="), "{text}: {refused}");
        }
    }

    #[test]
    fn faults_are_pointed_at() {
        assert!(check("f.js", "function (doc) { channel('a'); }").is_ok());
        let error = check("f.js", "function (doc) {\n  channel(;\n}").unwrap_err().to_string();
        assert!(error.starts_with("f.js:2:"), "{error}");
        assert!(error.contains("\n2 |   channel(;\n  |          "), "{error}");
        assert!(check("f.js", "42").is_err());
    }
}
