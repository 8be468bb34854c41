//! Which revisions are missing, and how many are kept.

use crate::{
    context::{Answer, Context, json, json_value},
    error::Error,
};
use http::StatusCode;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tidegate_engine::Database;
use tidegate_json::{Limits, Members, read_string, write_string};
use tidegate_types::{DocId, Rev};

/// Documents in one `_revs_diff`.
const OFFERED_DOCUMENTS_MAX: usize = 100_000;

pub(crate) async fn revs_diff(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let offered = parse(&cx.read_json(body).await?, OFFERED_DOCUMENTS_MAX)?;
    let mut out = vec![b'{'];
    for diff in db.revs_diff(offered).await? {
        write_name(&mut out, &diff.id);
        out.extend_from_slice(b"{\"missing\":");
        write_revs(&mut out, &diff.missing);
        if !diff.possible_ancestors.is_empty() {
            out.extend_from_slice(b",\"possible_ancestors\":");
            write_revs(&mut out, &diff.possible_ancestors);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"}\n");
    Ok(json(StatusCode::OK, out))
}

pub(crate) async fn missing_revs(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let offered = parse(&cx.read_json(body).await?, OFFERED_DOCUMENTS_MAX)?;
    let mut out = b"{\"missing_revs\":{".to_vec();
    for diff in db.revs_diff(offered).await? {
        write_name(&mut out, &diff.id);
        write_revs(&mut out, &diff.missing);
    }
    out.extend_from_slice(b"}}\n");
    Ok(json(StatusCode::OK, out))
}

pub(crate) async fn limit(db: &Database) -> Answer {
    Ok(json(StatusCode::OK, format!("{}\n", db.info().await?.revs_limit)))
}

pub(crate) async fn set_limit(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let body = cx.read(body).await?;
    let limit = serde_json::from_slice::<Value>(&body)?.as_u64().filter(|limit| *limit > 0);
    db.set_revs_limit(limit.ok_or(Error::bad_request("`revs_limit` must be a positive integer"))?).await?;
    Ok(json_value(StatusCode::OK, &json!({ "ok": true })))
}

/// `{"id":["1-a",…],…}`.
pub(crate) fn parse(text: &[u8], documents_max: usize) -> Result<Vec<(DocId, Vec<Rev>)>, Error> {
    let mut members = Members::new(text, Limits::default())?;
    let mut documents = Vec::new();
    while let Some(id) = members.next_name()? {
        let mut revs = Vec::new();
        members.elements(|raw| {
            let rev = read_string(raw).ok_or(Error::bad_request("Invalid rev format"))?;
            revs.push(rev.parse()?);
            Ok::<_, Error>(())
        })?;
        documents.push((id.parse()?, revs));
        if documents.len() > documents_max {
            return Err(Error::bad_request("Exceeded maximum number of documents."));
        }
    }
    Ok(documents)
}

/// A member's name, with a comma where it isn't the first.
pub(crate) fn write_name(out: &mut Vec<u8>, id: &DocId) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    write_string(out, id.as_str());
    out.push(b':');
}

pub(crate) fn write_revs(out: &mut Vec<u8>, revs: &[Rev]) {
    out.push(b'[');
    for (index, rev) in revs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, &rev.to_string());
    }
    out.push(b']');
}
