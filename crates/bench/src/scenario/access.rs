//! Through Sync Gateway's public port, with a user, basic authentication, a sync function and channels.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{BATCH, Extent, Stage, audience::Audience, grouped};
use crate::{
    Error,
    client::{Connection, Request},
    document,
    load::{Latencies, Load, Outcome, drive},
    measurement::{Figure, Measurement, float, millis},
    target::Cost,
};

const DATABASE: &str = "/bench-access";
const SYNC: &str = "function (doc, oldDoc) {
  if (oldDoc) requireAccess(oldDoc.channels);
  requireAccess(doc.channels);
  channel(doc.channels);
}";
const CHANNELS: u64 = 100;
const DOCUMENTS: u64 = 20_000;
const OPERATIONS_MAX: u64 = 100_000;
const MANY_CHANNELS: u64 = 10_000;
const MOVES: u64 = 10_000;

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    let Some((public, admin)) = stage.target.gateway() else {
        return Err(Error::Unsupported("it has no gateway"));
    };
    let site = Site { stage, public, admin };
    site.set_up().await?;
    let mut rows = Vec::new();
    let mut from = 0;
    for (connections, limit) in [(16, 85.0), (64, 65.0)] {
        rows.push(site.put(connections, from, limit).await?);
        from += OPERATIONS_MAX;
    }
    rows.push(site.bulk(from).await?);
    rows.push(site.get(from).await?);
    rows.push(site.changes("a user's _changes", &user(0), Some(1.0)).await?);
    rows.push(site.listeners(1_000).await?);
    if stage.plan.extent == Extent::Full {
        rows.push(site.listeners(10_000).await?);
    }
    rows.push(site.many_channels().await?);
    rows.push(site.moves().await?);
    rows.extend(site.back_fill(if stage.plan.extent == Extent::Full { 1_000_000 } else { 100_000 }).await?);
    Ok(rows)
}

struct Site<'a> {
    stage: &'a Stage<'a>,
    public: SocketAddr,
    admin: SocketAddr,
}

/// The credentials of user number so-and-so.
fn user(number: u64) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("u{number}:secret")))
}

/// A document's body in this channel.
fn write_body(number: u64, channel: &str, json: &mut Vec<u8>) {
    json.extend_from_slice(b"{\"channels\":[\"");
    json.extend_from_slice(channel.as_bytes());
    json.extend_from_slice(b"\"],");
    let start = json.len();
    document::write_body(number, json);
    json.remove(start);
}

fn write_batch(numbers: std::ops::Range<u64>, channel: impl Fn(u64) -> String, json: &mut Vec<u8>) {
    json.extend_from_slice(b"{\"docs\":[");
    for number in numbers {
        if !json.ends_with(b"[") {
            json.push(b',');
        }
        json.extend_from_slice(format!("{{\"_id\":\"{}\",", document::id(number)).as_bytes());
        let start = json.len();
        write_body(number, &channel(number), json);
        json.remove(start);
    }
    json.extend_from_slice(b"]}");
}

fn channel(number: u64) -> String {
    format!("c{}", number % CHANNELS)
}

impl Site<'_> {
    async fn set_up(&self) -> Result<(), Error> {
        let mut admin = Connection::open(self.admin).await?;
        succeed(&mut admin, Request::json("PUT", &format!("{DATABASE}/"), b"{}")).await?;
        let body = Some(("application/javascript", SYNC.as_bytes()));
        let path = format!("{DATABASE}/_config/sync");
        succeed(&mut admin, Request { body, ..Request::new("PUT", &path) }).await?;
        for number in 0..CHANNELS {
            // The first has them all, the others one each.
            let channels: Vec<String> =
                if number == 0 { (0..CHANNELS).map(channel).collect() } else { vec![channel(number)] };
            self.put_user(&mut admin, number, &channels).await?;
        }
        Ok(())
    }

    async fn put_user(&self, admin: &mut Connection, number: u64, channels: &[String]) -> Result<(), Error> {
        let list = channels.iter().map(|channel| format!("\"{channel}\"")).collect::<Vec<_>>().join(",");
        let body = format!("{{\"name\":\"u{number}\",\"password\":\"secret\",\"admin_channels\":[{list}]}}");
        succeed(admin, Request::json("PUT", &format!("{DATABASE}/_user/u{number}"), body.as_bytes())).await?;
        // The first request with a password takes long.
        let (mut public, user) = (Connection::open(self.public).await?, user(number));
        succeed(&mut public, Request::new("GET", &format!("{DATABASE}/")).authorized(&user)).await
    }

    async fn drive<E>(&self, connections: usize, operations_max: u64, encode: E) -> Result<Outcome, Error>
    where
        E: Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
    {
        let load = Load { connections, numbers: (0, operations_max), time_max: self.stage.plan.time_max };
        drive(self.public, load, encode).await
    }

    async fn put(&self, connections: u16, from: u64, limit: f64) -> Result<Measurement, Error> {
        let (first, user) = (self.stage.first + from, user(0));
        let meter = self.stage.target.meter().await?;
        let outcome = self
            .drive(usize::from(connections), OPERATIONS_MAX, move |number, wire| {
                let path = format!("{DATABASE}/{}", document::id(first + number));
                let mut body = Vec::with_capacity(document::BODY_BYTES + 64);
                write_body(first + number, &channel(number), &mut body);
                Request::json("PUT", &path, &body).authorized(&user).encode(wire);
            })
            .await?;
        let cost = meter.settle().await?;
        let name = format!("PUT new with user and sync function, {connections} connections");
        let row = Measurement::new(name, self.stage.target).outcome(&outcome, 1).cost(&cost);
        Ok(row.fsyncs(&cost, connections.into()).budget(Figure::CpuMicros, limit, None))
    }

    async fn bulk(&self, from: u64) -> Result<Measurement, Error> {
        let meter = self.stage.target.meter().await?;
        let outcome = self.fill(from, DOCUMENTS, channel).await?;
        let cost = meter.settle().await?;
        let row = Measurement::new("_bulk_docs with user and sync function, by 1,000", self.stage.target);
        Ok(row.outcome(&outcome, BATCH).cost(&cost))
    }

    /// Writes documents in batches, on behalf of the first user or, in other channels, of the administrator.
    async fn fill(
        &self,
        from: u64,
        count: u64,
        channel: impl Fn(u64) -> String + Send + Sync + 'static,
    ) -> Result<Outcome, Error> {
        let first = self.stage.first + from;
        let is_users = channel(0).starts_with('c');
        let (address, user) = (if is_users { self.public } else { self.admin }, user(0));
        let load = Load { connections: 1, numbers: (0, count.div_ceil(BATCH)), time_max: Duration::from_secs(300) };
        drive(address, load, move |batch, wire| {
            let start = first + batch * BATCH;
            let mut body = Vec::new();
            write_batch(start..start + BATCH, &channel, &mut body);
            let path = format!("{DATABASE}/_bulk_docs");
            let request = Request::json("POST", &path, &body);
            if is_users { request.authorized(&user) } else { request }.encode(wire);
        })
        .await
    }

    async fn get(&self, from: u64) -> Result<Measurement, Error> {
        let (first, user) = (self.stage.first + from, user(0));
        let meter = self.stage.target.meter().await?;
        let outcome = self
            .drive(16, 500_000, move |number, wire| {
                let path = format!("{DATABASE}/{}", document::id(first + document::mix(number) % DOCUMENTS));
                Request::new("GET", &path).authorized(&user).encode(wire);
            })
            .await?;
        let row = Measurement::new("GET document with user, random", self.stage.target);
        Ok(row.outcome(&outcome, 1).cost(&meter.stop().await?).budget(Figure::CpuMicros, 18.0, Some(12.0)))
    }

    /// A user's whole feed, again and again.
    async fn changes(&self, name: &str, user: &str, limit: Option<f64>) -> Result<Measurement, Error> {
        let path = format!("{DATABASE}/_changes");
        let request = Request::new("GET", &path).authorized(user);
        let mut connection = Connection::open(self.public).await?;
        let whole = connection.json(request).await?;
        let results = whole.get("results").and_then(serde_json::Value::as_array);
        let rows = results.ok_or(Error::Member { request: request.line(), member: "results" })?.len() as u64;
        drop(whole);
        let mut wire = Vec::new();
        request.encode(&mut wire);
        let (mut latencies, mut reads) = (Latencies::default(), 0);
        let meter = self.stage.target.meter().await?;
        let started = Instant::now();
        while started.elapsed() < self.stage.plan.time_max {
            let asked = Instant::now();
            connection.drain(&wire, |_piece| {}).await?;
            latencies.record(asked.elapsed());
            reads += 1;
        }
        let elapsed = started.elapsed();
        let row = Measurement::new(format!("{name}, {} rows", grouped(rows)), self.stage.target);
        let row = row.counted(rows * reads, elapsed).latencies(&latencies).cost(&meter.stop().await?);
        let row = row.note("latency of the whole feed, CPU of a row");
        Ok(match limit {
            Some(limit) => row.budget(Figure::CpuMicros, limit, None),
            None => row,
        })
    }

    /// One change at a time to listeners who have a channel each: those of its channel get it, and no others.
    async fn listeners(&self, size: u64) -> Result<Measurement, Error> {
        let users = CHANNELS - 1;
        let request = |number: u64| {
            let (mut wire, user) = (Vec::new(), user(1 + number % users));
            let path = format!(
                "{DATABASE}/_changes?feed=continuous&since=0&filter=sync_gateway/bychannel&channels=live{}",
                number % users
            );
            Request::new("GET", &path).authorized(&user).encode(&mut wire);
            wire
        };
        let mut admin = Connection::open(self.admin).await?;
        for number in 1..=users {
            let body = format!("{{\"admin_channels\":[\"live{}\"]}}", number - 1);
            succeed(&mut admin, Request::json("PUT", &format!("{DATABASE}/_user/u{number}"), body.as_bytes())).await?;
        }
        let bare = self.live_writes(&mut admin, (size, 500), None).await?;
        let audience = Audience::gather_each(self.public, size, request).await?;
        self.stage.target.settle().await?;
        drop(audience.take_latencies());
        let heard = self.live_writes(&mut admin, (2 * size, 500), Some((&audience, size))).await?;
        let latencies = audience.take_latencies();
        let delivered = heard.rows;
        let writes =
            Duration::from_secs_f64(bare.cost.cpu.as_secs_f64() / float(bare.count.max(1)) * float(heard.count));
        let row = Measurement::new(format!("change to {} listeners in 99 channels", grouped(size)), self.stage.target);
        let row = row.counted(delivered, heard.elapsed).latencies(&latencies).cost(&heard.cost);
        let row = row.cpu(heard.cost.cpu.saturating_sub(writes)).budget(Figure::CpuMicros, 4.0, Some(3.0));
        let write_millis = millis(bare.elapsed) / float(bare.count.max(1));
        Ok(row.note(format!("each change reaches a 99th of them; the write alone takes {write_millis:.2} ms")))
    }

    async fn live_writes(
        &self,
        admin: &mut Connection,
        (series, count_max): (u64, u64),
        audience: Option<(&Audience, u64)>,
    ) -> Result<Live, Error> {
        let users = CHANNELS - 1;
        let meter = self.stage.target.meter().await?;
        let started = Instant::now();
        let (mut count, mut rows) = (0, 0);
        while count < count_max && started.elapsed() < self.stage.plan.time_max {
            let place = count % users;
            let reached = audience.map_or(0, |(_, size)| size / users + u64::from(place < size % users));
            if let Some((audience, _)) = audience {
                audience.expect_in_all(reached);
            }
            let mut body = Vec::new();
            write_body(count, &format!("live{place}"), &mut body);
            let path = format!("{DATABASE}/live-{series}-{count}");
            succeed(admin, Request::json("PUT", &path, &body)).await?;
            if let Some((audience, _)) = audience {
                audience.wait().await?;
            }
            count += 1;
            rows += reached;
        }
        let elapsed = started.elapsed();
        Ok(Live { count, rows, elapsed, cost: meter.settle().await? })
    }

    /// The feed of a user with very many channels.
    async fn many_channels(&self) -> Result<Measurement, Error> {
        let channels: Vec<String> = (0..MANY_CHANNELS).map(|number| format!("m{number}")).collect();
        self.put_user(&mut Connection::open(self.admin).await?, CHANNELS, &channels).await?;
        self.fill(50_000_000, DOCUMENTS, |number| format!("m{}", number % MANY_CHANNELS)).await?;
        self.stage.target.settle().await?;
        self.changes("_changes of a user with 10,000 channels", &user(CHANNELS), None).await
    }

    /// One document that moves from channel to channel.
    async fn moves(&self) -> Result<Measurement, Error> {
        let mut admin = Connection::open(self.admin).await?;
        let (path, mut rev) = (format!("{DATABASE}/moving"), None::<String>);
        let mut latencies = Latencies::default();
        let meter = self.stage.target.meter().await?;
        let started = Instant::now();
        let mut count = 0;
        while count < MOVES && started.elapsed() < Duration::from_secs(60) {
            let rev_member = rev.as_ref().map(|rev| format!("\"_rev\":\"{rev}\",")).unwrap_or_default();
            let body = format!("{{{rev_member}\"channels\":[\"m{count}\"]}}");
            let asked = Instant::now();
            let answer = admin.json(Request::json("PUT", &path, body.as_bytes())).await?;
            latencies.record(asked.elapsed());
            rev = answer.get("rev").and_then(|rev| rev.as_str()).map(str::to_owned);
            count += 1;
        }
        let elapsed = started.elapsed();
        let row = Measurement::new("a document moves to yet another channel", self.stage.target);
        Ok(row.counted(count, elapsed).latencies(&latencies).cost(&meter.settle().await?))
    }

    /// A grant that brings very many documents: how soon the first is there, and what they cost.
    async fn back_fill(&self, count: u64) -> Result<Vec<Measurement>, Error> {
        let filled = self.fill(60_000_000, count, |_| "big".to_owned()).await?.operations * BATCH;
        self.stage.target.settle().await?;
        self.put_user(&mut Connection::open(self.admin).await?, CHANNELS + 1, &["big".to_owned()]).await?;
        let (mut wire, user) = (Vec::new(), user(CHANNELS + 1));
        Request::new("GET", &format!("{DATABASE}/_changes?since=1")).authorized(&user).encode(&mut wire);
        let mut connection = Connection::open(self.public).await?;
        let (mut first, mut latencies) = (None, Latencies::default());
        let meter = self.stage.target.meter().await?;
        let started = Instant::now();
        connection
            .drain(&wire, |piece| {
                if first.is_none() && memchr::memmem::find(piece, b"\"id\"").is_some() {
                    first = Some(started.elapsed());
                }
            })
            .await?;
        let elapsed = started.elapsed();
        let cost = meter.stop().await?;
        latencies.record(first.unwrap_or(elapsed));
        let name = format!("a grant brings {} documents", grouped(filled));
        let row = Measurement::new(name, self.stage.target).counted(filled, elapsed).cost(&cost).latencies(&latencies);
        let grown = cost.rss_growth_bytes / 1024;
        Ok(vec![row.note(format!("latency of the first row; {} KB more memory", grouped(grown)))])
    }
}

struct Live {
    count: u64,
    rows: u64,
    elapsed: Duration,
    cost: Cost,
}

async fn succeed(connection: &mut Connection, request: Request<'_>) -> Result<(), Error> {
    let response = connection.request(request).await?;
    if response.is_success() {
        return Ok(());
    }
    Err(Error::Status { request: request.line(), status: response.status, body: response.excerpt() })
}
