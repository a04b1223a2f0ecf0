//! All stacks under one lock, and the operations that run on them.
//!
//! The lock is held for looking and for changing, never while anybody else is
//! asked for anything. The cloud is held weakly, as the cloud holds this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use iotstack_local_kernel::{Batch, Cloud, Commit, Fault, StoreError};
use tokio::sync::watch;

use crate::run;
use crate::state::{self, Stack, StackStatus, State};

/// CloudFormation's state, and who may give up what runs.
pub struct Engine {
    cloud: Weak<Cloud>,
    state: Mutex<State>,
    running: Mutex<HashMap<String, Weak<watch::Sender<Option<String>>>>>,
}

impl Engine {
    /// The state as it was stored.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn load(cloud: &Arc<Cloud>) -> Result<Arc<Self>, StoreError> {
        Ok(Arc::new(Engine {
            cloud: Arc::downgrade(cloud),
            state: Mutex::new(state::load(&cloud.store)?),
            running: Mutex::default(),
        }))
    }

    /// The cloud.
    ///
    /// # Errors
    /// A fault if it is being taken down.
    pub fn cloud(&self) -> Result<Arc<Cloud>, Fault> {
        Cloud::held(&self.cloud)
    }

    /// Looks at the stacks.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes one stack and hands what was written to the store.
    pub fn change(
        &self,
        cloud: &Cloud,
        id: &str,
        change: impl FnOnce(&mut Stack, &mut Batch),
    ) -> Commit {
        let mut state = self.lock();
        let mut batch = cloud.store.batch();
        if let Some(stack) = state.stacks.get_mut(id) {
            change(stack, &mut batch);
        }
        // Still under the lock, so that the store gets changes in their order.
        cloud.store.commit(batch)
    }

    /// Changes all stacks.
    pub fn change_all<T>(
        &self,
        cloud: &Cloud,
        change: impl FnOnce(&mut State, &mut Batch) -> T,
    ) -> (T, Commit) {
        let mut state = self.lock();
        let mut batch = cloud.store.batch();
        let outcome = change(&mut state, &mut batch);
        (outcome, cloud.store.commit(batch))
    }

    /// Remembers who can give up the operation on a stack.
    pub fn running(&self, id: &str, cancel: &Arc<watch::Sender<Option<String>>>) {
        self.runs().insert(id.to_owned(), Arc::downgrade(cancel));
    }

    /// Forgets who can.
    pub fn stopped(&self, id: &str) {
        self.runs().remove(id);
    }

    /// Gives up the operation on a stack, if one runs.
    pub fn give_up(&self, id: &str, why: &str) -> bool {
        let cancel = self.runs().get(id).and_then(Weak::upgrade);
        if let Some(cancel) = &cancel {
            run::give_up(cancel, why);
        }
        cancel.is_some()
    }

    /// Frees the name of a stack that is gone.
    pub fn free_name(&self, id: &str) {
        let mut state = self.lock();
        let Some(name) = state.stacks.get(id).map(|stack| stack.head.name.clone()) else { return };
        if state.names.get(&name).is_some_and(|owner| owner == id) {
            state.names.remove(&name);
        }
    }

    /// Forgets the stacks that were deleted longest ago, if there are many.
    pub fn forget_oldest(&self, cloud: &Cloud) {
        let _ = self.change_all(cloud, |state, batch| {
            let mut deleted: Vec<_> = state
                .stacks
                .values()
                .filter(|stack| stack.head.status == StackStatus::DeleteComplete)
                .map(|stack| (stack.head.deleted, stack.head.id.clone()))
                .collect();
            deleted.sort();
            let many = deleted.len().saturating_sub(MOST_DELETED);
            for (_, id) in deleted.into_iter().take(many) {
                if let Some(stack) = state.stacks.remove(&id) {
                    state::remove_stack(batch, &stack);
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Weak<watch::Sender<Option<String>>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many deleted stacks are remembered.
const MOST_DELETED: usize = 200;
