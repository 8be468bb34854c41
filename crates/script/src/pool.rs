//! Machines on threads of their own, behind one bounded queue.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::crew::{Crew, Job};
use crate::{Error, Machine, PoolLimits, Program, Row, SyncInput, SyncOutcome, Validation, Verdict};

/// The threads that run functions. Cheap to clone; the last clone dropped stops the threads.
///
/// A call that waits and isn't wanted any more is not run: dropping the future gives it up, unless it runs already.
#[derive(Clone)]
pub struct Pool(Arc<Threads>);

/// How long one batch may keep a thread from others, beside the call that it ends with.
const BATCH_TIME: Duration = Duration::from_millis(10);

/// Stops the threads when it goes.
struct Threads(Arc<Crew>);

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// What the system says when it has no threads to give.
    pub fn start(limits: PoolLimits) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Threads(Crew::start(limits)?))))
    }

    /// Compiles `program` on one of the threads: see [`Machine::compile`].
    ///
    /// # Errors
    /// Those of [`Machine::compile`], [`Error::Overloaded`], [`Error::Stopped`].
    pub async fn compile(&self, program: &Program) -> Result<(), Error> {
        self.run(program, |machine, program| machine.compile(program)).await
    }

    /// Runs a `validate_doc_update` function: see [`Machine::validate`]. The texts are those of [`Validation`].
    ///
    /// # Errors
    /// Those of [`Machine::validate`], [`Error::Overloaded`], [`Error::Stopped`].
    pub async fn validate(&self, program: &Program, input: OwnedValidation) -> Result<Verdict, Error> {
        self.run(program, move |machine, program| machine.validate(program, &input.borrowed())).await
    }

    /// Runs a filter on a batch of documents: see [`Machine::filter`].
    ///
    /// # Errors
    /// Those of [`Machine::filter`], [`Error::Overloaded`], [`Error::Stopped`].
    pub async fn filter(&self, program: &Program, documents: Vec<Bytes>, request: Bytes) -> Result<Vec<bool>, Error> {
        self.run(program, move |machine, program| machine.filter(program, &documents, &request)).await
    }

    /// Runs a map function as a filter on a batch of documents: see [`Machine::filter_by_view`].
    ///
    /// # Errors
    /// Those of [`Machine::filter_by_view`], [`Error::Overloaded`], [`Error::Stopped`].
    pub async fn filter_by_view(&self, program: &Program, documents: Vec<Bytes>) -> Result<Vec<bool>, Error> {
        self.run(program, move |machine, program| machine.filter_by_view(program, &documents)).await
    }

    /// Runs a map function: see [`Machine::map`].
    ///
    /// # Errors
    /// Those of [`Machine::map`], [`Error::Overloaded`], [`Error::Stopped`].
    pub async fn map(&self, program: &Program, document: Bytes) -> Result<Vec<Row>, Error> {
        self.run(program, move |machine, program| machine.map(program, &document)).await
    }

    /// Asks a sync function: see [`Machine::sync`]. What is known without running it takes no thread.
    ///
    /// # Errors
    /// Those of [`Machine::sync`], [`Error::Overloaded`], [`Error::Stopped`].
    pub async fn sync(&self, program: &Program, input: SyncInput) -> Result<SyncOutcome, Error> {
        match program.decide(&input) {
            Some(outcome) => Ok(outcome),
            None => self.run(program, move |machine, program| machine.sync(program, &input)).await,
        }
    }

    /// Asks a sync function of each of many, as [`sync`](Self::sync) does of one, and in their order. They come
    /// to a thread several at a time; after some milliseconds others have their turn.
    pub async fn sync_each(&self, program: &Program, inputs: Vec<SyncInput>) -> Vec<Result<SyncOutcome, Error>> {
        let inputs: Arc<[SyncInput]> = inputs.into();
        let mut outcomes = Vec::with_capacity(inputs.len());
        while let Some(next) = inputs.get(outcomes.len()) {
            if let Some(outcome) = program.decide(next) {
                outcomes.push(Ok(outcome));
                continue;
            }
            let (batch, from) = (Arc::clone(&inputs), outcomes.len());
            let call = move |machine: &mut Machine, program: &Program| {
                Ok(machine.sync_some(program, batch.get(from..).unwrap_or_default(), BATCH_TIME))
            };
            match self.run(program, call).await {
                Ok(answered) => outcomes.extend(answered),
                Err(error) => outcomes.push(Err(error)),
            }
        }
        outcomes
    }

    /// Gives up what waits, and waits for what runs. Blocks: up to twice the time limit of a call.
    pub fn stop(&self) {
        self.0.0.stop();
        self.0.0.join();
    }

    async fn run<T: Send + 'static>(
        &self,
        program: &Program,
        call: impl FnOnce(&mut Machine, &Program) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let answer = Arc::new(Answer(Mutex::new(Some(answer))));
        let late = Arc::clone(&answer);
        let program = program.clone();
        let run = Box::new(move |machine: &mut Machine| {
            if !answer.is_wanted() {
                return;
            }
            let result = call(machine, &program);
            for line in machine.take_log() {
                tracing::info!(program = program.key(), level = line.level.as_str(), "{}", line.text);
            }
            answer.send(result);
        });
        self.0.0.queue.push(Job { run, give_up: Arc::new(move || late.send(Err(Error::Timeout))) })?;
        answered.await.unwrap_or(Err(Error::Stopped))
    }
}

/// Where the result of a call goes, once.
struct Answer<T>(Mutex<Option<oneshot::Sender<Result<T, Error>>>>);

impl<T> Answer<T> {
    fn is_wanted(&self) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    fn send(&self, result: Result<T, Error>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            drop(sender.send(result));
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What a `validate_doc_update` function judges: [`Validation`] for another thread.
#[derive(Clone, Debug)]
pub struct OwnedValidation {
    /// The document to be written.
    pub document: Bytes,
    /// The document it replaces; without one, the function gets `null`.
    pub old_document: Option<Bytes>,
    /// Who writes: CouchDB's `userCtx`.
    pub user: Bytes,
    /// The database's security object.
    pub security: Bytes,
}

impl OwnedValidation {
    fn borrowed(&self) -> Validation<'_> {
        Validation {
            document: &self.document,
            old_document: self.old_document.as_deref(),
            user: &self.user,
            security: &self.security,
        }
    }
}
