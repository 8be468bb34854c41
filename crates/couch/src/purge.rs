//! Taking revisions away, and what is remembered of it.
//!
//! Source: `chttpd_db:db_req` (`_purge`, `_purged_infos`, `_purged_infos_limit`). CouchDB tells purges in no order and
//! the same request once; here the oldest comes first, and each as often as it was made.

use crate::{
    context::{Answer, Context, json, json_value},
    error::Error,
    revisions::{parse, write_name, write_revs},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tidegate_engine::{Database, PurgeList, PurgeRecord};
use tidegate_http::respond::{self, Aborted, Source};
use tidegate_json::write_string;

/// Purges told of in one piece of a response.
const PURGES_AT_ONCE: usize = 200;

pub(crate) async fn purge(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let limit = |max: u64| usize::try_from(max).unwrap_or(usize::MAX);
    let (documents_max, revs_max) = (limit(cx.live.purge_documents_max), limit(cx.live.purge_revs_max));
    let requests = parse(&cx.read_json(body).await?, documents_max)?;
    if requests.iter().map(|(_, revs)| revs.len()).sum::<usize>() > revs_max {
        return Err(Error::bad_request("Exceeded maximum number of revisions."));
    }
    for (id, _) in &requests {
        db.check_doc_id(id)?;
    }
    let mut out = b"{\"purge_seq\":null,\"purged\":{".to_vec();
    for purged in db.purge(requests).await? {
        write_name(&mut out, &purged.id);
        write_revs(&mut out, &purged.revs);
    }
    out.extend_from_slice(b"}}\n");
    Ok(json(StatusCode::CREATED, out))
}

pub(crate) async fn infos_limit(db: &Database) -> Answer {
    Ok(json(StatusCode::OK, format!("{}\n", db.purged_infos_limit().await?)))
}

pub(crate) async fn set_infos_limit(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let body = cx.read(body).await?;
    let limit = serde_json::from_slice::<Value>(&body)?.as_u64().filter(|limit| *limit > 0);
    let limit = limit.ok_or(Error::bad_request("`purged_infos_limit` must be positive integer"))?;
    db.set_purged_infos_limit(limit).await?;
    Ok(json_value(StatusCode::OK, &json!({ "ok": true })))
}

pub(crate) fn infos(db: &Database) -> Answer {
    let pieces = Pieces::Infos { list: db.purges()?, told: false };
    Ok(respond::stream(StatusCode::OK, HeaderValue::from_static("application/json"), respond::pulled(pieces)))
}

/// `{"purged_infos":[{"id":…,"revs":[…]},…]}`, piece by piece.
enum Pieces {
    Infos { list: PurgeList, told: bool },
    End,
}

impl Source for Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        let Self::Infos { list, told } = self else { return Ok(None) };
        let purges = list.next(PURGES_AT_ONCE).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a list of purges is cut short");
            Aborted
        })?;
        let mut out = if *told { Vec::new() } else { b"{\"purged_infos\":[".to_vec() };
        for purge in &purges {
            if std::mem::replace(told, true) {
                out.push(b',');
            }
            write_info(&mut out, purge);
        }
        if purges.len() < PURGES_AT_ONCE {
            out.extend_from_slice(b"]}\n");
            *self = Self::End;
        }
        Ok(Some(out.into()))
    }
}

fn write_info(out: &mut Vec<u8>, purge: &PurgeRecord) {
    out.extend_from_slice(b"{\"id\":");
    write_string(out, purge.id.as_str());
    out.extend_from_slice(b",\"revs\":");
    write_revs(out, &purge.revs);
    out.push(b'}');
}
