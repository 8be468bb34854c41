//! The rows of a list, written as they are read.

use super::{
    is_by_key,
    params::{Params, Selection},
};
use crate::{database::wire_seq, document::render::render, error::Error, local, route::Listed};
use serde_json::Value;
use std::collections::VecDeque;
use tidegate_engine::{Database, Detail, DocRange, DocRow, DocumentList, LocalDocument, Partition, Which};
use tidegate_json::write_string;
use tidegate_types::{DocId, DocKind};

/// A list under way.
pub(crate) struct Rows {
    db: Database,
    source: Source,
    params: Params,
    written: bool,
}

enum Source {
    List(Box<DocumentList>),
    Keys(VecDeque<(Value, Option<DocRow>)>),
    Locals(VecDeque<LocalDocument>),
}

/// Which documents a list may hold.
struct Wanted {
    listed: Listed,
    partition: Option<Partition>,
}

impl Wanted {
    fn holds(&self, id: &DocId) -> bool {
        let is_listed = self.listed == Listed::All || id.kind() == DocKind::Design;
        is_listed && self.partition.as_ref().is_none_or(|partition| partition.holds(id))
    }
}

/// The partition that is asked for.
fn partition(db: &Database, params: &Params) -> Result<Option<Partition>, Error> {
    let Some(name) = &params.partition else { return Ok(None) };
    match db.partition(name) {
        Err(tidegate_engine::Error::NotPartitioned) => {
            Err(Error::query_parse("`partition` parameter is not supported on this db"))
        }
        partition => Ok(Some(partition?)),
    }
}

/// Local documents listed at the most.
const LOCALS_MAX: usize = 100_000;

impl Rows {
    /// Begins a list, and writes what comes before the rows.
    pub(crate) async fn open(
        db: &Database,
        listed: Listed,
        mut params: Params,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let partition = partition(db, &params)?;
        params.check_limit(db.query_limit(partition.as_ref()))?;
        let (first, last) = match (listed, &partition) {
            (Listed::All, None) => (None, None),
            (Listed::All, Some(partition)) => (Some(partition.start()), Some(partition.end())),
            (Listed::Design, _) => (Some("_design/".to_owned()), Some("_design0".to_owned())),
            (Listed::Local, _) => (Some("_local/".to_owned()), Some("_local0".to_owned())),
        };
        let selection = params.selection(first.as_deref(), last.as_deref())?;
        let wanted = Wanted { listed, partition };
        let source = match listed {
            Listed::Local => Self::open_local(db, selection, &params, out).await?,
            Listed::All | Listed::Design if is_by_key(&selection) => {
                Self::open_keys(db, &wanted, selection, &params, out).await?
            }
            Listed::All | Listed::Design => Self::open_range(db, listed, selection, &mut params, out).await?,
        };
        Ok(Self { db: db.clone(), source, params, written: false })
    }

    async fn open_local(
        db: &Database,
        selection: Selection,
        params: &Params,
        out: &mut Vec<u8>,
    ) -> Result<Source, Error> {
        let mut locals = Vec::new();
        match selection {
            Selection::Range(range) => locals = db.locals(&range, LOCALS_MAX).await?,
            Selection::Keys(keys) => {
                for id in keys.iter().filter_map(id_of) {
                    locals.extend(db.local(&id).await?);
                }
            }
            Selection::Nothing(_) => {}
        }
        out.extend_from_slice(b"{\"total_rows\":null,\"offset\":null,\"rows\":[\n");
        Ok(Source::Locals(locals.into_iter().skip(params.skip).take(params.limit).collect()))
    }

    async fn open_keys(
        db: &Database,
        wanted: &Wanted,
        selection: Selection,
        params: &Params,
        out: &mut Vec<u8>,
    ) -> Result<Source, Error> {
        let Selection::Keys(keys) = selection else { return Ok(Source::Keys(VecDeque::new())) };
        let keys: Vec<Value> = keys.into_iter().skip(params.skip).take(params.limit).collect();
        let ids: Vec<Option<DocId>> = keys.iter().map(|key| id_of(key).filter(|id| wanted.holds(id))).collect();
        let known: Vec<DocId> = ids.iter().flatten().cloned().collect();
        let (info, found) = db.rows(&known).await?;
        let mut found = found.into_iter();
        let rows = keys.into_iter().zip(ids).map(|(key, id)| (key, id.and_then(|_| found.next().flatten()))).collect();
        write_head(db, total_of(db, info.doc_count), None, params.update_seq.then_some(info.update_seq), out);
        Ok(Source::Keys(rows))
    }

    async fn open_range(
        db: &Database,
        listed: Listed,
        selection: Selection,
        params: &mut Params,
        out: &mut Vec<u8>,
    ) -> Result<Source, Error> {
        let (range, empty) = match selection {
            Selection::Range(range) => (range, false),
            Selection::Nothing(order) => (all_of(listed, order), true),
            Selection::Keys(_) => (all_of(listed, tidegate_engine::Order::Ascending), true),
        };
        let mut list = db.list(range).await?;
        let total = match listed {
            Listed::Design => count_designs(db).await?,
            Listed::All | Listed::Local => list.info().doc_count,
        };
        let mut before = if listed == Listed::All { list.offset().await? } else { Some(0) };
        if empty {
            params.limit = 0;
            before = total_of(db, total);
        }
        let mut skipped = 0;
        while skipped < params.skip {
            let page = list.next((params.skip - skipped).min(1_000)).await?.len();
            skipped += page;
            if page == 0 {
                break;
            }
        }
        let offset = before.map(|before| before + skipped as u64);
        write_head(db, total_of(db, total), offset, params.update_seq.then_some(list.info().update_seq), out);
        Ok(Source::List(Box::new(list)))
    }

    /// Writes the next rows, at most `count`, and what comes behind the last. Whether there are more.
    pub(crate) async fn write(&mut self, count: usize, out: &mut Vec<u8>) -> Result<bool, Error> {
        let wanted = count.min(self.params.limit);
        let written = match &mut self.source {
            Source::List(list) => {
                let rows = list.next(wanted).await?;
                for row in &rows {
                    self.separate(out);
                    self.write_row(&Value::String(row.id.to_string()), Some(row), out).await?;
                }
                rows.len()
            }
            Source::Keys(rows) => {
                let rows: Vec<_> = rows.drain(..wanted.min(rows.len())).collect();
                for (key, row) in &rows {
                    self.separate(out);
                    self.write_row(key, row.as_ref(), out).await?;
                }
                rows.len()
            }
            Source::Locals(rows) => {
                let rows: Vec<_> = rows.drain(..wanted.min(rows.len())).collect();
                for row in &rows {
                    self.separate(out);
                    self.write_local(row, out);
                }
                rows.len()
            }
        };
        self.params.limit -= written;
        let more = written == count && self.params.limit > 0;
        if !more {
            out.extend_from_slice(b"\n]}\n");
        }
        Ok(more)
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.written, true) {
            out.extend_from_slice(b",\n");
        }
    }

    async fn write_row(&self, key: &Value, row: Option<&DocRow>, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(row) = row else {
            out.extend_from_slice(format!("{{\"key\":{key},\"error\":\"not_found\"}}").as_bytes());
            return Ok(());
        };
        out.extend_from_slice(b"{\"id\":");
        write_string(out, row.id.as_str());
        out.extend_from_slice(b",\"key\":");
        write_string(out, row.id.as_str());
        out.extend_from_slice(b",\"value\":{\"rev\":\"");
        out.extend_from_slice(row.winner.rev.to_string().as_bytes());
        out.extend_from_slice(if row.winner.deleted { b"\",\"deleted\":true}" } else { b"\"}" });
        if self.params.docs.include {
            out.extend_from_slice(b",\"doc\":");
            self.write_document(row, out).await?;
        }
        out.push(b'}');
        Ok(())
    }

    async fn write_document(&self, row: &DocRow, out: &mut Vec<u8>) -> Result<(), Error> {
        if row.winner.deleted {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        let document = match (&self.source, self.params.docs.options.detail()) {
            (_, detail @ Detail::History) => self.db.get(&row.id, &Which::Rev(row.winner.rev.clone()), detail).await,
            (Source::List(list), Detail::Plain) => list.document(row).await,
            (Source::Keys(_) | Source::Locals(_), Detail::Plain) => self.db.row_document(row).await,
        };
        match document {
            Ok(document) => render(&self.db, &document, &self.params.docs.options, out).await,
            // It was changed and compacted between the list and the read, or its reader lost it.
            Err(tidegate_engine::Error::NotFound(_) | tidegate_engine::Error::Access(_)) => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn write_local(&self, row: &LocalDocument, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        write_string(out, row.id.as_str());
        out.extend_from_slice(b",\"key\":");
        write_string(out, row.id.as_str());
        out.extend_from_slice(format!(",\"value\":{{\"rev\":\"0-{}\"}}", row.number).as_bytes());
        if self.params.docs.include {
            out.extend_from_slice(b",\"doc\":");
            out.extend_from_slice(&local::render(row));
            out.pop();
        }
        out.push(b'}');
    }
}

/// How many documents there are, for those who may know.
fn total_of(db: &Database, total: u64) -> Option<u64> {
    Some(total).filter(|_| !db.is_seen_by_channels())
}

fn write_head(
    db: &Database,
    total: Option<u64>,
    offset: Option<u64>,
    update_seq: Option<tidegate_types::Seq>,
    out: &mut Vec<u8>,
) {
    let number = |number: Option<u64>| number.map_or("null".to_owned(), |number| number.to_string());
    let (total, offset) = (number(total), number(offset));
    out.extend_from_slice(format!("{{\"total_rows\":{total},\"offset\":{offset},").as_bytes());
    if let Some(seq) = update_seq {
        out.extend_from_slice(format!("\"update_seq\":\"{}\",", wire_seq(db, seq)).as_bytes());
    }
    out.extend_from_slice(b"\"rows\":[\n");
}

fn id_of(key: &Value) -> Option<DocId> {
    key.as_str()?.parse().ok()
}

fn all_of(listed: Listed, order: tidegate_engine::Order) -> DocRange {
    use std::ops::Bound;
    match listed {
        Listed::All | Listed::Local => DocRange { start: Bound::Unbounded, end: Bound::Unbounded, order },
        Listed::Design => DocRange {
            start: Bound::Included("_design/".to_owned()),
            end: Bound::Excluded("_design0".to_owned()),
            order,
        },
    }
}

async fn count_designs(db: &Database) -> Result<u64, Error> {
    let mut list = db.list(all_of(Listed::Design, tidegate_engine::Order::Ascending)).await?;
    let mut count = 0;
    loop {
        match list.next(1_000).await?.len() {
            0 => return Ok(count),
            page => count += page as u64,
        }
    }
}
