//! Feeds that say the same: for each database and shape one task, which makes each row once for all of them.

use super::{
    filter::Filter,
    frame::Frame,
    params::{FeedKind, Params, RowKind, Style},
    row,
};
use crate::{context::Context, database::wire_seq, error::Error};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tidegate_engine::{Change, Database, Feed, Order};
use tidegate_http::feed::Circle;
use tidegate_types::Seq;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Changes said at once.
const PAGE: usize = 1_000;

/// The circles of all databases.
#[derive(Default)]
pub(crate) struct Circles(Mutex<HashMap<Key, Arc<Circle>>>);

/// A database, by its random id, and what is said of it.
type Key = ([u8; 8], Shape);

/// All that decides what a feed says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    frame: Frame,
    style: Style,
}

/// How a feed finds its circle.
pub(crate) struct Company {
    shape: Shape,
    circles: Arc<Circles>,
    circle: Option<Arc<Circle>>,
    tasks: TaskTracker,
    draining: CancellationToken,
}

/// The task of a circle.
struct Speaker {
    db: Database,
    feed: Feed,
    shape: Shape,
    circle: Arc<Circle>,
    circles: Arc<Circles>,
    draining: CancellationToken,
}

impl Shape {
    /// None for a feed that says what only itself was asked for, or that may end at any row.
    pub(crate) fn of(params: &Params) -> Option<Self> {
        let is_endless = match params.feed {
            FeedKind::Continuous | FeedKind::EventSource => params.limit == usize::MAX,
            FeedKind::Normal | FeedKind::Longpoll => false,
        };
        let is_plain = matches!(params.filter, Filter::None) && !params.docs.include && params.seq_interval == 1;
        let is_shared = params.rows == RowKind::Changes && is_endless && is_plain && params.order == Order::Ascending;
        is_shared.then(|| Self { frame: Frame::of(params.feed), style: params.style })
    }

    fn write(self, db: &Database, change: &Change, out: &mut Vec<u8>) {
        let seq = wire_seq(db, change.seq);
        out.extend_from_slice(self.frame.row_start());
        row::write(Some(seq), change, self.style, out);
        out.push(b'}');
        self.frame.row_end(seq, out);
    }
}

impl Company {
    pub(crate) fn new(cx: &Context, shape: Shape) -> Self {
        let (circles, tasks) = (Arc::clone(&cx.shared.circles), cx.tasks.clone());
        Self { shape, circles, circle: None, tasks, draining: cx.draining.clone() }
    }

    /// The circle of the feed; one that begins at `since` if there is none.
    pub(crate) fn circle(&mut self, feed: &Feed, since: Seq) -> Arc<Circle> {
        if let Some(circle) = self.circle.as_ref().filter(|circle| !circle.is_closed()) {
            return Arc::clone(circle);
        }
        let circle = self.join(feed.beside(since));
        self.circle = Some(Arc::clone(&circle));
        circle
    }

    fn join(&self, feed: Feed) -> Arc<Circle> {
        let db = feed.database().clone();
        let mut circles = self.circles.lock();
        let key = (db.uuid(), self.shape);
        if let Some(circle) = circles.get(&key).filter(|circle| !circle.is_closed()) {
            return Arc::clone(circle);
        }
        let circle = Arc::new(Circle::new(feed.since().get()));
        circles.insert(key, Arc::clone(&circle));
        drop(circles);
        let (circles, draining) = (Arc::clone(&self.circles), self.draining.clone());
        let speaker = Speaker { db, feed, shape: self.shape, circle: Arc::clone(&circle), circles, draining };
        drop(self.tasks.spawn(speaker.speak()));
        circle
    }
}

impl Circles {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Circle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a circle, but not one that took its place.
    fn forget(&self, key: Key, circle: &Arc<Circle>) {
        if let Entry::Occupied(entry) = self.lock().entry(key)
            && Arc::ptr_eq(entry.get(), circle)
        {
            entry.remove();
        }
    }
}

impl Speaker {
    async fn speak(mut self) {
        let mut out = Vec::new();
        // Those who listen were checked by the rules that the database had: now each has to be checked for itself.
        while self.changed().await && self.db.is_current() {
            match self.read(&mut out).await {
                Ok(()) => self.circle.say(&out, self.feed.since().get()).await,
                Err(Error(error)) => {
                    tracing::error!(%error, "a changes feed failed");
                    break;
                }
            }
            if self.circle.close_if_empty() {
                break;
            }
            out.clear();
            out.shrink_to(PAGE);
        }
        self.circles.forget((self.db.uuid(), self.shape), &self.circle);
        self.circle.close();
    }

    /// Waits for a change; not for ever.
    async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.feed.changed() => changed.is_ok(),
            () = self.draining.cancelled() => false,
        }
    }

    async fn read(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        for change in self.feed.next(PAGE).await? {
            self.shape.write(&self.db, &change, out);
        }
        Ok(())
    }
}
