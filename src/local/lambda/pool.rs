//! The processes that wait for their next invocation, and how many may run.
//!
//! A process is reused only for the revision of the function that it was started
//! with, and only as long as its session keys hold. All processes together are
//! bounded: an idle one makes room for another function, and if none is idle,
//! the invocation waits for its turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use iotstack_local_kernel::{Fault, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::throttled;
use crate::process::Worker;

/// All processes.
pub(crate) struct Pool {
    state: Arc<Mutex<State>>,
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    idle: Vec<Leased>,
    running: BTreeMap<String, u32>,
    /// How many invocations wait for a place.
    waiting: u32,
}

/// A process with its place.
pub(crate) struct Leased {
    pub(crate) function: String,
    pub(crate) revision: String,
    /// Until when its keys hold.
    pub(crate) expires: Option<Timestamp>,
    pub(crate) worker: Worker,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

/// A running invocation; counts until it is dropped.
pub(crate) struct Running {
    state: Arc<Mutex<State>>,
    function: String,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Pool { state: Arc::default(), permits: Arc::new(Semaphore::new(MOST_PROCESSES)) }
    }

    /// Counts an invocation; refuses it beyond the function's reserved concurrency.
    pub(crate) fn enter(&self, function: &str, reserved: Option<u32>) -> Result<Running, Fault> {
        let mut state = lock(&self.state);
        let running = state.running.get(function).copied().unwrap_or(0);
        if reserved.is_some_and(|reserved| running >= reserved) {
            return Err(throttled(
                "ReservedFunctionConcurrentInvocationLimitExceeded",
                "Rate Exceeded.",
            ));
        }
        state.running.insert(function.to_owned(), running + 1);
        Ok(Running { state: self.state.clone(), function: function.to_owned() })
    }

    /// An idle process of this revision whose keys hold at `needed_until`.
    pub(crate) fn take(
        &self,
        function: &str,
        revision: &str,
        needed_until: Timestamp,
    ) -> Option<Leased> {
        let mut state = lock(&self.state);
        let is_fit = |idle: &Leased| idle.function == function && idle.revision == revision;
        let ends = |idle: &Leased| idle.expires.is_some_and(|expires| expires <= needed_until);
        let ended: Vec<Leased> =
            state.idle.extract_if(.., |idle| is_fit(idle) && ends(idle)).collect();
        let found = state.idle.iter().rposition(is_fit);
        let found = found.map(|place| state.idle.swap_remove(place));
        // Ended outside of the lock.
        drop(state);
        drop(ended);
        found
    }

    /// Waits until another process may start.
    pub(crate) async fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let oldest = {
            let mut state = lock(&self.state);
            state.waiting += 1;
            let oldest = (0..state.idle.len()).min_by_key(|place| state.idle[*place].since);
            oldest.map(|place| state.idle.swap_remove(place))
        };
        // Ended outside of the lock.
        drop(oldest);
        let waiting = Waiting(self.state.clone());
        let closed = |_| Fault::internal("the processes of functions are ended");
        let permit = self.permits.clone().acquire_owned().await.map_err(closed);
        drop(waiting);
        permit
    }

    /// Puts a process into its place.
    pub(crate) fn lease(
        function: String,
        revision: String,
        expires: Option<Timestamp>,
        worker: Worker,
        permit: OwnedSemaphorePermit,
    ) -> Leased {
        Leased { function, revision, expires, worker, since: Instant::now(), _permit: permit }
    }

    /// Keeps a process for its next invocation, unless somebody waits for its place.
    pub(crate) fn give_back(&self, mut leased: Leased) {
        leased.since = Instant::now();
        let mut state = lock(&self.state);
        if state.waiting == 0 {
            state.idle.push(leased);
        } else {
            // Ended outside of the lock.
            drop(state);
            drop(leased);
        }
    }

    /// Ends the idle processes of a function, except those of these revisions.
    pub(crate) fn retire(&self, function: &str, current: &[String]) {
        let ended: Vec<Leased> = lock(&self.state)
            .idle
            .extract_if(.., |idle| idle.function == function && !current.contains(&idle.revision))
            .collect();
        drop(ended);
    }

    /// Ends all idle processes.
    pub(crate) fn clear(&self) {
        let ended = std::mem::take(&mut lock(&self.state).idle);
        drop(ended);
    }

    /// Ends processes that were idle for long.
    pub(crate) fn reap(&self) {
        let ended: Vec<Leased> = lock(&self.state)
            .idle
            .extract_if(.., |idle| idle.since.elapsed() > LONGEST_IDLE)
            .collect();
        drop(ended);
    }

    /// How many invocations of a function run now.
    pub(crate) fn running(&self, function: &str) -> u32 {
        lock(&self.state).running.get(function).copied().unwrap_or(0)
    }
}

/// Somebody who waits for a place; counts until it is dropped.
struct Waiting(Arc<Mutex<State>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.0).waiting -= 1;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if let Some(running) = state.running.get_mut(&self.function) {
            *running -= 1;
            if *running == 0 {
                state.running.remove(&self.function);
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// More processes than this do not help a single machine.
const MOST_PROCESSES: usize = 64;

const LONGEST_IDLE: Duration = Duration::from_secs(300);
