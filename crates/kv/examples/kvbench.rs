//! Measures the embedded store: durable writes by 1, 16 and 64 writers, bulk writes, reads and scans.
//!
//! A document is a 1 KB body and an index row under ascending keys, and a small record under a random key. The figures
//! are those of this machine, its disk and its load at the time: compare runs made one after the other.
//!
//! Run: `cargo run --release -p tidegate-kv --example kvbench [-- FOLDER [SECONDS [BULK]]]`; the folder is made and
//! removed again.
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use std::{
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};
use tidegate_kv::{Direction, EmbeddedOptions, Error, KeyRange, Kv, Stats, Transaction};

const BODY_BYTES: usize = 1024;
const BULK_STEP: u64 = 1000;

/// What to run.
struct Plan {
    folder: PathBuf,
    seconds: u64,
    bulk: u64,
    options: Vec<(String, u64)>,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let plan = plan();
    for writers in [1, 16, 64] {
        singles(&plan, writers).await?;
    }
    bulk(&plan).await?;
    recovery(&plan).await
}

fn plan() -> Plan {
    let (options, words): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.contains('='));
    let number = |at: usize, or: u64| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(or);
    Plan {
        folder: words.first().map_or_else(|| std::env::temp_dir().join("kvbench"), PathBuf::from),
        seconds: number(1, 8),
        bulk: number(2, 300_000),
        options: options
            .iter()
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect(),
    }
}

async fn open(plan: &Plan) -> Result<Kv, Error> {
    std::fs::remove_dir_all(&plan.folder).ok();
    let mut options = EmbeddedOptions::new(&plan.folder);
    for (name, value) in &plan.options {
        match name.as_str() {
            "cache_mb" => options.cache_bytes = usize::try_from(value << 20).unwrap_or(usize::MAX),
            "checkpoint_mb" => options.checkpoint_log_bytes = value << 20,
            "checkpoint_ms" => options.checkpoint_interval = Duration::from_millis(*value),
            "segment_mb" => options.segment_bytes = value << 20,
            _ => println!("unknown option {name}"),
        }
    }
    Kv::open_embedded(options).await
}

/// Documents of one writer.
struct Writer {
    scope: [u8; 2],
    sequence: u64,
    body: Bytes,
    random: SmallRng,
}

impl Writer {
    fn new(number: u16) -> Self {
        let mut random = SmallRng::seed_from_u64(u64::from(number));
        let mut body = vec![0; BODY_BYTES];
        random.fill_bytes(&mut body);
        Self { scope: number.to_be_bytes(), sequence: 0, body: body.into(), random }
    }

    fn document(&mut self, transaction: &mut Transaction) {
        self.sequence += 1;
        let id: [u8; 16] = self.random.random();
        let record = [&self.scope[..], b"d", &id].concat();
        transaction.put(record, self.sequence.to_be_bytes().repeat(5));
        transaction.put([&self.scope[..], b"b", &self.sequence.to_be_bytes()].concat(), self.body.clone());
        transaction.put([&self.scope[..], b"s", &self.sequence.to_be_bytes()].concat(), id.to_vec());
    }
}

async fn singles(plan: &Plan, writers: u16) -> Result<(), Error> {
    let kv = open(plan).await?;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let end = began + Duration::from_secs(plan.seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..writers {
        tasks.spawn(write_until(kv.clone(), Writer::new(number), end));
    }
    let mut times = Vec::new();
    for written in tasks.join_all().await {
        times.extend(written?);
    }
    let (elapsed, cpu) = (began.elapsed(), cpu_seconds() - cpu);
    times.sort_unstable();
    let at = |thousandths: usize| times.get(times.len() * thousandths / 1000).copied().unwrap_or_default();
    print(&format!("{writers} writers"), times.len(), elapsed, cpu, &kv.stats());
    println!(
        "    p50 {:?}  p99 {:?}  p99.9 {:?}  max {:?}",
        at(500),
        at(990),
        at(999),
        times.last().copied().unwrap_or_default()
    );
    kv.close().await
}

async fn write_until(kv: Kv, mut writer: Writer, end: Instant) -> Result<Vec<Duration>, Error> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let began = Instant::now();
        let mut transaction = kv.begin(&writer.scope).await?;
        writer.document(&mut transaction);
        transaction.commit().await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

async fn bulk(plan: &Plan) -> Result<(), Error> {
    let kv = open(plan).await?;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut writer = Writer::new(7);
    for _ in 0..plan.bulk / BULK_STEP {
        let mut transaction = kv.begin(&writer.scope).await?;
        (0..BULK_STEP).for_each(|_| writer.document(&mut transaction));
        transaction.commit().await?;
    }
    print("bulk", usize::try_from(writer.sequence).unwrap_or(0), began.elapsed(), cpu_seconds() - cpu, &kv.stats());
    read(&kv, &writer).await?;
    let (began, rows) = (Instant::now(), kv.snapshot()?.position());
    kv.close().await?;
    println!("close {:?} ({rows} groups)", began.elapsed());
    let began = Instant::now();
    let kv = Kv::open_embedded(EmbeddedOptions::new(&plan.folder)).await?;
    println!("open {:?}", began.elapsed());
    kv.close().await?;
    std::fs::remove_dir_all(&plan.folder).ok();
    Ok(())
}

/// How long opening takes after a crash with a full log: a copy of the folder is what the crash leaves.
async fn recovery(plan: &Plan) -> Result<(), Error> {
    let kv = open(plan).await?;
    let mut options = EmbeddedOptions::new(&plan.folder);
    kv.close().await?;
    (options.checkpoint_log_bytes, options.checkpoint_interval) = (u64::MAX, Duration::from_secs(3600));
    let kv = Kv::open_embedded(options.clone()).await?;
    while kv.stats().log_bytes < 32 << 20 {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..16 {
            tasks.spawn(write_until(kv.clone(), Writer::new(number), Instant::now() + Duration::from_millis(20)));
        }
        tasks.join_all().await;
    }
    let copy = plan.folder.with_extension("copy");
    std::fs::create_dir_all(copy.join("log")).ok();
    for name in ["FORMAT", "lock", "tree.redb", "tree.sums", "large.redb", "large.sums"] {
        std::fs::copy(plan.folder.join(name), copy.join(name)).ok();
    }
    for entry in std::fs::read_dir(plan.folder.join("log")).into_iter().flatten().flatten() {
        std::fs::copy(entry.path(), copy.join("log").join(entry.file_name())).ok();
    }
    let log_bytes = kv.stats().log_bytes;
    kv.close().await?;
    options.path.clone_from(&copy);
    let began = Instant::now();
    let kv = Kv::open_embedded(options).await?;
    let groups = kv.stats().replayed_groups;
    println!("open after a crash: {:?} for {} MB of log in {groups} groups", began.elapsed(), log_bytes >> 20);
    kv.close().await?;
    std::fs::remove_dir_all(&plan.folder).ok();
    std::fs::remove_dir_all(&copy).ok();
    Ok(())
}

async fn read(kv: &Kv, writer: &Writer) -> Result<(), Error> {
    let time = |what: &str, count: u64, began: Instant| {
        println!("{what}: {:.3} µs each", began.elapsed().as_secs_f64() * 1e6 / count as f64);
    };
    let began = Instant::now();
    (0..1_000_000).try_for_each(|_| kv.snapshot().map(drop))?;
    time("snapshot", 1_000_000, began);
    let snapshot = kv.snapshot()?;
    let key = |sequence: u64| [&writer.scope[..], b"b", &sequence.to_be_bytes()].concat();
    let mut random = SmallRng::seed_from_u64(1);
    let keys: Vec<_> = (0..200_000).map(|_| key(random.random_range(1..=writer.sequence))).collect();
    let began = Instant::now();
    for key in &keys {
        snapshot.get(key).await?;
    }
    time("get of 1 KB at random", 200_000, began);
    for (name, kind) in [("scan of index rows", b"s"), ("scan of 1 KB bodies", b"b"), ("scan of records", b"d")] {
        let began = Instant::now();
        let mut rows = Vec::new();
        let range = KeyRange::prefix([&writer.scope[..], kind].concat());
        let visit = |key: &[u8], value: &[u8]| {
            rows.push(key.len() + value.len());
            ControlFlow::Continue(())
        };
        snapshot.scan_with(range, Direction::Forward, 200_000, visit).await?;
        time(name, rows.len() as u64, began);
    }
    Ok(())
}

fn print(what: &str, documents: usize, elapsed: Duration, cpu: f64, stats: &Stats) {
    println!(
        "{what}: {:.0}/s  {:.1} µs CPU each  {} syncs  {:.1} a sync  {} checkpoints, mean {:?}, max {:?}  log {} MB  tree {} MB",
        documents as f64 / elapsed.as_secs_f64(),
        cpu * 1e6 / documents as f64,
        stats.log_syncs,
        documents as f64 / stats.log_syncs as f64,
        stats.checkpoints,
        stats.checkpoint_time / u32::try_from(stats.checkpoints.max(1)).unwrap_or(1),
        stats.checkpoint_time_max,
        stats.log_bytes >> 20,
        stats.tree_bytes >> 20,
    );
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
