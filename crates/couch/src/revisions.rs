//! Which revisions there are, which are missing, how many are kept, and taking some away.

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

pub(crate) async fn purged_infos_limit(db: &Database) -> Answer {
    Ok(json(StatusCode::OK, format!("{}\n", db.purged_infos_limit().await?)))
}

pub(crate) async fn set_purged_infos_limit(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let body = cx.read(body).await?;
    let limit = serde_json::from_slice::<Value>(&body)?.as_u64().filter(|limit| *limit > 0);
    let limit = limit.ok_or(Error::bad_request("`purge_infos_limit` must be positive integer"))?;
    db.set_purged_infos_limit(limit).await?;
    Ok(json_value(StatusCode::OK, &json!({ "ok": true })))
}

pub(crate) async fn purge(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let limit = |max: u64| usize::try_from(max).unwrap_or(usize::MAX);
    let (documents_max, revs_max) = (limit(cx.live.purge_documents_max), limit(cx.live.purge_revs_max));
    let requests = parse(&cx.read_json(body).await?, documents_max)?;
    if requests.iter().map(|(_, revs)| revs.len()).sum::<usize>() > revs_max {
        return Err(Error::bad_request(format!("Exceeded maximum number of revisions: {revs_max}.")));
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

/// `{"id":["1-a",…],…}`.
fn parse(text: &[u8], documents_max: usize) -> Result<Vec<(DocId, Vec<Rev>)>, Error> {
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
            return Err(Error::bad_request(format!("Exceeded maximum number of documents: {documents_max}.")));
        }
    }
    Ok(documents)
}

/// A member's name, with a comma where it isn't the first.
fn write_name(out: &mut Vec<u8>, id: &DocId) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    write_string(out, id.as_str());
    out.push(b':');
}

fn write_revs(out: &mut Vec<u8>, revs: &[Rev]) {
    out.push(b'[');
    for (index, rev) in revs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, &rev.to_string());
    }
    out.push(b']');
}
