//! Which revisions are missing, taking documents away, and what the server knows of one.
//!
//! Source: `spec/gateway.md` 2.3.

use crate::{
    context::{Answer, Context, json, json_value},
    document::version::version_of,
    error::Error,
    service::Profile,
    session::rfc3339,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_engine::{
    Absence, Assigned, ChannelFeed, Database, Document, Granted, Interest, News, OpenRev, OpenRevs, Position,
};
use tidegate_http::respond;
use tidegate_json::{Limits, Members, read_string, write_string};
use tidegate_types::{Channel, DocId, Principal, Rev, Seq};

/// Documents in one request.
const DOCUMENTS_MAX: usize = 100_000;

pub(crate) async fn revs_diff(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let offered = parse(&cx.read_json(body).await?)?;
    let mut out = vec![b'{'];
    for diff in db.revs_diff(offered).await? {
        if out.len() > 1 {
            out.push(b',');
        }
        write_string(&mut out, diff.id.as_str());
        out.extend_from_slice(b":{\"missing\":");
        write_revs(&mut out, &diff.missing);
        if !diff.possible_ancestors.is_empty() {
            out.extend_from_slice(b",\"possible_ancestors\":");
            write_revs(&mut out, &diff.possible_ancestors);
        }
        out.push(b'}');
    }
    out.push(b'}');
    Ok(json(StatusCode::OK, out))
}

/// `{"id":["1-a",…],…}`.
fn parse(text: &[u8]) -> Result<Vec<(DocId, Vec<Rev>)>, Error> {
    let mut members = Members::new(text, Limits::default())?;
    let mut documents = Vec::new();
    while let Some(id) = members.next_name()? {
        let mut revs = Vec::new();
        members.elements(|raw| {
            let rev = read_string(raw).ok_or(Error::bad_request("Invalid revision ID format"))?;
            revs.push(rev.parse()?);
            Ok::<_, Error>(())
        })?;
        documents.push((id.parse()?, revs));
        if documents.len() > DOCUMENTS_MAX {
            return Err(Error::bad_request(format!("more than {DOCUMENTS_MAX} documents")));
        }
    }
    Ok(documents)
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

/// Takes documents away with all their revisions. Those that aren't there aren't told of.
pub(crate) async fn purge(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let mut members = Members::new(&text, Limits::default())?;
    let mut requests = Vec::new();
    while let Some(id) = members.next_name()? {
        let mut revs = Vec::new();
        members.elements(|raw| {
            revs.push(read_string(raw).map(std::borrow::Cow::into_owned));
            Ok::<_, Error>(())
        })?;
        if !matches!(revs.as_slice(), [Some(all)] if all == "*") {
            return Err(Error::bad_request(format!("Revision list for doc ID {id} must contain exactly one \"*\"")));
        }
        let id: DocId = id.parse()?;
        match leaves(db, &id).await {
            Ok(leaves) => requests.push((id, leaves.into_iter().map(|document| document.rev).collect())),
            Err(error) if error.status == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    let purged = db.purge(requests).await?.into_iter().map(|purged| (purged.id.to_string(), json!(["*"])));
    Ok(json_value(StatusCode::OK, &json!({ "purged": purged.collect::<Map<_, _>>() })))
}

/// All leaves of a document, with their histories.
async fn leaves(db: &Database, id: &DocId) -> Result<Vec<Document>, Error> {
    let leaves = db.open_revs(id, &OpenRevs::All).await?;
    let found = leaves.into_iter().filter_map(|leaf| match leaf {
        OpenRev::Found(document) => Some(*document),
        OpenRev::Missing(_) => None,
    });
    Ok(found.collect())
}

/// A revision of a tree, as its place in it.
struct Node {
    rev: Rev,
    /// The place of its parent.
    parent: Option<usize>,
    deleted: bool,
    is_leaf: bool,
}

/// The revisions that are remembered, parents before their children.
fn tree(leaves: &[Document]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for leaf in leaves {
        let mut parent = None;
        for rev in leaf.revisions().into_iter().rev() {
            let known = nodes.iter().position(|node| node.rev == *rev);
            let is_leaf = *rev == leaf.rev;
            let place = known.unwrap_or_else(|| {
                nodes.push(Node { rev: rev.clone(), parent, deleted: is_leaf && leaf.deleted, is_leaf });
                nodes.len() - 1
            });
            parent = Some(place);
        }
    }
    nodes
}

/// The winner first, then what else is there of a document.
async fn whole(db: &Database, id: &DocId) -> Result<(Document, Vec<Node>), Error> {
    let mut leaves = leaves(db, id).await?;
    let nodes = tree(&leaves);
    // Live before deleted, then the greatest.
    leaves.sort_by(|a, b| (b.deleted, &a.rev).cmp(&(a.deleted, &b.rev)));
    let winner = leaves.pop().ok_or(tidegate_engine::Error::NotFound(Absence::Missing))?;
    Ok((winner, nodes))
}

pub(crate) async fn raw(cx: &Context, db: &Database, id: &DocId) -> Answer {
    let (winner, nodes) = whole(db, id).await?;
    let text = [b"{".as_slice(), &winner.members, b"}"].concat();
    let mut body: Map<String, Value> =
        if cx.query()?.get("include_doc") == Some("false") { Map::new() } else { serde_json::from_slice(&text)? };
    let (_, rows) = db.rows(std::slice::from_ref(id)).await?;
    let rows: Vec<_> = rows.into_iter().flatten().collect();
    let assigned = db.assigned(&rows).await?.pop().unwrap_or_default();
    let sync = sync_data(&winner, &nodes, &assigned);
    match cx.shared.settings.profile {
        Profile::Two => drop(body.insert("_sync".to_owned(), sync)),
        Profile::Four => {
            let version = version_of(db, &winner.rev);
            let (number, source) = version.split_once('@').unwrap_or_default();
            let xattrs = json!({ "_sync": sync, "_vv": { "src": source, "ver": number, "cvCas": number } });
            drop(body.insert("_xattrs".to_owned(), xattrs));
            drop(body.insert("_id".to_owned(), winner.id.as_str().into()));
        }
    }
    Ok(json_value(StatusCode::OK, &Value::Object(body)))
}

/// Whom a document grants which channels: by user or role, then by channel with a sequence.
pub(crate) fn access_json(assigned: &Assigned, seq: Seq) -> Value {
    let mut access: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for grant in &assigned.grants {
        if let Granted::Channel(channel) = &grant.what {
            access.entry(grantee(&grant.to)).or_default().insert(channel.to_string(), seq.get());
        }
    }
    json!(access)
}

fn roles_json(assigned: &Assigned, seq: Seq) -> Value {
    let mut roles: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for grant in &assigned.grants {
        if let Granted::Role(role) = &grant.what {
            roles.entry(grantee(&grant.to)).or_default().insert(role.to_string(), seq.get());
        }
    }
    json!(roles)
}

fn grantee(to: &Principal) -> String {
    match to {
        Principal::User(name) => name.to_string(),
        Principal::Role(name) => format!("role:{name}"),
    }
}

fn sync_data(winner: &Document, nodes: &[Node], assigned: &Assigned) -> Value {
    let revs: Vec<String> = nodes.iter().map(|node| node.rev.to_string()).collect();
    let parents: Vec<Value> = nodes.iter().map(|node| node.parent.map_or(json!(-1), |place| json!(place))).collect();
    let deleted: Vec<usize> =
        nodes.iter().enumerate().filter(|(_, node)| node.deleted).map(|(place, _)| place).collect();
    let mut history = json!({ "revs": revs, "parents": parents });
    if !deleted.is_empty()
        && let Some(history) = history.as_object_mut()
    {
        history.insert("deleted".to_owned(), json!(deleted));
    }
    let mut sync = json!({
        "rev": winner.rev.to_string(),
        "sequence": winner.seq.get(),
        "recent_sequences": [winner.seq.get()],
        "history": history,
        "channels": assigned.channels.iter().map(|channel| (channel.to_string(), Value::Null)).collect::<Map<_, _>>(),
        "access": access_json(assigned, winner.seq),
        "role_access": roles_json(assigned, winner.seq),
    });
    if let (Some(expires_s), Some(sync)) = (assigned.expires_s, sync.as_object_mut()) {
        sync.insert("exp".to_owned(), rfc3339(expires_s).into());
    }
    if winner.deleted
        && let Some(sync) = sync.as_object_mut()
    {
        sync.insert("flags".to_owned(), json!(1));
    }
    sync
}

/// The revisions as a graph in Graphviz's language.
pub(crate) async fn rev_tree(db: &Database, id: &DocId) -> Answer {
    let (_, nodes) = whole(db, id).await?;
    let quoted = |rev: &Rev| format!("\"{rev}\"");
    let mut out = String::from("digraph graphname{");
    for node in &nodes {
        let shape = match (node.is_leaf, node.deleted) {
            (_, true) => " [shape=box,style=dashed]",
            (true, false) => " [shape=box]",
            (false, false) => "",
        };
        out.push_str(&format!("{}{shape}; ", quoted(&node.rev)));
        if let Some(parent) = node.parent.and_then(|place| nodes.get(place)) {
            out.push_str(&format!("{} -> {}; ", quoted(&parent.rev), quoted(&node.rev)));
        }
    }
    out.push('}');
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(respond::bytes(StatusCode::OK, content_type, Bytes::from(out)))
}

/// Rows of a channel in one page.
const CHANNEL_ROWS_MAX: usize = 10_000;

/// What there is in a channel, as a page for people.
pub(crate) async fn dump_channel(cx: &Context, db: &Database, channel: &str) -> Answer {
    let wanted: Channel = channel.parse().map_err(|_illegal| Error::bad_request("Illegal channel name"))?;
    let since = cx.query()?.integer::<u64>("since")?.unwrap_or_default();
    let interest = Interest { channels: Some(vec![wanted]), losses: false, myself: false };
    let mut feed: ChannelFeed = db.follow_channels(Position::at(Seq::new(since)), interest)?;
    let mut out = format!("<!DOCTYPE html><title>{0}</title><h1>{0}</h1><table>", escaped(channel));
    out.push_str("<tr><th>Seq<th>Doc<th>Rev<th>Flags");
    let mut rows = 0;
    while rows < CHANNEL_ROWS_MAX {
        let told = feed.next(CHANNEL_ROWS_MAX - rows).await?;
        if told.is_empty() {
            break;
        }
        rows += told.len();
        for told in told {
            let (change, flag) = match &told.news {
                News::Changed(change) if change.deleted => (change, "deleted"),
                News::Changed(change) => (change, ""),
                News::Left(change, _) | News::Lost(change) => (change, "removed"),
                News::Myself => continue,
            };
            let (id, rev) = (escaped(change.id.as_str()), escaped(&change.winner.to_string()));
            out.push_str(&format!("<tr><td>{}<td>{id}<td>{rev}<td>{flag}", told.position));
        }
    }
    out.push_str("</table>");
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    Ok(respond::bytes(StatusCode::OK, content_type, Bytes::from(out)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
