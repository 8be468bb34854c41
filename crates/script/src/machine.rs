//! A JavaScript runtime as a value: calls in, plain results out.

use std::time::{Duration, Instant};

use crate::compiled::Compiled;
use crate::sandbox::Sandbox;
use crate::{Error, Limits, LogLine, Program, SyncInput, SyncOutcome};

/// What a `validate_doc_update` function judges, each as JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Validation<'a> {
    /// The document to be written.
    pub document: &'a [u8],
    /// The document it replaces; without one, the function gets `null`.
    pub old_document: Option<&'a [u8]>,
    /// Who writes: CouchDB's `userCtx`.
    pub user: &'a [u8],
    /// The database's security object.
    pub security: &'a [u8],
}

/// What a validation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The function returned.
    Accepted,
    /// It threw `{forbidden: message}`.
    Forbidden(String),
    /// It threw `{unauthorized: message}`.
    Unauthorized(String),
}

/// What a map function emitted, each as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key; `null` for what JSON can't say.
    pub key: String,
    /// The value; `null` for what JSON can't say.
    pub value: String,
}

/// A JavaScript runtime and the programs compiled in it. It stays on its thread.
///
/// Each method runs under one deadline, its batch included, and compiles the program first if it isn't. An error is the
/// error of this call: the next one finds a clean runtime.
pub struct Machine {
    limits: Limits,
    /// `None` until it is needed, and after a function has broken its limits.
    sandbox: Option<Sandbox>,
    log: Vec<LogLine>,
}

impl Machine {
    /// A machine without a runtime; the first call makes it.
    pub fn new(limits: Limits) -> Self {
        Self { limits, sandbox: None, log: Vec::new() }
    }

    /// Compiles `program` and tells what is wrong with it.
    ///
    /// # Errors
    /// [`Error::Compile`], or another [`Error`] if what stands around the function fails.
    pub fn compile(&mut self, program: &Program) -> Result<(), Error> {
        self.run(program, |_| Ok(()))
    }

    /// Runs a `validate_doc_update` function: `function (newDoc, oldDoc, userCtx, secObj)`.
    ///
    /// # Errors
    /// [`Error`] when there is no verdict.
    pub fn validate(&mut self, program: &Program, input: &Validation<'_>) -> Result<Verdict, Error> {
        self.run(program, |compiled| compiled.validate(input))
    }

    /// Runs a filter, `function (doc, req)`, on each of `documents`: whether what it returned is truthy.
    ///
    /// All calls of a batch get the same `req`, as in CouchDB.
    ///
    /// # Errors
    /// [`Error`] when it fails for one of them.
    pub fn filter<D: AsRef<[u8]>>(
        &mut self,
        program: &Program,
        documents: &[D],
        request: &[u8],
    ) -> Result<Vec<bool>, Error> {
        self.run(program, |compiled| compiled.filter(documents, request))
    }

    /// Runs a map function, `function (doc)`, as a filter on each of `documents`: whether it emitted anything.
    ///
    /// # Errors
    /// [`Error`] when it fails for one of them.
    pub fn filter_by_view<D: AsRef<[u8]>>(&mut self, program: &Program, documents: &[D]) -> Result<Vec<bool>, Error> {
        self.run(program, |compiled| compiled.passes(documents))
    }

    /// Runs a map function, `function (doc)`: what it emitted, in order.
    ///
    /// # Errors
    /// [`Error`] when it fails.
    pub fn map(&mut self, program: &Program, document: &[u8]) -> Result<Vec<Row>, Error> {
        self.run(program, |compiled| compiled.map(document))
    }

    /// Runs a sync function: a program made by [`Program::sync`].
    ///
    /// What it logs is in the outcome; if there is none, where [`take_log`](Self::take_log) finds it.
    ///
    /// # Errors
    /// [`Error`] when there is no decision; with the place in the source where the function threw.
    pub fn sync(&mut self, program: &Program, input: &SyncInput) -> Result<SyncOutcome, Error> {
        let mut outcome = self.run(program, |compiled| compiled.sync(input))?;
        outcome.log = self.take_log();
        Ok(outcome)
    }

    /// Runs a sync function for one input after the other, at least for one, until `time` is over: what came of each.
    pub(crate) fn sync_some(
        &mut self,
        program: &Program,
        inputs: &[SyncInput],
        time: Duration,
    ) -> Vec<Result<SyncOutcome, Error>> {
        let (started, mut log) = (Instant::now(), Vec::new());
        let mut outcomes = Vec::with_capacity(inputs.len());
        for input in inputs {
            outcomes.push(self.sync(program, input));
            log.append(&mut self.log);
            if started.elapsed() >= time {
                break;
            }
        }
        self.log = log;
        outcomes
    }

    /// The lines logged in the last call, within the limits, if they weren't taken before.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    /// How many programs are compiled.
    pub fn programs(&self) -> usize {
        self.sandbox.as_ref().map_or(0, Sandbox::programs)
    }

    fn run<T>(&mut self, program: &Program, call: impl Fn(&Compiled) -> Result<T, Error>) -> Result<T, Error> {
        let is_fresh = self.programs() == 0;
        let result = self.run_once(program, &call);
        // Others may have taken the memory: functions have no effects, so it is tried again with all of it.
        if matches!(result, Err(Error::Memory)) && !is_fresh { self.run_once(program, &call) } else { result }
    }

    fn run_once<T>(&mut self, program: &Program, call: impl Fn(&Compiled) -> Result<T, Error>) -> Result<T, Error> {
        let mut sandbox = match self.sandbox.take() {
            Some(sandbox) => sandbox,
            None => Sandbox::new(self.limits)?,
        };
        let result = sandbox.call(program, call);
        self.log = sandbox.take_log();
        if !sandbox.is_spent(&result) {
            self.sandbox = Some(sandbox);
        }
        result
    }
}
