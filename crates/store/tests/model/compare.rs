//! Whether everything that can be read of a database is what the model says.

use crate::{
    database::{Body, Document, Model},
    fixture::{all_docs, census, check, read},
    play::{Home, Play, document_id, local_id},
    step::{DOCUMENTS, LOCALS},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Bound, RangeBounds},
};
use tidegate_store::{DocRange, DocRow, LocalDocument, Order, Reader, Winner};
use tidegate_types::{DocId, Seq};

pub(crate) async fn compare(play: &Play) {
    let reader = play.db.reader().unwrap();
    check(&play.db).await;
    counters(play, &reader).await;
    documents(&play.model, &reader).await;
    changes(play).await;
    for order in [Order::Ascending, Order::Descending] {
        for (start, end) in ranges() {
            list(&play.model, &reader, &DocRange { start, end, order }).await;
        }
    }
    locals(&play.model, &reader).await;
    storage(play).await;
}

/// Reads every attachment; dearer than the rest.
pub(crate) async fn compare_contents(play: &Play) {
    for attachment in play.model.attachments() {
        let expected = &play.contents[&attachment.digest];
        assert_eq!(read(&play.db, &attachment.digest).await, *expected);
        let range = expected.len() as u64 / 3..expected.len() as u64 - expected.len() as u64 / 4;
        let part = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let mut reader = play.db.reader().unwrap().attachment(&attachment.digest, Some(range)).await.unwrap();
        let mut found = Vec::new();
        while let Some(bytes) = reader.next().await.unwrap() {
            found.extend_from_slice(&bytes);
        }
        assert_eq!(found, expected[part]);
    }
}

async fn counters(play: &Play, reader: &Reader) {
    let info = reader.info().await.unwrap();
    let model = &play.model;
    assert_eq!((info.doc_count, info.doc_del_count), model.counts());
    assert_eq!((info.update_seq, info.purge_seq), (model.update_seq, model.purge_seq));
    assert_eq!((info.revs_limit, info.created_s, info.uuid), (model.revs_limit, 7, play.db.uuid()));
    assert_eq!(play.db.update_seq(), model.update_seq);
    let (numbers, purges): (Vec<u64>, Vec<_>) = reader.purges(0, usize::MAX).await.unwrap().into_iter().unzip();
    assert_eq!(purges, model.purges);
    assert_eq!(numbers.last().copied(), (!model.purges.is_empty()).then_some(model.purge_seq));
    let page = reader.purges(numbers.first().copied().unwrap_or_default(), 2).await.unwrap();
    assert!(page.into_iter().map(|(_, purge)| purge).eq(model.purges.iter().skip(1).take(2).cloned()));
    assert_eq!(play.db.purges_max().await.unwrap(), model.purges_max as u64);
}

async fn documents(model: &Model, reader: &Reader) {
    let ids: Vec<DocId> = (0..DOCUMENTS + 1).map(document_id).collect();
    let (winners, states) = (reader.winners(&ids).await.unwrap(), reader.documents(&ids).await.unwrap());
    for ((id, winner), state) in ids.iter().zip(winners).zip(states) {
        let expected = model.documents.get(id);
        assert_eq!(winner, expected.map(winner_of), "{id}");
        assert_eq!(reader.winner(id).await.unwrap(), winner);
        assert_eq!(reader.document(id).await.unwrap(), state);
        assert_eq!(state.is_some(), expected.is_some());
        if let (Some(state), Some(expected)) = (state, expected) {
            assert_eq!(state.seq, expected.seq);
            tree(&state.tree, expected);
            for body in expected.tree.nodes.values().filter_map(|node| node.body.as_ref()) {
                let found = reader.body(body.seq).await.unwrap().unwrap();
                let found = Body { seq: body.seq, members: found.members, attachments: found.attachments };
                assert_eq!(found, *body);
            }
        }
    }
}

fn tree(found: &tidegate_revtree::Tree, expected: &Document) {
    let nodes = found.nodes();
    let parent = |index: Option<usize>| index.map(|index| nodes[index].rev.clone());
    let found: BTreeMap<_, _> =
        nodes.iter().map(|node| (node.rev.clone(), (parent(node.parent), node.deleted, node.body.stored()))).collect();
    let expected: BTreeMap<_, _> = expected
        .tree
        .nodes
        .iter()
        .map(|(rev, node)| (rev.clone(), (node.parent.clone(), node.deleted, node.body.as_ref().map(|body| body.seq))))
        .collect();
    assert_eq!(found.len(), nodes.len());
    assert_eq!(found, expected);
}

fn winner_of(document: &Document) -> Winner {
    let (rev, node) = document.tree.winner().unwrap();
    let body = node.body.as_ref().map(|body| body.seq);
    Winner { rev: rev.clone(), deleted: node.deleted, seq: document.seq, body }
}

async fn changes(play: &Play) {
    let (db, all) = (&play.db, play.model.changes());
    let last = play.model.update_seq.get();
    for (after, until) in [(0, u64::MAX), (0, last / 2), (last / 3, last), (last, u64::MAX)] {
        let (after, until) = (Seq::new(after), Seq::new(until));
        let mut expected: Vec<_> = all.iter().filter(|c| c.seq > after && c.seq <= until).cloned().collect();
        assert_eq!(db.changes(after, until, Order::Ascending, usize::MAX).await.unwrap(), expected);
        assert_eq!(paged(play, after, until).await, expected);
        expected.reverse();
        assert_eq!(db.changes(after, until, Order::Descending, usize::MAX).await.unwrap(), expected);
        expected.truncate(2);
        assert_eq!(db.changes(after, until, Order::Descending, 2).await.unwrap(), expected);
        let counted = all.iter().filter(|c| c.seq > after).count() as u64;
        for count_max in [counted, counted + 1, 1_000] {
            let count_max = usize::try_from(count_max).unwrap();
            assert_eq!(db.count_changes(after, count_max).await.unwrap(), counted, "{after} {count_max}");
        }
    }
}

async fn paged(play: &Play, mut after: Seq, until: Seq) -> Vec<tidegate_store::Change> {
    let mut found = Vec::new();
    loop {
        let page = play.db.changes(after, until, Order::Ascending, 2).await.unwrap();
        let Some(last) = page.last() else { return found };
        assert!(page.len() <= 2);
        after = last.seq;
        found.extend(page);
    }
}

fn ranges() -> Vec<(Bound<String>, Bound<String>)> {
    let id = |text: &str| text.to_owned();
    vec![
        (Bound::Unbounded, Bound::Unbounded),
        (Bound::Included(id("doc1")), Bound::Excluded(id("doc3"))),
        (Bound::Excluded(id("doc1")), Bound::Included(id("doc3"))),
        (Bound::Unbounded, Bound::Included(id("doc2x"))),
        (Bound::Included(id("doc4")), Bound::Included(id("doc1"))),
        (Bound::Excluded(id("doc2")), Bound::Unbounded),
    ]
}

async fn list(model: &Model, reader: &Reader, range: &DocRange) {
    let live = model.documents.iter().filter(|(_, document)| !document.tree.winner().unwrap().1.deleted);
    let mut live: Vec<_> = live.map(|(id, document)| DocRow { id: id.clone(), winner: winner_of(document) }).collect();
    if range.order == Order::Descending {
        live.reverse();
    }
    let within = |row: &DocRow| (range.start.clone(), range.end.clone()).contains(&row.id.to_string());
    let expected: Vec<_> = live.iter().filter(|row| within(row)).cloned().collect();
    for limit in [1, 2, usize::MAX] {
        let (mut listing, mut found) = (reader.list(range), Vec::new());
        loop {
            let rows = listing.next(limit).await.unwrap();
            if rows.is_empty() {
                break;
            }
            assert!(rows.len() <= limit);
            found.extend(rows);
        }
        assert_eq!(found, expected, "{range:?} by {limit}");
    }
    let before = live.iter().take_while(|row| is_before(row.id.as_str(), range)).count() as u64;
    assert_eq!(reader.count_before(range, before).await.unwrap(), Some(before), "{range:?}");
    if before > 0 {
        assert_eq!(reader.count_before(range, before - 1).await.unwrap(), None, "{range:?}");
    }
}

/// Whether an id comes before the range, in the range's order.
fn is_before(id: &str, range: &DocRange) -> bool {
    match (range.order, &range.start, &range.end) {
        (Order::Ascending, Bound::Included(start), _) => id < start.as_str(),
        (Order::Ascending, Bound::Excluded(start), _) => id <= start.as_str(),
        (Order::Descending, _, Bound::Included(end)) => id > end.as_str(),
        (Order::Descending, _, Bound::Excluded(end)) => id >= end.as_str(),
        (Order::Ascending, Bound::Unbounded, _) | (Order::Descending, _, Bound::Unbounded) => false,
    }
}

async fn locals(model: &Model, reader: &Reader) {
    let local = |(id, (number, members)): (&DocId, &(u64, bytes::Bytes))| LocalDocument {
        id: id.clone(),
        number: *number,
        members: members.clone(),
    };
    let mut expected: Vec<_> = model.locals.iter().map(local).collect();
    for number in 0..LOCALS {
        let id = local_id(number);
        let found = reader.local(&id).await.unwrap();
        assert_eq!(found.as_ref(), expected.iter().find(|document| document.id == id));
    }
    assert_eq!(reader.locals(&all_docs(), usize::MAX).await.unwrap(), expected);
    expected.reverse();
    expected.truncate(2);
    let descending = DocRange { order: Order::Descending, ..all_docs() };
    assert_eq!(reader.locals(&descending, 2).await.unwrap(), expected);
}

/// Nothing lies in the storage that nobody needs.
async fn storage(play: &Play) {
    let model = &play.model;
    let contents: BTreeMap<_, _> = model.attachments().into_iter().map(|a| (a.digest, a.stored_length)).collect();
    let chunks: u64 = contents.values().map(|length| length.div_ceil(256 << 10).max(1)).sum();
    let expected = [
        ('m', 1),
        ('d', model.documents.len()),
        ('s', model.documents.len()),
        ('b', model.bodies().map(|body| body.seq).collect::<BTreeSet<_>>().len()),
        ('h', model.purges.len()),
        ('p', model.settings),
        ('l', model.locals.len()),
        ('a', contents.len()),
        ('c', usize::try_from(chunks).unwrap() + play.abandoned.iter().sum::<usize>()),
        ('u', play.abandoned.len()),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().filter(|(_, count)| *count > 0).collect();
    let mut found = census(play.kv()).await;
    if play.home == Home::Named {
        // Its name, and counters of its own as soon as there is something to count.
        assert_eq!(found.remove(&'n'), Some(1));
        found.entry('m').and_modify(|counters| *counters = 1);
    }
    assert_eq!(found, expected);
}
