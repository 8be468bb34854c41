//! `GET _explain?user=…&doc=…`: why a user sees a document, or doesn't. Tidegate's own, on the admin port.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    session::rfc3339,
    trial::trial_json,
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use tidegate_engine::{Database, DocumentPlace, Explanation, Sees, Source, UserPlace, Way};
use tidegate_types::Channel;

pub(crate) async fn get(cx: &Context, db: &Database) -> Answer {
    let query = cx.query()?;
    let missing = || Error::bad_request("missing 'user' or 'doc' parameter");
    let (user, id) = (query.get("user").ok_or_else(missing)?, query.get("doc").ok_or_else(missing)?);
    let user = user.parse().map_err(|_illegal| Error::not_found(format!("No such user \"{user}\"")))?;
    let id = id.parse().map_err(|_illegal| Error::bad_request("Invalid doc ID"))?;
    let explanation = db.explain(&user, &id).await?;
    let mut body = shown(&explanation);
    body.insert("user".to_owned(), user.as_str().into());
    body.insert("doc".to_owned(), tidegate_types::DocId::as_str(&id).into());
    Ok(json_value(StatusCode::OK, &Value::Object(body)))
}

/// The verdict in a word.
fn word(verdict: Sees) -> &'static str {
    match verdict {
        Sees::Yes => "sees",
        Sees::Stub => "stub",
        Sees::NoUser => "no_user",
        Sees::Disabled => "disabled",
        Sees::NoDocument => "no_document",
        Sees::InNoChannel => "in_no_channel",
        Sees::NoCommonChannel => "no_common_channel",
    }
}

fn shown(explanation: &Explanation) -> Map<String, Value> {
    let Explanation { verdict, document, user, ways, decides } = explanation;
    let mut body = Map::new();
    body.insert("verdict".to_owned(), word(*verdict).into());
    body.insert("sees".to_owned(), (*verdict == Sees::Yes).into());
    body.insert("ways".to_owned(), ways.iter().map(way).collect());
    body.insert("document".to_owned(), document.as_ref().map(place).into());
    body.insert("has".to_owned(), user.as_ref().map(has).into());
    body.insert("sync_function_now".to_owned(), decides.as_ref().map(trial_json).into());
    body
}

fn way(way: &Way) -> Value {
    json!({
        "channel": way.channel.as_str(),
        "since": way.since.get(),
        "from": way.sources.iter().map(source).collect::<Vec<_>>(),
    })
}

fn source(from: &Source) -> Value {
    let all = |sources: &[Source]| sources.iter().map(source).collect::<Vec<_>>();
    match from {
        Source::Everybody => json!({ "kind": "everybody" }),
        Source::Administrator => json!({ "kind": "administrator" }),
        Source::Voucher(issuer) => json!({ "kind": "voucher", "issuer": issuer }),
        Source::Documents(documents) => {
            let some: Vec<&str> = documents.some.iter().map(tidegate_types::DocId::as_str).collect();
            json!({ "kind": "documents", "count": documents.count, "some": some })
        }
        Source::Role { role, since, held, granted } => json!({
            "kind": "role",
            "role": role.as_str(),
            "since": since.get(),
            "held_from": all(held),
            "channel_from": all(granted),
        }),
    }
}

fn place(document: &DocumentPlace) -> Value {
    let texts = |channels: &[Channel]| channels.iter().map(Channel::to_string).collect::<Vec<_>>();
    json!({
        "rev": document.rev.to_string(),
        "deleted": document.deleted,
        "seq": document.seq.get(),
        "channels": texts(&document.channels),
        "left": texts(&document.left),
        "expires": document.expires_s.map(rfc3339),
    })
}

fn has(user: &UserPlace) -> Value {
    let channels: Map<String, Value> =
        user.channels.iter().map(|(channel, since)| (channel.to_string(), since.get().into())).collect();
    let roles: Map<String, Value> =
        user.roles.iter().map(|(role, since)| (role.to_string(), since.get().into())).collect();
    json!({ "channels": channels, "roles": roles })
}
