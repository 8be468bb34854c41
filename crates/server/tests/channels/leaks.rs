//! Every route that reads, asked by everybody for documents of a channel that some have and others haven't.

mod scene;
mod table;

use crate::site::Door;
use scene::{ATTACHMENT, CONFLICT, MARK, Scene, Target, digest_of, text_of};
use table::{methods, rows};

/// Those who haven't the channel, but may use the database.
const OTHERS: [(Door, Option<&str>); 4] = [
    (Door::Couch, Some("ada:ada")),
    (Door::Couch, Some("ada:server")),
    (Door::Gateway, Some("ada:ada")),
    (Door::Gateway, None),
];
/// Those who have it, or may do everything.
const SEERS: [(Door, Option<&str>); 7] = [
    (Door::Couch, Some("bob:bob")),
    (Door::Couch, Some("rolf:rolf")),
    (Door::Couch, Some("bob:server")),
    (Door::Couch, Some("keeper:server")),
    (Door::Couch, Some("root:root")),
    (Door::Gateway, Some("bob:bob")),
    (Door::Gateway, Some("rolf:rolf")),
];
/// Those who aren't let in.
const STRANGERS: [(Door, Option<&str>); 12] = [
    (Door::Couch, Some("sue:server")),
    (Door::Couch, Some("nurse:server")),
    (Door::Couch, Some("GUEST:server")),
    (Door::Couch, Some("dan:dan")),
    (Door::Couch, Some("gus:gus")),
    (Door::Couch, Some("oz:ozz")),
    (Door::Gateway, Some("sue:server")),
    (Door::Gateway, Some("root:root")),
    (Door::Gateway, Some("keeper:server")),
    (Door::Gateway, Some("dan:dan")),
    (Door::Gateway, Some("gus:gus")),
    (Door::Gateway, Some("oz:ozz")),
];

#[test]
fn who_has_the_channel_is_told() {
    let scene = Scene::new();
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| !row.has('!')) {
        for asker in SEERS.into_iter().filter(|(door, _)| row.is_of(*door)) {
            let answer = scene.ask(asker, row, (methods(row)[0], &scene.document));
            let text = text_of(&answer);
            let has_news = text.contains(MARK) || scene.secrets.iter().any(|secret| text.contains(secret));
            // What is not modified isn't told again.
            if row.has('+') && !has_news && answer.status != 304 {
                wrong.push(format!("{} {asker:?} is told nothing: {text}", row.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_has_not_the_channel_is_told_nothing() {
    let scene = Scene::new();
    scene.site.administer("PUT /db/_user/GUEST", r#"{"disabled":false,"admin_channels":["y"]}"#);
    let mut wrong = Vec::new();
    for row in &rows() {
        for asker in OTHERS.into_iter().filter(|(door, _)| row.is_of(*door)) {
            for (method, target) in methods(row).into_iter().flat_map(|m| [(m, &scene.document), (m, &scene.deleted)]) {
                let answer = scene.ask(asker, row, (method, target));
                let told = scene.told(row, target, &answer);
                if !told.is_empty() || answer.status >= 500 && answer.status != 501 {
                    wrong.push(format!("{method} {} {asker:?} tells {told:?}: {}", row.line, text_of(&answer)));
                }
                if row.has('F') && answer.status != 403 {
                    wrong.push(format!("{method} {} {asker:?} isn't forbidden: {}", row.line, text_of(&answer)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_has_the_channel_of_another_collection_is_told_nothing() {
    let mut scene = Scene::in_collections();
    let (ada, bob) = ((Door::Gateway, Some("ada:ada")), (Door::Gateway, Some("bob:bob")));
    let mut wrong = Vec::new();
    for keyspace in ["shop.s.c", "shop.c", "shop.s.d"] {
        scene.keyspace = keyspace;
        for row in rows().iter().filter(|row| row.is_of(Door::Gateway)) {
            let whole = row.has('+') && keyspace != "shop.s.d" && !row.line.contains("_design");
            let text =
                if whole { text_of(&scene.ask(bob, row, (methods(row)[0], &scene.document))) } else { String::new() };
            if whole && !scene.secrets.iter().any(|secret| text.contains(secret)) && !text.starts_with("304") {
                wrong.push(format!("{keyspace} {} tells bob nothing: {text}", row.line));
            }
            for (method, target) in methods(row).into_iter().flat_map(|m| [(m, &scene.document), (m, &scene.deleted)]) {
                let answer = scene.ask(ada, row, (method, target));
                let told = scene.told(row, target, &answer);
                if !told.is_empty() || answer.status >= 500 && answer.status != 501 {
                    wrong.push(format!("{keyspace} {method} {} tells {told:?}: {}", row.line, text_of(&answer)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_has_not_the_channel_learns_of_no_existence_where_it_is_hidden() {
    let scene = Scene::new();
    scene.site.administer("PUT /db/_user/GUEST", r#"{"disabled":false,"admin_channels":["y"]}"#);
    scene.site.administer("POST /db/_config", r#"{"hide_existence":true}"#);
    let nothing = |like: &Target| {
        let length = |place: usize| like.words[place].1.len();
        let rev = |length: usize, first: &str| format!("{first}{}", "9".repeat(length - first.len()));
        let prefix = if like.words[4].1.starts_with("sha1") { "sha1-" } else { "md5-" };
        let digest = format!("{prefix}{}", "A".repeat(like.words[4].1.len() - prefix.len()));
        Target::new("nil-k7q2", &rev(length(1), "2-a"), &rev(length(2), "1-b"), &digest)
    };
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| !row.has('~')) {
        for asker in OTHERS.into_iter().filter(|(door, _)| row.is_of(*door)) {
            for (method, target) in methods(row).into_iter().flat_map(|m| [(m, &scene.document), (m, &scene.deleted)]) {
                let nothing = nothing(target);
                let there = target.blot(&text_of(&scene.ask(asker, row, (method, target))));
                let absent = nothing.blot(&text_of(&scene.ask(asker, row, (method, &nothing))));
                if there != absent {
                    wrong.push(format!("{method} {} {asker:?}: {there}\n--- and of nothing: {absent}", row.line));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Documents of which some revisions are in the channel, and others in one that everybody here has.
fn in_parts(scene: &mut Scene) -> Vec<Target> {
    let site = &scene.site;
    // Leaves of three kinds beside the one that is seen.
    let first = site.put("par", r#"{"channels":["y"]}"#);
    let winner = site.put("par", &format!(r#"{{"_rev":"{first}","channels":["y"],"n":1}}"#));
    let leaf = |start: u64, digest: &str, deleted: bool| {
        let attachments = serde_json::json!({ ATTACHMENT: { "data": "azdxMg==", "content_type": "text/plain" } });
        serde_json::json!({ "_id": "par", "_revisions": { "start": start, "ids": [digest, digest_of(&first)] },
            "channels": ["x"], "n": "c0nf-k7q2", "_deleted": deleted, "_attachments": attachments })
    };
    let (live, dead) = (digest_of(CONFLICT), "000000000000000000000000000dead1");
    let docs = serde_json::json!({ "new_edits": false, "docs": [leaf(2, live, false), leaf(2, dead, true)] });
    site.administer("POST /db/_bulk_docs", &docs.to_string());
    // One that was seen, left, and went on where it isn't seen.
    let seen = site.put("mov", r#"{"channels":["y"]}"#);
    let left = site.put("mov", &format!(r#"{{"_rev":"{seen}","channels":["x"],"n":"l3ft-k7q2"}}"#));
    let last = site.put("mov", &format!(r#"{{"_rev":"{left}","channels":["x"],"n":"l4st-k7q2"}}"#));
    scene.secrets = [MARK, live, digest_of(&last), "azdxMg"].into_iter().map(str::to_owned).collect();
    let digest = scene.document.words[4].1.clone();
    vec![
        Target::new("par", &winner, &first, &digest),
        Target::new("par", CONFLICT, &first, &digest),
        Target::new("mov", &last, &seen, &digest),
        Target::new("mov", &left, &seen, &digest),
    ]
}

#[test]
fn who_sees_a_part_of_a_document_is_told_nothing_of_the_rest() {
    let mut scene = Scene::new();
    scene.site.administer("PUT /db/_user/GUEST", r#"{"disabled":false,"admin_channels":["y"]}"#);
    let targets = in_parts(&mut scene);
    let mut wrong = Vec::new();
    // Their writes are allowed, as far as they see what they write over.
    for row in rows().iter().filter(|row| !row.has('~') && !row.has('!')) {
        for asker in OTHERS.into_iter().filter(|(door, _)| row.is_of(*door)) {
            for (method, target) in methods(row).into_iter().flat_map(|m| targets.iter().map(move |target| (m, target)))
            {
                let answer = scene.ask(asker, row, (method, target));
                let told = scene.told(row, target, &answer);
                if !told.is_empty() || answer.status >= 500 && answer.status != 501 {
                    let of = &target.words[..2];
                    wrong.push(format!(
                        "{method} {} {asker:?} of {of:?} tells {told:?}: {}",
                        row.line,
                        text_of(&answer)
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_is_no_user_of_the_database_is_not_let_in() {
    let scene = Scene::new();
    let anonymous = [(Door::Couch, None), (Door::Gateway, None)];
    let mut wrong = Vec::new();
    for (number, row) in rows().iter().enumerate().filter(|(_, row)| row.line.contains(" /db")) {
        for (place, asker) in
            STRANGERS.into_iter().chain(anonymous).enumerate().filter(|(_, (door, _))| row.is_of(*door))
        {
            // Wrong passwords take long to check.
            if asker.1.is_some() && (number + place) % 12 != 0 || row.line.contains("_session") {
                continue;
            }
            let answer = scene.ask(asker, row, (methods(row)[0], &scene.document));
            let told = scene.told(row, &scene.document, &answer);
            if !told.is_empty() || !matches!(answer.status, 401 | 403 | 404) {
                wrong.push(format!("{} {asker:?} is let in: {}", row.line, text_of(&answer)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
