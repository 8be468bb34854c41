//! Stores in folders of their own, and short ways to say what a test does.

use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tidegate_kv::{Direction, EmbeddedOptions, KeyRange, Kv};
use tidegate_store::{
    AttachmentDigest, Database, DocRange, Edit, Encoding, History, NewAttachment, Order, Revpos, Staged, Store,
};
use tidegate_types::{DbName, DocId, Rev};

/// The longest that something in the background may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A folder for a store and for copies of it.
pub(crate) struct Folder {
    temp: TempDir,
    copies: usize,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap(), copies: 0 }
    }

    fn path(&self, copy: usize) -> PathBuf {
        self.temp.path().join(format!("store{copy}"))
    }

    /// Opens the store: the latest copy, if there are any.
    pub(crate) async fn open(&self) -> Store {
        Store::open(self.open_kv().await).await.unwrap()
    }

    /// Without checkpoints while it is open, so that it can be copied at any moment.
    pub(crate) async fn open_kv(&self) -> Kv {
        let mut options = EmbeddedOptions::new(self.path(self.copies));
        (options.checkpoint_interval, options.checkpoint_log_bytes) = (Duration::from_secs(3600), u64::MAX);
        options.cache_bytes = 8 << 20;
        Kv::open_embedded(options).await.unwrap()
    }

    /// Leaves the store as a crash would now: what is opened next is a copy of it.
    pub(crate) fn crash(&mut self) {
        let from = self.path(self.copies);
        self.copies += 1;
        copy_store(&from, &self.path(self.copies));
    }
}

fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("log")).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    for entry in fs::read_dir(from.join("log")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join("log").join(path.file_name().unwrap())).unwrap();
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Waits, without sleeping, until something in the background is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what} takes too long");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn compact(db: &Database) {
    db.compact(0).unwrap();
    until("compaction", async || !db.info().await.unwrap().compacting).await;
}

pub(crate) fn name(text: &str) -> DbName {
    text.parse().unwrap()
}

/// The collection `s.c` of a database.
pub(crate) async fn collection(db: &Database) -> Database {
    db.make_collection(&"s.c".parse().unwrap()).await.unwrap()
}

pub(crate) fn doc(text: &str) -> DocId {
    text.parse().unwrap()
}

pub(crate) fn revs(texts: &str) -> Vec<Rev> {
    texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
}

pub(crate) fn all_docs() -> DocRange {
    let unbounded = std::ops::Bound::Unbounded;
    DocRange { start: unbounded.clone(), end: unbounded, order: Order::Ascending }
}

/// A revision made here.
pub(crate) fn edit(id: &str, parent: Option<Rev>, members: &str) -> Edit {
    let canonical = Bytes::from(format!("{{{members}}}"));
    let history = History::Edit { parent, canonical };
    Edit {
        id: doc(id),
        history,
        deleted: false,
        members: members.to_owned().into(),
        attachments: Vec::new(),
        assignment: None,
    }
}

/// A revision made elsewhere; its path newest first.
pub(crate) fn replicated(id: &str, path: &str) -> Edit {
    Edit { history: History::Replicated(revs(path)), ..edit(id, None, "\"r\":1") }
}

/// Writes one revision.
pub(crate) async fn write(db: &Database, edit: Edit) -> Result<tidegate_store::Written, tidegate_store::Error> {
    db.edit(vec![edit]).await.unwrap().pop().unwrap()
}

pub(crate) async fn stage(db: &Database, content: &Bytes) -> Staged {
    let mut upload = db.upload();
    for piece in content.chunks(100_000) {
        upload.write(content.slice_ref(piece)).await.unwrap();
    }
    upload.finish().await.unwrap()
}

pub(crate) fn attachment(name: &str, staged: Staged) -> NewAttachment {
    NewAttachment {
        name: name.to_owned(),
        content_type: "application/octet-stream".to_owned(),
        revpos: Revpos::New,
        digest: staged.digest(),
        length: staged.length(),
        stored_length: staged.length(),
        encoding: Encoding::Identity,
        content: Some(staged),
    }
}

/// All of an attachment's content.
pub(crate) async fn read(db: &Database, digest: &AttachmentDigest) -> Vec<u8> {
    let mut reader = db.reader().unwrap().attachment(digest, None).await.unwrap();
    let mut content = Vec::new();
    while let Some(bytes) = reader.next().await.unwrap() {
        content.extend_from_slice(&bytes);
    }
    content
}

/// How many keys of each kind lie in the storage, all databases and collections together. Source: `keys.rs`.
pub(crate) async fn census(kv: &Kv) -> BTreeMap<char, usize> {
    let mut census = BTreeMap::new();
    let rows = kv.snapshot().unwrap().scan(KeyRange::prefix("D"), Direction::Forward, usize::MAX).await.unwrap();
    for (key, _) in rows {
        let tag = if key[5] == b'o' { key[10] } else { key[5] };
        *census.entry(char::from(tag)).or_default() += 1;
    }
    census
}

/// The numbers of the databases of which anything lies in the storage, the deleted included.
pub(crate) async fn numbers(kv: &Kv) -> Vec<Vec<u8>> {
    let rows = kv.snapshot().unwrap().scan(KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
    let keys = rows.iter().filter(|(key, _)| b"DT".contains(&key[0]));
    let mut numbers: Vec<_> = keys.map(|(key, _)| key[1..5].to_vec()).collect();
    numbers.dedup();
    numbers
}

/// Fails if anything in the database doesn't agree.
pub(crate) async fn check(db: &Database) {
    let found = db.check().await.unwrap();
    assert!(found.is_empty(), "{found:#?}");
}
