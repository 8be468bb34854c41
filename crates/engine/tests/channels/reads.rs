//! What users see of documents, one rule after the other.

use crate::site::{Site, delete, doc, name, replicate, runtime, winner, write};
use std::{ops::Bound, time::Duration};
use tidegate_engine::{
    Absence, AccessError, AttachmentContent, AttachmentWrite, Detail, DocRange, Encoding, Error, Existence, Interest,
    LocalDocument, News, OpenRev, OpenRevs, Order, Placement, Position, Shown, Which, Write,
};

fn is_forbidden<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Access(AccessError::Forbidden(_))))
}

#[test]
fn who_has_no_channel_of_a_document_sees_nothing_of_it() {
    runtime().block_on(async {
        let site = Site::new(&["ada", "bob"]).await;
        site.put_user("ada", "{\"admin_channels\":[\"a\"]}").await;
        let rev = site.write("d", "{\"channels\":[\"a\"]}").await.unwrap().rev;
        let (ada, bob) = (site.seen_by("ada").await, site.seen_by("bob").await);
        let get = async |db: &tidegate_engine::Database, which| db.get(&doc("d"), &which, Detail::History).await;
        assert_eq!(get(&ada, Which::Winner).await.unwrap().rev, rev);
        for which in
            [Which::Winner, Which::Rev(rev.clone()), Which::LatestOf(rev.clone()), Which::Rev("9-x".parse().unwrap())]
        {
            assert!(is_forbidden(&get(&bob, which.clone()).await), "{which:?}");
        }
        assert!(is_forbidden(&bob.open_revs(&doc("d"), &OpenRevs::All).await));
        let these = bob.open_revs(&doc("d"), &OpenRevs::These(vec![rev.clone()])).await.unwrap();
        assert!(matches!(these.as_slice(), [OpenRev::Missing(_)]));
        let diff = bob.revs_diff(vec![(doc("d"), vec![rev.clone()])]).await.unwrap();
        assert_eq!((diff[0].missing.len(), diff[0].possible_ancestors.len()), (1, 0));
        assert!(ada.revs_diff(vec![(doc("d"), vec![rev])]).await.unwrap().is_empty());
        assert_eq!(bob.rows(&[doc("d")]).await.unwrap().1, [None]);
        site.admin.set_existence(Existence::Hidden).await.unwrap();
        let bob = site.seen_by("bob").await;
        assert!(matches!(get(&bob, Which::Winner).await, Err(Error::NotFound(Absence::Missing))));
    });
}

#[test]
fn old_revisions_and_conflicts_are_seen_by_their_own_channels() {
    runtime().block_on(async {
        let site = Site::new(&["ada"]).await;
        site.put_user("ada", "{\"admin_channels\":[\"a\"]}").await;
        let first = site.write("d", "{\"channels\":[\"a\"]}").await.unwrap().rev;
        let second = site.write("d", "{\"channels\":[\"b\"]}").await.unwrap().rev;
        let ada = site.seen_by("ada").await;
        let get = async |rev| ada.get(&doc("d"), &Which::Rev(rev), Detail::Plain).await.unwrap().shown;
        assert_eq!(get(first).await, Shown::Whole);
        assert_eq!(get(second.clone()).await, Shown::Stub);
        assert!(is_forbidden(&ada.get(&doc("d"), &Which::Winner, Detail::Plain).await));
        site.write("d", "{\"channels\":[\"b\"],\"n\":2}").await.unwrap();
        let third = winner(&site.admin, "d").await.unwrap();
        assert!(is_forbidden(&ada.get(&doc("d"), &Which::Rev(third), Detail::Plain).await));
        replicate(&site.admin, "e", &["1-b"], "{\"channels\":[\"a\"]}").await.unwrap();
        replicate(&site.admin, "e", &["1-a"], "{\"channels\":[\"b\"]}").await.unwrap();
        let seen = ada.get(&doc("e"), &Which::Winner, Detail::History).await.unwrap();
        assert_eq!((seen.rev.to_string().as_str(), seen.conflicts().len()), ("1-b", 0));
        assert_eq!(ada.open_revs(&doc("e"), &OpenRevs::All).await.unwrap().len(), 1);
    });
}

#[test]
fn a_deletion_is_told_to_who_had_the_document() {
    runtime().block_on(async {
        let site = Site::new(&["ada", "bob"]).await;
        site.put_user("ada", "{\"admin_channels\":[\"a\"]}").await;
        site.write("d", "{\"channels\":[\"a\"],\"secret\":1}").await.unwrap();
        let rev = delete(&site.admin, "d").await.unwrap().rev;
        let (ada, bob) = (site.seen_by("ada").await, site.seen_by("bob").await);
        let which = Which::Rev(rev);
        let tombstone = ada.get(&doc("d"), &which, Detail::Plain).await.unwrap();
        assert!(tombstone.deleted && tombstone.members.is_empty());
        assert!(matches!(
            ada.get(&doc("d"), &Which::Winner, Detail::Plain).await,
            Err(Error::NotFound(Absence::Deleted))
        ));
        assert!(is_forbidden(&bob.get(&doc("d"), &which, Detail::Plain).await));
    });
}

#[test]
fn a_stub_means_nothing_of_a_revision_that_is_not_seen() {
    runtime().block_on(async {
        let site = Site::new(&["bob"]).await;
        site.put_user("bob", "{\"admin_channels\":[\"b\"]}").await;
        let staged = site.admin.upload_all("image/png", Encoding::Identity, "secret".into()).await.unwrap();
        let attachment = |content| AttachmentWrite {
            name: "x".to_owned(),
            content_type: "image/png".to_owned(),
            revpos: None,
            content,
        };
        let write = |parent, content| Write {
            id: doc("d"),
            placement: Placement::Edit { parent, canonical: "{}".into() },
            deleted: false,
            members: if matches!(content, AttachmentContent::Stub) {
                "\"channels\":[\"b\"]"
            } else {
                "\"channels\":[\"a\"]"
            }
            .into(),
            attachments: vec![attachment(content)],
            expires_s: None,
        };
        let first = site.admin.write_one(write(None, AttachmentContent::Staged(staged))).await.unwrap().rev;
        let bob = site.seen_by("bob").await;
        let stolen = bob.write_one(write(Some(first), AttachmentContent::Stub)).await;
        assert!(matches!(stolen, Err(Error::MissingStub { .. })), "{stolen:?}");
    });
}

#[test]
fn the_sync_function_decides_who_may_write() {
    runtime().block_on(async {
        let site = Site::new(&["ada", "bob"]).await;
        site.put_user("ada", "{\"admin_channels\":[\"a\"]}").await;
        let (ada, bob) = (site.seen_by("ada").await, site.seen_by("bob").await);
        assert!(is_forbidden(&write(&bob, "d", "{\"only\":\"ada\"}").await));
        assert!(write(&ada, "d", "{\"only\":\"ada\",\"channels\":[\"a\"],\"closed\":true}").await.is_ok());
        let rev = winner(&ada, "d").await;
        let over = |rev| Write {
            id: doc("d"),
            placement: Placement::Edit { parent: rev, canonical: "{}".into() },
            deleted: false,
            members: "".into(),
            attachments: Vec::new(),
            expires_s: None,
        };
        assert!(is_forbidden(&bob.write_one(over(rev.clone())).await));
        assert!(ada.write_one(over(rev)).await.is_ok());
    });
}

#[test]
fn checkpoints_belong_to_their_user() {
    runtime().block_on(async {
        let site = Site::new(&["ada", "bob"]).await;
        let (ada, bob) = (site.seen_by("ada").await, site.seen_by("bob").await);
        let id = doc("_local/x");
        let document = LocalDocument { id: id.clone(), number: 1, members: "\"a\":1".into() };
        ada.put_local(document.clone()).await.unwrap();
        assert_eq!(ada.local(&id).await.unwrap(), Some(document));
        assert_eq!(bob.local(&id).await.unwrap(), None);
        assert_eq!(site.admin.local(&id).await.unwrap(), None);
        assert!(!bob.delete_local(&id).await.unwrap() && ada.delete_local(&id).await.unwrap());
    });
}

#[test]
fn a_user_that_comes_after_another_of_its_name_has_none_of_its_checkpoints() {
    runtime().block_on(async {
        let site = Site::new(&["ada", "adam"]).await;
        let (old, adam) = (site.seen_by("ada").await, site.seen_by("adam").await);
        let id = doc("_local/x");
        let document = LocalDocument { id: id.clone(), number: 1, members: "\"a\":1".into() };
        old.put_local(document.clone()).await.unwrap();
        adam.put_local(document.clone()).await.unwrap();
        site.put_user("ada", "{\"admin_channels\":[\"x\"]}").await;
        assert_eq!(
            old.local(&id).await.unwrap(),
            Some(document.clone()),
            "another password or channel changes nothing"
        );
        site.admin.delete_user(&name("ada")).await.unwrap();
        let all = DocRange { start: Bound::Unbounded, end: Bound::Unbounded, order: Order::Ascending };
        assert_eq!(site.admin.locals(&all, 10).await.unwrap().len(), 1, "they go with their user");
        site.put_user("ada", "{\"password\":\"\"}").await;
        assert_eq!(site.seen_by("ada").await.local(&id).await.unwrap(), None);
        assert_eq!(adam.local(&id).await.unwrap(), Some(document));
    });
}

#[test]
fn of_those_who_replace_the_same_checkpoint_one_does() {
    runtime().block_on(async {
        let site = Site::new(&["ada"]).await;
        let (ada, id) = (site.seen_by("ada").await, doc("_local/x"));
        let mut replaced = None;
        for round in 1..=20 {
            let members = |text: &'static str| Some(bytes::Bytes::from_static(text.as_bytes()));
            let (a, b, c) = tokio::join!(
                ada.replace_local(&id, replaced, members("\"by\":1")),
                ada.replace_local(&id, replaced, members("\"by\":2")),
                ada.replace_local(&id, replaced, members("\"by\":3")),
            );
            let numbers: Vec<u64> =
                [&a, &b, &c].into_iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
            assert_eq!(numbers, [round]);
            let conflicts = [a, b, c].iter().filter(|outcome| matches!(outcome, Err(Error::Conflict))).count();
            assert_eq!(conflicts, 2);
            replaced = Some(round);
        }
        assert!(matches!(ada.replace_local(&id, None, None).await, Err(Error::Conflict)));
        assert_eq!(ada.replace_local(&id, replaced, None).await.unwrap(), 0);
        assert_eq!(ada.local(&id).await.unwrap(), None);
    });
}

#[test]
fn a_feed_tells_a_grant_before_its_row_and_ends_for_who_is_disabled() {
    runtime().block_on(async {
        let site = Site::new(&["ada"]).await;
        site.write("d", "{\"channels\":[\"a\"]}").await.unwrap();
        let ada = site.seen_by("ada").await;
        let interest = Interest { myself: true, losses: true, channels: None };
        let mut feed = ada.follow_channels(Position::START, interest).unwrap();
        let told = async |feed: &mut tidegate_engine::ChannelFeed| {
            let told = feed.next(10).await.unwrap();
            told.iter().map(|told| format!("{} {}", told.position, word(&told.news))).collect::<Vec<_>>()
        };
        // The sequences: 1 is the user, 2 the document.
        assert_eq!(told(&mut feed).await, ["1 myself"]);
        site.put_user("ada", "{\"admin_channels\":[\"a\"]}").await;
        assert_eq!(told(&mut feed).await, ["3:2 changed", "3 myself"]);
        site.write("d", "{\"channels\":[\"b\"]}").await.unwrap();
        assert_eq!(told(&mut feed).await, ["4 left"]);
        site.write("e", "{\"channels\":[\"a\"]}").await.unwrap();
        assert_eq!(told(&mut feed).await, ["5 changed"]);
        site.put_user("ada", "{\"admin_channels\":[]}").await;
        assert_eq!(told(&mut feed).await, ["6:4 lost", "6:5 lost", "6 myself"]);
        site.put_user("ada", "{\"disabled\":true}").await;
        assert!(feed.next(10).await.is_err());
    });
}

fn word(news: &News) -> &'static str {
    match news {
        News::Changed(_) => "changed",
        News::Left(..) => "left",
        News::Lost(_) => "lost",
        News::Myself => "myself",
    }
}

#[test]
fn a_feed_wakes_for_what_concerns_it_alone() {
    runtime().block_on(async {
        let site = Site::new(&["ada"]).await;
        site.put_user("ada", "{\"admin_channels\":[\"a\"]}").await;
        let mut feed = site.seen_by("ada").await.follow_channels(Position::START, Interest::default()).unwrap();
        while !feed.next(10).await.unwrap().is_empty() {}
        let wakes = async |feed: &mut tidegate_engine::ChannelFeed| {
            let woken = tokio::time::timeout(Duration::from_millis(1), feed.changed()).await.is_ok();
            while !feed.next(10).await.unwrap().is_empty() {}
            woken
        };
        assert!(!wakes(&mut feed).await);
        site.write("d", "{\"channels\":[\"b\"]}").await.unwrap();
        assert!(!wakes(&mut feed).await);
        site.write("d", "{\"channels\":[\"a\"]}").await.unwrap();
        assert!(wakes(&mut feed).await);
        site.write("d", "{\"channels\":[\"b\"]}").await.unwrap();
        assert!(wakes(&mut feed).await);
        site.put_user("ada", "{\"admin_channels\":[\"b\"]}").await;
        assert!(wakes(&mut feed).await);
        site.write("d", "{\"channels\":[\"b\"],\"n\":1}").await.unwrap();
        assert!(wakes(&mut feed).await);
        site.write("e", "{\"channels\":[\"a\"]}").await.unwrap();
        assert!(!wakes(&mut feed).await);
    });
}
