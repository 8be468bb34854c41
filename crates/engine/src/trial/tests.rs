//! A function that is tried out says what it would do, and does nothing.

use super::{Trial, TrialException, TrialInput};
use crate::{
    DryRunReport, Error, Expiry, Rejection, ResyncFrom, SyncCaller, SyncUser,
    fixture::{Client, Site, doc, run},
};
use bytes::Bytes;
use std::sync::Arc;

async fn dry_run(site: &Site, source: Option<&str>) -> DryRunReport {
    let mut dry_run = site.db.dry_run(source, 3).await.unwrap();
    let mut last = None;
    while let Some(progress) = dry_run.step().await.unwrap() {
        assert!(progress.done <= progress.total && last.is_none_or(|last| last <= progress.done));
        last = Some(progress.done);
    }
    dry_run.report().clone()
}

/// Of whom, documents and channels gained and lost.
fn shifts(report: &DryRunReport) -> Vec<String> {
    let channels =
        |channels: &[tidegate_types::Channel]| channels.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(",");
    let users = report.users.iter().map(|user| {
        let (gained, lost) = (channels(&user.channels_gained), channels(&user.channels_lost));
        format!("{} +{} -{} +[{gained}] -[{lost}]", user.name, user.docs_gained, user.docs_lost)
    });
    users.collect()
}

const SECOND: &str = "function (doc) {
    if (doc.kind === 'bad') throw({forbidden: 'bad'});
    channel(doc.owner);
    if (doc.kind === 'grant') { access(doc.owner, 'x'); role(doc.owner, 'role:nurse'); }
    if (doc.kind === 'x') channel('x');
}";

async fn site() -> Site {
    let site = Site::new().await;
    site.put_role("nurse", r#"{"admin_channels":["ward"]}"#).await;
    site.put_user("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await;
    site.put_user("bob", r#"{"password":"secret","admin_channels":["bob","w"]}"#).await;
    site.put_user("eve", r#"{"password":"secret"}"#).await;
    site.put_user("root", r#"{"password":"secret","admin_channels":["*"]}"#).await;
    for number in 0..150 {
        site.write(&format!("p{number:03}"), r#""channels":["a"],"owner":"bob""#).await.unwrap();
    }
    site.write("bad", r#""channels":["w"],"kind":"bad""#).await.unwrap();
    site.write("g", r#""kind":"grant","owner":"ada""#).await.unwrap();
    site.write("x", r#""kind":"x""#).await.unwrap();
    site.write("dead", r#""channels":["a"],"owner":"bob""#).await.unwrap();
    site.delete("dead").await.unwrap();
    site
}

#[test]
fn it_is_known_beforehand_what_a_resync_will_do() {
    run(async {
        let site = site().await;
        let seq = site.db.update_seq();
        let report = dry_run(&site, Some(SECOND)).await;
        assert_eq!((report.processed, report.changed, report.refused), (154, 153, 1));
        let flow = |channel: &str| report.channels.get(channel).map(|flow| (flow.entering, flow.leaving));
        assert_eq!(
            (flow("bob"), flow("a"), flow("w"), flow("x")),
            (Some((150, 0)), Some((0, 150)), Some((0, 1)), Some((1, 0)))
        );
        let expected = ["ada +1 -150 +[ward,x] -[]", "bob +150 -1 +[] -[]"];
        assert_eq!(shifts(&report), expected);
        let ids: Vec<&str> = report.examples.iter().map(|moved| moved.id.as_str()).collect();
        assert_eq!(ids, ["bad", "g", "p000"]);
        assert_eq!((report.examples[0].refused.as_deref(), report.examples[1].grants.len()), (Some("bad"), 2));
        // Nothing was written, and what was foretold is what comes.
        assert_eq!(site.db.update_seq(), seq);
        let (ada, bob) = (site.seen_by("ada").await, site.seen_by("bob").await);
        let (mut adas, mut bobs) = (Client::new(), Client::new());
        adas.catch_up(&ada).await;
        bobs.catch_up(&bob).await;
        assert_eq!((adas.holds.len(), bobs.holds.len()), (150, 1));
        site.set_function(SECOND).await;
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        let status = site.resynced().await;
        assert_eq!((status.docs_changed, status.docs_errored), (report.changed, report.refused));
        adas.catch_up(&ada).await;
        bobs.catch_up(&bob).await;
        assert_eq!((adas.holds.len(), bobs.holds.len()), (1, 150));
        // The same function again changes nothing.
        let report = dry_run(&site, None).await;
        assert_eq!((report.changed, shifts(&report), report.examples.len()), (0, Vec::new(), 1));
    });
}

#[test]
fn what_is_no_function_is_refused_before_anything_is_asked() {
    run(async {
        let site = Site::new().await;
        assert!(matches!(site.db.dry_run(Some("channel('a'"), 1).await, Err(Error::Script(_))));
        site.put_user("ada", r#"{"password":"secret"}"#).await;
        let ada = site.seen_by("ada").await;
        assert!(matches!(ada.dry_run(None, 1).await, Err(Error::Access(_))));
        assert!(matches!(ada.try_sync(TrialInput::default()).await, Err(Error::Access(_))));
    });
}

#[test]
fn a_function_is_tried_on_one_document() {
    run(async {
        let site = Site::new().await;
        let source = "function (doc, oldDoc, meta) {
            requireUser(doc.owner);
            console.log(oldDoc ? oldDoc.n : 'new', meta.xattrs.x);
            channel(doc.n); access('ada', 'c'); role('ada', 'role:r'); expiry(60);
        }";
        let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let input = TrialInput {
            source: Some(source.to_owned()),
            document: text(r#"{"_id":"d","n":"1"}"#),
            ..TrialInput::default()
        };
        let trial = site.db.try_sync(input.clone()).await.unwrap();
        let log: Vec<&str> = trial.log.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(log, ["new undefined"]);
        let expected = Trial {
            channels: vec!["1".parse().unwrap()],
            access: vec![("ada".parse().unwrap(), vec!["c".parse().unwrap()])],
            roles: vec![("ada".parse().unwrap(), vec!["r".parse().unwrap()])],
            expiry: Some(Expiry::After(60)),
            exception: None,
            log: trial.log.clone(),
        };
        assert_eq!(trial, expected);
        // For a user, whom it refuses.
        let ada = SyncUser { name: "ada".to_owned(), ..SyncUser::default() };
        let by_ada = TrialInput { caller: SyncCaller::User(Arc::new(ada)), ..input.clone() };
        let refused = site.db.try_sync(by_ada).await.unwrap();
        let reason = Rejection::Forbidden("sg wrong user".to_owned());
        assert_eq!(refused.exception, Some(TrialException::Refused(reason)));
        // On documents that are there.
        site.write("d", r#""n":"1""#).await.unwrap();
        site.write("d", r#""n":"2""#).await.unwrap();
        let stored = TrialInput { id: Some(doc("d")), document: None, ..input.clone() };
        let trial = site.db.try_sync(stored).await.unwrap();
        assert_eq!((trial.channels[0].as_str(), trial.log[0].text.as_str()), ("2", "1 undefined"));
        let meta = text(r#"{"xattrs":{"x":7}}"#);
        let beside = TrialInput { id: Some(doc("d")), meta, ..input.clone() };
        assert_eq!(site.db.try_sync(beside).await.unwrap().log[0].text, "2 7");
        let nothing = TrialInput { id: Some(doc("e")), document: None, ..input };
        assert!(matches!(site.db.try_sync(nothing).await, Err(Error::NotFound(_))));
        // One that fails, and where.
        let failing = TrialInput {
            source: Some("function (doc) {\n  nothing();\n}".to_owned()),
            id: Some(doc("d")),
            ..TrialInput::default()
        };
        let trial = site.db.try_sync(failing).await.unwrap();
        assert!(
            matches!(&trial.exception, Some(TrialException::Failed(message, Some(place)))
            if message.contains("nothing") && place.line == 2),
            "{trial:?}"
        );
    });
}
