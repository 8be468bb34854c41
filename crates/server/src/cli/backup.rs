//! `tidegate backup`, `tidegate restore`: everything a server holds, as one file.

use super::{
    Ending,
    client::{Client, Remote, status_of},
    output::{Output, Unit, bytes, count},
};
use crate::{clock, identity};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use reqwest::Method;
use serde_json::json;
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};
use tempfile::NamedTempFile;
use tidegate_engine::{BackupHead, BackupSummary, Damage, Decoder, Item, Offline};
use tidegate_kv::{EmbeddedOptions, Error as KvError, Kv};

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;
/// Each row is read once: there is little to keep.
const CACHE_BYTES: usize = 32 << 20;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "The file holds all databases with their histories and attachments, users, and settings made at run time; not \
                    the configuration file. It holds password hashes: keep it as safe as the server.\n\n\
                  Examples:\n  tidegate backup -o monday.backup --url http://admin:secret@127.0.0.1:5984\n  \
                  tidegate backup -o monday.backup --data /var/lib/tidegate     (while no server runs)\n  \
                  tidegate backup verify monday.backup"
)]
pub(crate) struct Backup {
    #[command(flatten)]
    remote: Remote,
    /// The file to write. It must not exist.
    #[arg(long, short, value_name = "FILE", required = true)]
    output: Option<PathBuf>,
    /// The data folder of a server that doesn't run, instead of a URL.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a backup from beginning to end, and say whether it is whole.
    #[command(after_help = "Examples:\n  tidegate backup verify monday.backup")]
    Verify { file: PathBuf },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Clients that go on with a restored server read its feeds from the beginning once: its databases have new ids, \
                    so that nothing is skipped.\n\n\
                        Examples:\n  tidegate restore monday.backup --data /var/lib/tidegate\n  \
                        tidegate serve --config /etc/tidegate.toml --data /var/lib/tidegate"
)]
pub(crate) struct Restore {
    /// The backup.
    file: PathBuf,
    /// The data folder to make. It must not exist, or be empty.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Backup {
    pub(crate) async fn run(self, out: Output) -> Result<Ending> {
        if let Some(Command::Verify { file }) = self.command {
            return verify(&file, out);
        }
        let path = self.output.context("say where to write the backup: -o FILE")?;
        let mut receiver = Receiver::new(path, out)?;
        match &self.data {
            Some(data) => from_folder(data, &mut receiver).await?,
            None => from_server(&self.remote.client()?, &mut receiver).await?,
        }
        let (path, checked) = receiver.finish()?;
        tell(&path, &checked, out)?;
        Ok(Ending::Well)
    }
}

async fn from_server(client: &Client, receiver: &mut Receiver) -> Result<()> {
    let mut response = match client.send(client.request(Method::GET, "/_node/_local/_backup")).await {
        Err(error) if status_of(&error) == Some(404) => {
            bail!("{} is no Tidegate server that can be backed up", client.shown())
        }
        response => response?,
    };
    while let Some(piece) = response.chunk().await.context("the backup was cut short; try again")? {
        receiver.take(&piece)?;
    }
    Ok(())
}

async fn from_folder(data: &Path, receiver: &mut Receiver) -> Result<()> {
    let server_id = identity::get(data).unwrap_or_default();
    let offline = open(data, "stop the server first, or ask it with --url").await?;
    let now = clock::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut backup = offline.backup(&server_id, env!("CARGO_PKG_VERSION"), now).await?;
    while let Some(piece) = backup.next().await? {
        receiver.take(&piece)?;
    }
    drop(backup);
    Ok(offline.close().await?)
}

/// Opens the storage of a server that doesn't run; what to do where one does.
pub(crate) async fn open(data: &Path, advice_if_open: &str) -> Result<Offline> {
    let advice = "; say where a server's data lies with --data";
    ensure!(data.join("FORMAT").is_file(), "there is no Tidegate data in {}{advice}", data.display());
    let mut options = EmbeddedOptions::new(data);
    options.cache_bytes = CACHE_BYTES;
    let kv = match Kv::open_embedded(options).await {
        Err(error @ KvError::Locked { .. }) => {
            return Err(anyhow::Error::new(error).context(format!("another process has it open: {advice_if_open}")));
        }
        opened => opened.with_context(|| format!("the data in {} can't be opened", data.display()))?,
    };
    Ok(Offline::open(kv).await?)
}

/// A backup that is checked while it comes, and gets its name when it is whole and on the disk.
struct Receiver {
    path: PathBuf,
    file: NamedTempFile,
    check: Check,
}

/// What has been read of a backup.
struct Check {
    decoder: Decoder,
    head: Option<BackupHead>,
    bar: ProgressBar,
}

/// A backup that is whole.
struct Checked {
    head: BackupHead,
    summary: BackupSummary,
}

impl Receiver {
    fn new(path: PathBuf, out: Output) -> Result<Self> {
        ensure!(!path.exists(), "{} exists already; choose another name, or remove it", path.display());
        // In the same folder, so that it can be renamed; nobody else may read it.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ensure!(folder.is_dir(), "there is no folder {}; make it, or choose another", folder.display());
        let file = tempfile::Builder::new().prefix(".tidegate-backup-").tempfile_in(folder);
        let file = file.with_context(|| format!("could not write in {}", folder.display()))?;
        Ok(Self { path, file, check: Check::new(out, "backing up") })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).context("the backup could not be written")?;
        self.check.take(bytes).context("what came is no whole backup; try again")
    }

    fn finish(self) -> Result<(PathBuf, Checked)> {
        let Self { path, file, check } = self;
        let checked = check.finish().context("what came is no whole backup; try again")?;
        file.as_file().sync_all().context("the backup could not be written")?;
        let named = file.persist_noclobber(&path);
        named.map_err(|error| error.error).with_context(|| format!("{} could not be made", path.display()))?;
        sync_parent(&path)?;
        Ok((path, checked))
    }
}

impl Check {
    fn new(out: Output, what: &str) -> Self {
        Self { decoder: Decoder::default(), head: None, bar: out.bar(what, 0, Unit::Things) }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        self.decoder.feed(bytes);
        while let Some(item) = self.decoder.take()? {
            match item {
                Item::Head(head) => {
                    self.bar.set_length(head.rows);
                    self.head = Some(head);
                }
                Item::Rows(rows) => self.bar.inc(rows.len() as u64),
                Item::End(_) => {}
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Checked, Damage> {
        let summary = self.decoder.finish()?;
        self.bar.finish_and_clear();
        let head = self.head.ok_or(Damage::NotABackup)?;
        Ok(Checked { head, summary })
    }
}

fn verify(path: &Path, out: Output) -> Result<Ending> {
    let mut file = File::open(path).with_context(|| format!("could not read {}", path.display()))?;
    match read(&mut file, Check::new(out, "reading"))? {
        Ok(checked) => {
            tell(path, &checked, out)?;
            Ok(Ending::Well)
        }
        Err(damage) => {
            let value = json!({ "file": path, "ok": false, "reason": damage.to_string() });
            out.row(&value, &format!("{}: {damage}; it can't be restored, take another", path.display()))?;
            Ok(Ending::Incomplete)
        }
    }
}

fn read(file: &mut File, mut check: Check) -> Result<Result<Checked, Damage>> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = file.read(&mut buffer).context("the backup can't be read")?;
        if count == 0 {
            return Ok(check.finish());
        }
        if let Err(damage) = check.take(buffer.get(..count).unwrap_or_default()) {
            return Ok(Err(damage));
        }
    }
}

fn tell(path: &Path, checked: &Checked, out: Output) -> Result<()> {
    let Checked { head, summary } = checked;
    let digest: String = summary.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let value = json!({
        "file": path, "ok": true, "rows": summary.rows, "bytes": summary.bytes, "sha256": digest,
        "created": head.created_s, "program": head.program, "server": head.server_id,
    });
    let (rows, size) = (count(summary.rows, "row"), bytes(summary.bytes));
    out.row(&value, &format!("{}: a whole backup, {rows}, {size}", path.display()))
}

impl Restore {
    pub(crate) fn run(self, out: Output) -> Result<Ending> {
        let Self { file: path, data } = self;
        let is_taken = fs::read_dir(&data).map(|mut entries| entries.next().is_some());
        let is_taken =
            is_taken.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(false) } else { Err(error) });
        let is_taken = is_taken.with_context(|| format!("{} can't be used", data.display()))?;
        ensure!(!is_taken, "{} isn't empty; a backup is restored into a new folder", data.display());
        let parent =
            std::path::absolute(&data)?.parent().map(Path::to_owned).context("the data folder needs a name")?;
        fs::create_dir_all(&parent).with_context(|| format!("could not make {}", parent.display()))?;
        let draft = tempfile::Builder::new().prefix(".tidegate-restore-").tempdir_in(&parent)?;
        let checked = restore(&path, draft.path(), out)?;
        if !checked.head.server_id.is_empty() {
            identity::write(draft.path(), &checked.head.server_id).context("the server's id can't be written")?;
        }
        fs::rename(draft.path(), &data).with_context(|| format!("{} could not be made", data.display()))?;
        sync_parent(&data)?;
        let summary = checked.summary;
        let value = json!({ "ok": true, "data": data, "rows": summary.rows, "bytes": summary.bytes });
        let text = format!(
            "{}: restored {}, {}; start a server on it with --data {}",
            data.display(),
            count(summary.rows, "row"),
            bytes(summary.bytes),
            data.display()
        );
        out.row(&value, &text)?;
        Ok(Ending::Well)
    }
}

/// Makes the storage in an empty folder; checks the backup first.
fn restore(path: &Path, draft: &Path, out: Output) -> Result<Checked> {
    let opened = || File::open(path).with_context(|| format!("could not read {}", path.display()));
    let damaged = || format!("{} can't be restored", path.display());
    let checked = read(&mut opened()?, Check::new(out, "checking"))?.with_context(damaged)?;
    let bar = out.bar("restoring", checked.summary.rows, Unit::Things);
    let restored = tidegate_engine::restore(draft, opened()?, |rows| bar.inc(rows)).with_context(damaged)?;
    ensure!(restored == checked.summary, "{} was changed while it was read", path.display());
    bar.finish_and_clear();
    Ok(checked)
}

fn sync_parent(path: &Path) -> Result<()> {
    let parent = std::path::absolute(path)?;
    let parent = parent.parent().unwrap_or(Path::new("/"));
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("could not sync {}", parent.display()))
}
