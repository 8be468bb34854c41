//! Lists of documents: `_all_docs`, `_design_docs`, `_local_docs`, and many of them in one request.
//!
//! Source: `chttpd_db:db_req`, `couch_mrview_http:parse_params`, `spec/couch.md` 2. Ids are in the order of their bytes.

mod params;
mod rows;

use crate::{
    context::{Answer, Context, json},
    error::Error,
    route::Listed,
};
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
pub(crate) use params::Docs;
use params::{Params, Selection};
use rows::Rows;
use serde_json::Value;
use tidegate_engine::{Database, Partition};
use tidegate_http::{
    Body,
    respond::{self, Sender},
};

/// Rows after which a response is sent piece by piece.
const ROWS_AT_ONCE: usize = 1_000;
/// `query_limit` of a request with several queries.
const QUERIES_MAX: usize = 100;

/// Which documents somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) listed: Listed,
    /// Of this partition alone.
    pub(crate) partition: Option<&'a Partition>,
}

impl Asked<'_> {
    fn params(self) -> Params {
        let mut params = Params::new();
        params.partition = self.partition.map(|partition| partition.as_str().to_owned());
        params
    }
}

impl From<Listed> for Asked<'_> {
    fn from(listed: Listed) -> Self {
        Self { listed, partition: None }
    }
}

pub(crate) async fn get(cx: &Context, db: &Database, asked: Asked<'_>) -> Answer {
    let mut params = asked.params();
    params.read_query(&cx.query()?)?;
    answer(cx, db, asked.listed, params).await
}

pub(crate) async fn post(cx: &Context, db: &Database, asked: Asked<'_>, body: Incoming) -> Answer {
    let body = cx.read_json(body).await?;
    let mut params = asked.params();
    if !body.is_empty() {
        params.read_body(&serde_json::from_slice(&body)?)?;
    }
    // Where both name a parameter, the query string counts. Source: `couch_mrview_http:parse_body_and_query`.
    params.read_query(&cx.query()?)?;
    answer(cx, db, asked.listed, params).await
}

pub(crate) async fn queries(cx: &Context, db: &Database, asked: Asked<'_>, body: Incoming) -> Answer {
    let body: Value = serde_json::from_slice(&cx.read_json(body).await?)?;
    let queries = body.get("queries").and_then(Value::as_array);
    let queries = queries.ok_or(Error::bad_request("POST body must include `queries` parameter."))?;
    if queries.len() > QUERIES_MAX {
        return Err(Error::bad_request(format!("the number of queries is limited to {QUERIES_MAX}")));
    }
    let mut out = b"{\"results\":[\n".to_vec();
    for (index, query) in queries.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b",\n");
        }
        let mut params = asked.params();
        params.read_query(&cx.query()?)?;
        params.read_body(query)?;
        let mut rows = Rows::open(db, asked.listed, params, &mut out).await?;
        while rows.write(ROWS_AT_ONCE, &mut out).await? {}
        out.pop(); // the line feed belongs behind the whole
    }
    out.extend_from_slice(b"\n]}\n");
    Ok(json(StatusCode::OK, out))
}

async fn answer(cx: &Context, db: &Database, listed: Listed, params: Params) -> Answer {
    let mut out = Vec::new();
    let mut rows = Rows::open(db, listed, params, &mut out).await?;
    if !rows.write(ROWS_AT_ONCE, &mut out).await? {
        return Ok(json(StatusCode::OK, out));
    }
    Ok(stream(cx, rows, out))
}

/// Goes on with the rows in a task of its own. A failure cuts the response: half a list must not look whole.
fn stream(cx: &Context, mut rows: Rows, first: Vec<u8>) -> Response<Body> {
    let (sender, body) = respond::channel(2);
    drop(cx.tasks.spawn(async move {
        match send_all(&mut rows, first, &sender).await {
            Ok(Sent::All) => drop(sender.finish().await.map_err(|gone| tracing::debug!(%gone, "a list's end"))),
            Ok(Sent::ClientGone) => {}
            Err(Error(error)) => tracing::error!(%error, "a list is cut short"),
        }
    }));
    respond::stream(StatusCode::OK, HeaderValue::from_static("application/json"), body)
}

enum Sent {
    All,
    ClientGone,
}

async fn send_all(rows: &mut Rows, first: Vec<u8>, sender: &Sender) -> Result<Sent, Error> {
    let (mut out, mut more) = (first, true);
    loop {
        if sender.send(std::mem::take(&mut out).into()).await.is_err() {
            return Ok(Sent::ClientGone);
        }
        if !more {
            return Ok(Sent::All);
        }
        more = rows.write(ROWS_AT_ONCE, &mut out).await?;
    }
}

/// Whether a list is of single ids or of a range, for [`Rows`].
fn is_by_key(selection: &Selection) -> bool {
    matches!(selection, Selection::Keys(_))
}
