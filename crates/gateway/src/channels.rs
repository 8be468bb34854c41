//! Which channels a user has had and a document has been in: `_all_channels`, `_access_history`, `_channel_history`.
//!
//! Sync Gateway has the first two on its diagnostic port; here all are on the admin port. Source: `spec/gateway.md` 2.7.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tidegate_engine::{ChannelHistory, Database, Sees, spans};
use tidegate_types::{Channel, DocId, PrincipalName};

/// Documents asked for at a time.
const DOCUMENTS_MAX: usize = 1_000;

pub(crate) async fn of_document(db: &Database, id: &DocId) -> Answer {
    let history = db.document_channels(id).await?;
    let shown = |(channel, periods): (&Channel, _)| (channel.to_string(), json!(spans(periods)));
    Ok(json_value(StatusCode::OK, &Value::Object(history.iter().map(shown).collect())))
}

pub(crate) async fn of_user(db: &Database, name: &str) -> Answer {
    let (user, mut keyspaces) = (user(name)?, Map::new());
    for collection in db.collections().names() {
        let history = db.collection(&collection).await?.user_channels(&user).await?;
        let history = history.ok_or_else(|| Error::not_found("missing"))?;
        keyspaces.insert(collection.to_string(), entries(&history).into());
    }
    Ok(json_value(StatusCode::OK, &json!({ "all_channels": keyspaces })))
}

fn entries(history: &ChannelHistory) -> Map<String, Value> {
    let shown = |(channel, periods): (&Channel, _)| {
        (channel.to_string(), json!({ "entries": spans(periods), "updated_at": 0 }))
    };
    history.iter().map(shown).collect()
}

/// `_user/{name}?doc_id=a,b`: by which of its channels a user sees documents.
pub(crate) async fn of_user_and_documents(cx: &Context, db: &Database, name: &str) -> Answer {
    let query = cx.query()?;
    let ids: BTreeSet<&str> = query.get("doc_id").unwrap_or_default().split(',').filter(|id| !id.is_empty()).collect();
    if ids.len() > DOCUMENTS_MAX {
        return Err(Error::bad_request(format!("more than {DOCUMENTS_MAX} documents")));
    }
    let user = user(name)?;
    let history = db.user_channels(&user).await?.ok_or_else(|| Error::not_found("missing"))?;
    let mut body = Map::new();
    for id in ids {
        let explanation =
            db.explain(&user, &id.parse().map_err(|_illegal| Error::bad_request("Invalid doc ID"))?).await?;
        if explanation.verdict != Sees::Yes {
            continue;
        }
        let ways: BTreeSet<&Channel> = explanation.ways.iter().map(|way| &way.channel).collect();
        let seen = history.iter().filter(|(channel, _)| ways.contains(channel));
        let seen: ChannelHistory = seen.map(|(channel, periods)| (channel.clone(), periods.clone())).collect();
        body.insert(id.to_owned(), Value::Object(entries(&seen)));
    }
    Ok(json_value(StatusCode::OK, &Value::Object(body)))
}

fn user(name: &str) -> Result<PrincipalName, Error> {
    name.parse().map_err(|_illegal| Error::not_found("missing"))
}
