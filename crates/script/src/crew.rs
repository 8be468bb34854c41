//! The threads of a pool, and the one that watches them.
//!
//! Nearly everything a function does is interrupted at its deadline. A few built-ins are not: searching a long text, or
//! walking through an object that claims a huge `length`. A thread can't be killed; one that is overdue is given up: its
//! caller is answered, another takes its seat, and it ends when its built-in does. So many may be given up at once, as
//! there are seats; beyond that seats stay empty.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::queue::Queue;
use crate::{Machine, PoolLimits};

/// What a thread does.
pub(crate) struct Job {
    pub(crate) run: Box<dyn FnOnce(&mut Machine) + Send>,
    /// Answers the caller in the thread's stead.
    pub(crate) give_up: Arc<dyn Fn() + Send + Sync>,
}

/// Threads at their seats, fed by one queue.
pub(crate) struct Crew {
    pub(crate) queue: Queue<Job>,
    limits: PoolLimits,
    seats: Mutex<Seats>,
    /// Told when the first job runs, when one ends after the stop, and of the stop.
    is_changed: Condvar,
}

#[derive(Default)]
struct Seats {
    all: Vec<Seat>,
    /// How many threads were given up and still run.
    given_up: usize,
    is_watched: bool,
    is_stopped: bool,
}

#[derive(Default)]
struct Seat {
    /// Counts the threads that sat here; those before were given up.
    thread: u64,
    running: Option<Running>,
    handle: Option<JoinHandle<()>>,
}

struct Running {
    until: Instant,
    give_up: Arc<dyn Fn() + Send + Sync>,
}

/// What the engine needs of its thread's stack beside the function's share of it.
const THREAD_STACK_BYTES: usize = 1 << 20;
/// A call may run twice (see [`Machine`]), and may be late for want of a processor.
const GRACE: Duration = Duration::from_millis(500);

impl Crew {
    /// Starts the threads.
    ///
    /// # Errors
    /// What the system says when it has no threads to give.
    pub(crate) fn start(limits: PoolLimits) -> std::io::Result<Arc<Self>> {
        let queue = Queue::new(limits.waiting_max);
        let crew = Arc::new(Self { queue, limits, seats: Mutex::default(), is_changed: Condvar::new() });
        let started = crew.start_threads();
        if started.is_err() {
            crew.stop();
        }
        started.map(|()| crew)
    }

    fn start_threads(self: &Arc<Self>) -> std::io::Result<()> {
        for number in 0..self.limits.threads.max(1) {
            self.lock().all.push(Seat::default());
            let handle = self.spawn(number, 0)?;
            if let Some(seat) = self.lock().all.get_mut(number) {
                seat.handle = Some(handle);
            }
        }
        let crew = Arc::clone(self);
        Builder::new().name("script-watch".to_owned()).spawn(move || crew.watch()).map(drop)
    }

    fn spawn(self: &Arc<Self>, number: usize, thread: u64) -> std::io::Result<JoinHandle<()>> {
        let crew = Arc::clone(self);
        Builder::new()
            .name(format!("script-{number}"))
            .stack_size(self.limits.machine.stack_bytes_max.saturating_add(THREAD_STACK_BYTES))
            .spawn(move || crew.work(number, thread))
    }

    /// Drops what waits and lets threads go when they have done what they do.
    pub(crate) fn stop(&self) {
        self.queue.stop();
        self.lock().is_stopped = true;
        self.is_changed.notify_all();
    }

    /// Waits for the threads after a stop; but not for one that is overdue.
    pub(crate) fn join(&self) {
        let until = Instant::now() + self.time_max();
        let mut seats = self.lock();
        while seats.all.iter().any(|seat| seat.running.is_some()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            seats = self.is_changed.wait_timeout(seats, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let handles: Vec<_> = seats.all.iter_mut().filter_map(|seat| seat.handle.take()).collect();
        drop(seats);
        for handle in handles {
            drop(handle.join());
        }
    }

    fn time_max(&self) -> Duration {
        self.limits.machine.time_max.saturating_mul(2).saturating_add(GRACE)
    }

    /// Runs what waits, until the stop or until this thread was given up. A panic costs its own call and the runtime.
    fn work(self: &Arc<Self>, number: usize, thread: u64) {
        let mut machine = Machine::new(self.limits.machine);
        while let Some(Job { run, give_up }) = self.queue.pop() {
            self.begin(number, give_up);
            if catch_unwind(AssertUnwindSafe(|| run(&mut machine))).is_err() {
                tracing::error!("a JavaScript runtime panicked");
                machine = Machine::new(self.limits.machine);
            }
            if !self.end(number, thread) {
                return;
            }
        }
    }

    fn begin(&self, number: usize, give_up: Arc<dyn Fn() + Send + Sync>) {
        let until = Instant::now() + self.time_max();
        let mut seats = self.lock();
        if let Some(seat) = seats.all.get_mut(number) {
            seat.running = Some(Running { until, give_up });
        }
        if !std::mem::replace(&mut seats.is_watched, true) {
            self.is_changed.notify_all();
        }
    }

    /// Whether `thread` still has its seat.
    fn end(self: &Arc<Self>, number: usize, thread: u64) -> bool {
        let mut seats = self.lock();
        let seat = seats.all.get_mut(number).filter(|seat| seat.thread == thread);
        let Some(seat) = seat else {
            seats.given_up = seats.given_up.saturating_sub(1);
            self.fill_a_seat(&mut seats);
            return false;
        };
        seat.running = None;
        if seats.is_stopped {
            self.is_changed.notify_all();
        }
        true
    }

    /// Gives up what is overdue, until the stop.
    fn watch(self: &Arc<Self>) {
        let mut seats = self.lock();
        while !seats.is_stopped {
            let now = Instant::now();
            let next = seats.all.iter().filter_map(|seat| seat.running.as_ref()).map(|running| running.until).min();
            match next {
                Some(until) if until <= now => self.give_up(&mut seats, now),
                Some(until) => {
                    let left = until.saturating_duration_since(now);
                    seats = self.is_changed.wait_timeout(seats, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    seats.is_watched = false;
                    seats = self.is_changed.wait(seats).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn give_up(self: &Arc<Self>, seats: &mut Seats, now: Instant) {
        let seats_max = seats.all.len();
        for (number, seat) in seats.all.iter_mut().enumerate() {
            let Some(overdue) = seat.running.take_if(|running| running.until <= now) else { continue };
            tracing::error!("a function can't be interrupted; its thread runs on without its caller");
            (overdue.give_up)();
            seat.thread += 1;
            seat.handle = None;
            seats.given_up += 1;
            if seats.given_up > seats_max {
                tracing::error!("too many functions can't be interrupted; a thread less runs functions");
                continue;
            }
            self.fill(number, seat);
        }
        if seats.all.iter().all(|seat| seat.handle.is_none()) {
            // Nobody is left who could serve those that wait.
            for Job { give_up, .. } in self.queue.close() {
                give_up();
            }
        }
    }

    /// Once there are fewer that can't be interrupted, a seat left empty for them is taken again.
    fn fill_a_seat(self: &Arc<Self>, seats: &mut Seats) {
        let empty = seats.all.iter_mut().enumerate().find(|(_, seat)| seat.handle.is_none());
        if let Some((number, seat)) = empty.filter(|_| !seats.is_stopped) {
            self.fill(number, seat);
            self.queue.open();
        }
    }

    fn fill(self: &Arc<Self>, number: usize, seat: &mut Seat) {
        match self.spawn(number, seat.thread) {
            Ok(handle) => seat.handle = Some(handle),
            Err(fault) => tracing::error!(%fault, "no thread to run functions"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
