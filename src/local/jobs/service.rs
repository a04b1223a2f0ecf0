//! The engine, and how everybody takes a turn at it.
//!
//! A turn locks the engine, runs one input with the time, hands the changed records
//! to the store, and puts what the world must be told into the outbox, all under the
//! lock, so that records and messages keep the order of the inputs. The outbox waits
//! for the store; whoever wants an answer waits for the outbox.
//!
//! A turn needs a place in the outbox first. A device that finds none is told to slow
//! down, everybody else waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use iotstack_jobs::{Effect, Engine, Error, Limits, Scope, Time};
use iotstack_local_kernel::{Account, Clock, Cloud, CloudEvent, Fault, Store, StoreError};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock::timestamp;
use crate::outbox::{Out, Outgoing};

/// The Jobs service of the account.
pub(crate) struct Jobs {
    // The cloud owns the service; a strong reference back would keep both for ever.
    cloud: Weak<Cloud>,
    pub(crate) account: Account,
    pub(crate) clock: Clock,
    store: Store,
    state: Mutex<State>,
    outbox: mpsc::Sender<Outgoing>,
    /// Wakes the task that drives the clock.
    pub(crate) woken: Arc<Notify>,
    /// Things whose groups have changed; true for a thing that was deleted.
    pub(crate) moved: Mutex<BTreeMap<Arc<str>, bool>>,
    /// Executions that entered a state since metrics were taken, by job.
    pub(crate) entered: Mutex<BTreeMap<Arc<str>, [u32; 8]>>,
}

struct State {
    engine: Engine,
    /// The time of the last turn; time never goes back.
    last: Time,
    /// When the clock task believes that something is due.
    planned: Option<Time>,
}

/// One turn at the engine.
pub(crate) struct Turn<'a> {
    pub engine: &'a mut Engine,
    pub now: Time,
    pub effects: Vec<Effect>,
    /// What is sent before the consequences: the answer.
    pub answers: Vec<Out>,
    /// Jobs that have changed without an effect that says so.
    pub changed: BTreeSet<Arc<str>>,
}

impl Jobs {
    /// The service with the jobs that were stored, and the end of its outbox.
    pub(crate) fn restore(
        cloud: &Arc<Cloud>,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Outgoing>), StoreError> {
        let scope = Scope {
            partition: cloud.account.partition().to_owned(),
            region: cloud.account.region.clone(),
            account: cloud.account.id.clone(),
        };
        let records: Vec<(String, Box<RawValue>)> = cloud.store.load(TABLE)?;
        let records = records.iter().map(|(key, value)| (key.as_str(), value.get()));
        let engine = Engine::restore(scope, Limits::default(), records);
        let mut engine = engine.map_err(|error| StoreError::Read {
            table: TABLE.to_owned(),
            key: String::new(),
            reason: error.to_string(),
        })?;
        if cloud.store.folder().is_some() {
            engine.start_recording();
        }
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let jobs = Jobs {
            cloud: Arc::downgrade(cloud),
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            store: cloud.store.clone(),
            state: Mutex::new(State { engine, last: Time(0), planned: None }),
            outbox,
            woken: Arc::new(Notify::new()),
            moved: Mutex::default(),
            entered: Mutex::default(),
        };
        Ok((Arc::new(jobs), outgoing))
    }

    pub(crate) fn cloud(&self) -> Result<Arc<Cloud>, Fault> {
        Cloud::held(&self.cloud)
    }

    /// Takes a turn and waits until its change is stored and its messages are sent.
    pub(crate) async fn act<T>(
        &self,
        run: impl FnOnce(&mut Turn<'_>) -> Result<T, Error> + Send,
    ) -> Result<T, Refusal> {
        let place = self.outbox.reserve().await.map_err(|_| Refusal::Ended)?;
        let (done, wait) = oneshot::channel();
        let answer = self.turn(None, run, |outgoing| {
            place.send(Outgoing { done: Some(done), ..outgoing });
        });
        // What fell due before a refused request is nobody's answer.
        let answer = answer.map_err(Refusal::Engine)?;
        match wait.await {
            Ok(Ok(())) => Ok(answer),
            Ok(Err(error)) => Err(Refusal::Store(error)),
            Err(_) => Err(Refusal::Ended),
        }
    }

    /// Takes a turn at once and waits for nothing; false if the outbox is full.
    pub(crate) fn act_now(&self, run: impl FnOnce(&mut Turn<'_>)) -> bool {
        let Ok(place) = self.outbox.try_reserve() else { return false };
        let run = |turn: &mut Turn<'_>| {
            run(turn);
            Ok(())
        };
        let Ok(()) = self.turn(None, run, |outgoing| place.send(outgoing)) else { return true };
        true
    }

    /// Lets the engine do what is due at `at`, if that is not over yet.
    pub(crate) async fn advance(&self, at: Time) -> Result<(), Refusal> {
        let place = self.outbox.reserve().await.map_err(|_| Refusal::Ended)?;
        let run = |turn: &mut Turn<'_>| {
            turn.engine.advance(turn.now, &mut turn.effects);
            Ok(())
        };
        self.turn(Some(at), run, |outgoing| place.send(outgoing)).map_err(Refusal::Engine)
    }

    /// Reads.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Engine, Time) -> Result<T, Error>,
    ) -> Result<T, Refusal> {
        let state = self.lock();
        let now = self.now().max(state.last);
        read(&state.engine, now).map_err(Refusal::Engine)
    }

    /// When something is due, and the time of the last turn.
    pub(crate) fn plan(&self) -> (Option<Time>, Time) {
        let mut state = self.lock();
        state.planned = state.engine.next_wakeup();
        (state.planned, state.last)
    }

    pub(crate) fn now(&self) -> Time {
        Time(u64::try_from(self.clock.now().0).unwrap_or(0))
    }

    fn turn<T>(
        &self,
        at: Option<Time>,
        run: impl FnOnce(&mut Turn<'_>) -> Result<T, Error>,
        send: impl FnOnce(Outgoing),
    ) -> Result<T, Error> {
        let mut state = self.lock();
        let now = at.unwrap_or_else(|| self.now()).max(state.last);
        state.last = now;
        let mut turn = Turn {
            engine: &mut state.engine,
            now,
            effects: Vec::new(),
            answers: Vec::new(),
            changed: BTreeSet::new(),
        };
        let answer = run(&mut turn);
        let Turn { effects, answers: mut outs, changed, .. } = turn;
        for job in changed {
            if let Ok(view) = state.engine.job(&job, now) {
                let (at, status) = (timestamp(now), view.status.as_str());
                outs.push(Out::Bus(CloudEvent::JobChanged { job_id: job, status, at }));
            }
        }
        for effect in effects {
            outs.extend(Out::of(effect, &state.engine, now));
        }
        let mut batch = self.store.batch();
        for change in state.engine.changes() {
            match change.value.map(RawValue::from_string) {
                Some(Ok(value)) => batch.put(TABLE, change.key, &value),
                Some(Err(error)) => tracing::error!(%error, "a record of a job is no JSON"),
                None => batch.remove(TABLE, change.key),
            }
        }
        let commit = self.store.commit(batch);
        if state.engine.next_wakeup() != state.planned {
            self.woken.notify_one();
        }
        send(Outgoing { commit, outs, done: None });
        answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        // The task of the clock finds out that there is nothing left to drive.
        self.woken.notify_one();
    }
}

/// Why a turn was of no use.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The rules of the service say no.
    Engine(Error),
    /// The change could not be stored.
    Store(StoreError),
    /// The cloud is ending.
    Ended,
}

const TABLE: &str = "jobs";
/// How many turns may wait for the store or for the broker.
const OUTBOX: usize = 4096;
