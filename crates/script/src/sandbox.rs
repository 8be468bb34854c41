//! One JavaScript runtime: its memory, its deadline, what it logs and the programs compiled in it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use rquickjs::Runtime;

use crate::cache::Cache;
use crate::compiled::Compiled;
use crate::log::Log;
use crate::{Error, Limits, LogLine, Program};

/// A runtime that is thrown away once a function has broken its limits.
pub(crate) struct Sandbox {
    programs: Cache<Rc<Compiled>>,
    deadline: Rc<Deadline>,
    log: Rc<Log>,
    runtime: Runtime,
    limits: Limits,
}

/// When the call that is running must have ended.
#[derive(Default)]
struct Deadline {
    at: Cell<Option<Instant>>,
    /// Whether a function was stopped.
    is_missed: Cell<bool>,
}

impl Deadline {
    fn is_over(&self) -> bool {
        let is_over = self.at.get().is_some_and(|at| Instant::now() >= at);
        if is_over {
            self.is_missed.set(true);
        }
        is_over
    }
}

impl Sandbox {
    pub(crate) fn new(limits: Limits) -> Result<Self, Error> {
        let runtime = Runtime::new().map_err(|fault| Error::Internal(fault.to_string()))?;
        runtime.set_memory_limit(limits.memory_bytes_max);
        runtime.set_max_stack_size(limits.stack_bytes_max);
        let deadline = Rc::new(Deadline::default());
        let watched = Rc::clone(&deadline);
        runtime.set_interrupt_handler(Some(Box::new(move || watched.is_over())));
        let log = Rc::new(Log::new(limits));
        Ok(Self { programs: Cache::new(limits.programs_max), deadline, log, runtime, limits })
    }

    /// Calls `program`, which is compiled first if need be, under one deadline.
    pub(crate) fn call<T>(
        &mut self,
        program: &Program,
        call: impl FnOnce(&Compiled) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.deadline.at.set(Instant::now().checked_add(self.limits.time_max));
        let result = self.compiled(program).and_then(|compiled| call(&compiled));
        self.finish_jobs();
        match result {
            Err(_) if self.deadline.is_missed.get() => Err(Error::Timeout),
            result => result,
        }
    }

    /// Whether a function has broken its limits, so that nothing in here can be relied upon.
    pub(crate) fn is_spent<T>(&self, result: &Result<T, Error>) -> bool {
        self.deadline.is_missed.get() || matches!(result, Err(Error::Memory | Error::Internal(_)))
    }

    pub(crate) fn programs(&self) -> usize {
        self.programs.len()
    }

    pub(crate) fn take_log(&self) -> Vec<LogLine> {
        self.log.take()
    }

    fn compiled(&mut self, program: &Program) -> Result<Rc<Compiled>, Error> {
        if let Some(compiled) = self.programs.get(program.key()) {
            return Ok(Rc::clone(compiled));
        }
        let compiled = Rc::new(Compiled::new(&self.runtime, program, &self.limits, &self.log)?);
        self.programs.insert(program.key(), Rc::clone(&compiled));
        Ok(compiled)
    }

    /// Runs what promises left behind, for nothing may run in the time of the next call. Nobody sees the outcome.
    fn finish_jobs(&self) {
        while self.runtime.is_job_pending() && !self.deadline.is_over() {
            drop(self.runtime.execute_pending_job());
        }
    }
}
