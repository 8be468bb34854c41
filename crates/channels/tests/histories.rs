//! Random histories: whoever obeys a feed, from any position it was told, holds what it may see.

#![cfg(test)]

use proptest::{collection::vec, prelude::*};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_channels::{Access, Entry, Grants, Losses, Periods, Position, Row, Step, Telling, Walk};
use tidegate_types::{Channel, Seq};

const CHANNELS: [&str; 4] = ["a", "b", "c", "!"];

#[derive(Clone, Debug)]
enum Event {
    /// A document, now in these channels.
    Write(u8, BTreeSet<u8>),
    /// The user is given a channel, or it is taken away.
    Grant(u8),
    Revoke(u8),
    /// The same of a role, and the role itself.
    GrantRole(u8),
    RevokeRole(u8),
    TakeRole,
    DropRole,
    /// The client reads so many rows, in pages of so many.
    Follow(usize, usize),
}

fn event() -> impl Strategy<Value = Event> {
    let channel = || 0u8..3;
    prop_oneof![
        8 => (0u8..6, prop::collection::btree_set(0u8..4, 0..3)).prop_map(|(doc, channels)| Event::Write(doc, channels)),
        3 => channel().prop_map(Event::Grant),
        3 => channel().prop_map(Event::Revoke),
        2 => channel().prop_map(Event::GrantRole),
        1 => channel().prop_map(Event::RevokeRole),
        1 => Just(Event::TakeRole),
        1 => Just(Event::DropRole),
        4 => (0usize..4, 1usize..4).prop_map(|(rows, page)| Event::Follow(rows, page)),
    ]
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct About {
    doc: u8,
    version: Seq,
}

#[derive(Default)]
struct Document {
    seq: Seq,
    channels: BTreeSet<u8>,
}

/// A server: documents, a channel index, one user with one role.
#[derive(Default)]
struct Server {
    seq: Seq,
    documents: BTreeMap<u8, Document>,
    index: BTreeMap<u8, BTreeMap<Seq, Entry<About>>>,
    own: Grants,
    role: Grants,
    held: Periods,
    /// What the user could see at some time.
    seen: BTreeSet<u8>,
}

fn channel(number: u8) -> Channel {
    CHANNELS[usize::from(number)].parse().unwrap()
}

impl Server {
    fn write(&mut self, doc: u8, channels: &BTreeSet<u8>) {
        self.seq = self.seq.next();
        let (seq, document) = (self.seq, self.documents.entry(doc).or_default());
        let about = About { doc, version: seq };
        for number in 0..u8::try_from(CHANNELS.len()).unwrap() {
            let (was, is) = (document.channels.contains(&number), channels.contains(&number));
            if !was && !is {
                continue;
            }
            let rows = self.index.entry(number).or_default();
            let old = rows.iter().find(|(_, row)| row.about.doc == doc).map(|(seq, _)| *seq);
            let mut stays = old.and_then(|old| rows.remove(&old)).map(|row| row.stays).unwrap_or_default();
            if is {
                stays.open(seq)
            } else {
                stays.close(seq)
            }
            rows.insert(seq, Entry { seq, removed: !is, stays, about: about.clone() });
        }
        *document = Document { seq, channels: channels.clone() };
    }

    fn access(&self) -> Access {
        Access::of_user(self.own.clone(), [(self.held.clone(), self.role.clone())])
    }

    fn sees(&self, doc: u8) -> bool {
        let channels: Vec<Channel> = self.documents[&doc].channels.iter().map(|number| channel(*number)).collect();
        self.access().sees(&channels)
    }

    fn apply(&mut self, event: &Event) {
        let set = |grants: &mut Grants, number: u8, seq: Seq, given: bool| {
            let periods = grants.entry(channel(number)).or_default();
            if given { periods.open(seq) } else { periods.close(seq) }
        };
        self.seq = self.seq.next();
        let seq = self.seq;
        match event {
            Event::Grant(number) => set(&mut self.own, *number, seq, true),
            Event::Revoke(number) => set(&mut self.own, *number, seq, false),
            Event::GrantRole(number) => set(&mut self.role, *number, seq, true),
            Event::RevokeRole(number) => set(&mut self.role, *number, seq, false),
            Event::TakeRole => self.held.open(seq),
            Event::DropRole => self.held.close(seq),
            Event::Write(..) | Event::Follow(..) => {}
        }
    }
}

/// A client that obeys, and may be cut off after any row.
#[derive(Default)]
struct Client {
    position: Position,
    holds: BTreeMap<u8, Seq>,
}

impl Client {
    /// Reads rows until there are none, or `limit` were read.
    fn follow(&mut self, server: &Server, limit: usize, page: usize) -> Result<(), TestCaseError> {
        let mut walk = Walk::new(&server.access(), self.position, server.seq, Losses::Told);
        let mut rows = 0;
        while rows < limit {
            match walk.poll() {
                Step::Read(read) => {
                    let number = CHANNELS.iter().position(|name| *name == read.channel.as_str()).unwrap();
                    let index = server.index.get(&u8::try_from(number).unwrap());
                    let all = index.into_iter().flatten().map(|(_, row)| row);
                    let wanted: Vec<_> =
                        all.filter(|row| row.seq > read.after && row.seq <= read.until).take(page).cloned().collect();
                    let more = wanted.len() == page;
                    walk.handle_read(&read, wanted, more);
                }
                Step::Row(row) => {
                    rows += 1;
                    self.obey(server, &row)?;
                }
                Step::Done => {
                    self.position = self.position.max(Position::at(server.seq));
                    break;
                }
            }
        }
        Ok(())
    }

    fn obey(&mut self, server: &Server, row: &Row<About>) -> Result<(), TestCaseError> {
        prop_assert!(row.position > self.position, "{:?} after {:?}", row.position, self.position);
        self.position = row.position;
        let About { doc, version } = row.about;
        let sees = server.sees(doc);
        prop_assert!(server.seen.contains(&doc), "document {} is told and never could be seen", doc);
        match row.telling {
            Telling::Seen => {
                prop_assert!(sees, "document {} is told and can't be seen", doc);
                prop_assert_eq!(server.documents[&doc].seq, version);
                self.holds.insert(doc, version);
            }
            Telling::Left(_) | Telling::Lost if !sees => drop(self.holds.remove(&doc)),
            Telling::Left(_) | Telling::Lost => {}
        }
        Ok(())
    }
}

fn play(events: &[Event]) -> Result<(), TestCaseError> {
    let (mut server, mut client) = (Server::default(), Client::default());
    for event in events {
        match event {
            Event::Write(doc, channels) => server.write(*doc, channels),
            Event::Follow(rows, page) => client.follow(&server, *rows, *page)?,
            Event::Grant(_) | Event::Revoke(_) | Event::GrantRole(_) | Event::RevokeRole(_) => server.apply(event),
            Event::TakeRole | Event::DropRole => server.apply(event),
        }
        let visible: Vec<u8> = server.documents.keys().copied().filter(|doc| server.sees(*doc)).collect();
        server.seen.extend(visible);
    }
    client.follow(&server, usize::MAX, 2)?;
    let may: BTreeMap<u8, Seq> =
        server.documents.iter().filter(|(doc, _)| server.sees(**doc)).map(|(doc, d)| (*doc, d.seq)).collect();
    prop_assert_eq!(client.holds, may);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn what_a_client_holds_in_the_end_is_what_it_may_see(events in vec(event(), 0..40)) {
        play(&events)?;
    }
}

/// From the beginning, each document is told once for each reason, in an order that only grows.
#[test]
fn a_grant_brings_what_was_there_before_its_own_row() {
    let mut server = Server::default();
    server.write(1, &[0].into());
    server.write(2, &[0].into());
    server.apply(&Event::Grant(0));
    server.write(3, &[0].into());
    server.apply(&Event::Revoke(0));
    let told = |server: &Server, from: &str, losses| {
        let mut walk = Walk::new(&server.access(), from.parse().unwrap(), server.seq, losses);
        let mut told = Vec::new();
        loop {
            match walk.poll() {
                Step::Read(read) => {
                    let rows = server.index.get(&0).into_iter().flatten().map(|(_, row)| row.clone());
                    let rows = if read.channel.as_str() == "a" { rows.collect() } else { Vec::new() };
                    let within = |row: &Entry<About>| row.seq > read.after && row.seq <= read.until;
                    walk.handle_read(&read, rows.into_iter().filter(within).collect(), false);
                }
                Step::Row(row) => told.push(format!("{} {:?}", row.position, row.telling)),
                Step::Done => return told,
            }
        }
    };
    assert_eq!(told(&server, "2", Losses::Told), ["5:1 Lost", "5:2 Lost", "5:4 Lost"]);
    assert_eq!(told(&server, "5:2", Losses::Told), ["5:4 Lost"]);
    assert_eq!(told(&server, "0", Losses::Untold), Vec::<String>::new());
    server.apply(&Event::Grant(0));
    assert_eq!(told(&server, "4", Losses::Untold), ["6:1 Seen", "6:2 Seen", "6:4 Seen"]);
    server.write(1, &[].into());
    assert_eq!(told(&server, "6:2", Losses::Untold), ["6:4 Seen", "7 Left([Channel(\"a\")])"]);
}
