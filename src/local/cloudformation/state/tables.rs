//! Stacks as records of the store.
//!
//! Keys begin with the stack's id, and the store gives records in the order of
//! their keys, so events come back in their order.

use std::sync::Arc;

use iotstack_local_kernel::{Batch, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::{ChangeSet, Definition, Event, Head, Resource, Stable, Stack, State};

/// Reads all stacks.
///
/// # Errors
/// What the store says about a record that cannot be read.
pub fn load(store: &Store) -> Result<State, StoreError> {
    let mut state = State::default();
    for (id, head) in store.load::<Head>(HEADS)? {
        if head.status != super::StackStatus::DeleteComplete {
            state.names.insert(head.name.clone(), id.clone());
        }
        state.stacks.insert(id, Stack::new(head));
    }
    for (id, bodies) in store.load::<Bodies>(BODIES)? {
        if let Some(stack) = state.stacks.get_mut(&id) {
            stack.definition = bodies.definition.map(Arc::new);
            stack.stable = bodies.stable.map(Arc::new);
        }
    }
    for (key, resource) in store.load::<Resource>(RESOURCES)? {
        if let Some(stack) = state.stacks.get_mut(owner(&key)) {
            stack.resources.insert(resource.logical_id.clone(), resource);
        }
    }
    for (key, event) in store.load::<Event>(EVENTS)? {
        if let Some(stack) = state.stacks.get_mut(owner(&key)) {
            stack.events.push(event);
        }
    }
    for (key, set) in store.load::<ChangeSet>(CHANGE_SETS)? {
        if let Some(stack) = state.stacks.get_mut(owner(&key)) {
            stack.change_sets.push(set);
        }
    }
    for stack in state.stacks.values_mut() {
        stack.change_sets.sort_by_key(|set| set.created);
    }
    Ok(state)
}

/// Writes a stack's own facts.
pub fn put_head(batch: &mut Batch, stack: &Stack) {
    batch.put(HEADS, &stack.head.id, &stack.head);
}

/// Writes what a stack is made from.
pub fn put_definition(batch: &mut Batch, stack: &Stack) {
    put_head(batch, stack);
    let bodies =
        BodiesRef { definition: stack.definition.as_deref(), stable: stack.stable.as_deref() };
    batch.put(BODIES, &stack.head.id, &bodies);
}

/// Writes a resource, or removes one that the stack does not have.
pub fn put_resource(batch: &mut Batch, stack: &Stack, logical_id: &str) {
    let key = key(stack, logical_id);
    match stack.resources.get(logical_id) {
        Some(resource) => batch.put(RESOURCES, key, resource),
        None => batch.remove(RESOURCES, key),
    }
}

/// Writes the last event.
pub fn put_event(batch: &mut Batch, stack: &Stack) {
    if let Some(event) = stack.events.last() {
        batch.put(EVENTS, key(stack, &format!("{:010}", event.number)), event);
    }
}

/// Removes an event.
pub fn remove_event(batch: &mut Batch, stack: &Stack, number: u64) {
    batch.remove(EVENTS, key(stack, &format!("{number:010}")));
}

/// Writes a change set, or removes one that the stack does not have.
pub fn put_change_set(batch: &mut Batch, stack: &Stack, id: &str) {
    let key = key(stack, id);
    match stack.change_sets.iter().find(|set| set.id == id) {
        Some(set) => batch.put(CHANGE_SETS, key, set),
        None => batch.remove(CHANGE_SETS, key),
    }
}

/// Removes everything of a stack that never came to be.
pub fn remove_stack(batch: &mut Batch, stack: &Stack) {
    batch.remove(HEADS, &stack.head.id);
    batch.remove(BODIES, &stack.head.id);
    for id in stack.resources.keys() {
        batch.remove(RESOURCES, key(stack, id));
    }
    for event in &stack.events {
        remove_event(batch, stack, event.number);
    }
    for set in &stack.change_sets {
        batch.remove(CHANGE_SETS, key(stack, &set.id));
    }
}

#[derive(Deserialize)]
struct Bodies {
    definition: Option<Definition>,
    stable: Option<Stable>,
}

#[derive(Serialize)]
struct BodiesRef<'a> {
    definition: Option<&'a Definition>,
    stable: Option<&'a Stable>,
}

fn key(stack: &Stack, rest: &str) -> String {
    format!("{}{BETWEEN}{rest}", stack.head.id)
}

fn owner(key: &str) -> &str {
    key.split_once(BETWEEN).map_or(key, |(id, _)| id)
}

/// Occurs in no ARN.
const BETWEEN: char = '\u{1}';
const HEADS: &str = "cloudformation_stacks";
const BODIES: &str = "cloudformation_definitions";
const RESOURCES: &str = "cloudformation_resources";
const EVENTS: &str = "cloudformation_events";
const CHANGE_SETS: &str = "cloudformation_change_sets";
