//! What a running operation writes down: states, events, resources.
//!
//! Every line goes into memory and to the store in one step, under the lock, so
//! that what was written last is what a new start finds. Nobody waits for the
//! disk here; the store keeps the order.

use std::sync::Arc;

use iotstack_local_kernel::{Batch, Cloud, CloudEvent, Commit, id};

use crate::Engine;
use crate::state::{
    self, Event, Resource, ResourceStatus, Stack, StackStatus, put_event, put_head, put_resource,
};

/// The book of one stack.
#[derive(Clone)]
pub struct Ledger {
    /// All stacks.
    pub engine: Arc<Engine>,
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// The stack's ARN.
    pub id: String,
}

impl Ledger {
    /// Looks at the stack; nothing if it is gone.
    pub fn look<T>(&self, look: impl FnOnce(&Stack) -> T) -> Option<T> {
        self.engine.read(|state| state.stacks.get(&self.id).map(look))
    }

    /// A resource as it stands.
    pub fn resource(&self, logical_id: &str) -> Option<Resource> {
        self.look(|stack| stack.resources.get(logical_id).cloned()).flatten()
    }

    /// Changes the stack.
    pub fn change(&self, change: impl FnOnce(&mut Stack, &mut Batch)) -> Commit {
        self.engine.change(&self.cloud, &self.id, change)
    }

    /// Writes the stack's new state, with its event.
    pub fn status(&self, status: StackStatus, reason: Option<String>) -> Commit {
        let (mut name, mut news) = (None, None);
        let now = self.cloud.clock.now();
        let commit = self.change(|stack, batch| {
            stack.head.status = status;
            stack.head.reason.clone_from(&reason);
            match status {
                StackStatus::UpdateInProgress | StackStatus::UpdateRollbackInProgress => {
                    stack.head.updated = Some(now);
                }
                StackStatus::DeleteInProgress => stack.head.deleted = Some(now),
                _ => {}
            }
            put_head(batch, stack);
            let event = Event {
                logical_id: stack.head.name.clone(),
                physical_id: Some(stack.head.id.clone()),
                kind: STACK_TYPE.to_owned(),
                status: status.as_str().to_owned(),
                reason,
                at: now,
                ..Event::default()
            };
            add_event(stack, batch, event);
            news = News::of(stack);
            name = Some(Arc::from(stack.head.name.as_str()));
        });
        if let Some(stack) = name {
            tracing::debug!(%stack, status = status.as_str(), "a stack has a new status");
            self.cloud.bus.tell(&CloudEvent::StackChanged { stack, status: status.as_str() });
        }
        self.publish(news);
        commit
    }

    /// Writes a resource's new state, with its event. The resource is made if the
    /// stack does not have it.
    pub fn record(
        &self,
        logical_id: &str,
        status: ResourceStatus,
        reason: Option<&str>,
        change: impl FnOnce(&mut Resource),
    ) {
        let at = self.cloud.clock.now();
        let mut news = None;
        let _ = self.change(|stack, batch| {
            let resource = stack.resources.entry(logical_id.to_owned()).or_insert_with(|| {
                Resource { logical_id: logical_id.to_owned(), ..Resource::empty(at) }
            });
            change(resource);
            resource.status = status;
            resource.reason = reason.map(str::to_owned);
            resource.at = at;
            let event = event_of(resource, status, reason);
            put_resource(batch, stack, logical_id);
            add_event(stack, batch, event);
            news = News::of(stack);
        });
        self.publish(news);
    }

    /// Writes an event about something that the stack has no record of any more.
    pub fn tell(&self, resource: &Resource, status: ResourceStatus, reason: Option<&str>) {
        let at = self.cloud.clock.now();
        let mut news = None;
        let _ = self.change(|stack, batch| {
            let event = Event { at, ..event_of(resource, status, reason) };
            add_event(stack, batch, event);
            news = News::of(stack);
        });
        self.publish(news);
    }

    /// Changes a resource without an event.
    pub fn amend(&self, logical_id: &str, change: impl FnOnce(&mut Resource)) {
        let _ = self.change(|stack, batch| {
            if let Some(resource) = stack.resources.get_mut(logical_id) {
                change(resource);
                put_resource(batch, stack, logical_id);
            }
        });
    }

    fn publish(&self, news: Option<News>) {
        let Some(News { topics, message }) = news else { return };
        let cloud = self.cloud.clone();
        tokio::spawn(async move {
            let Ok(port) = cloud.ports.topics() else { return };
            for topic in topics {
                let subject = Some("AWS CloudFormation Notification");
                if let Err(fault) = port.publish(&topic, &message, subject).await {
                    tracing::debug!(topic, %fault, "an event was not published");
                }
            }
        });
    }
}

/// An event for the topics that a stack tells.
struct News {
    topics: Vec<String>,
    message: String,
}

impl News {
    /// The last event, if anybody wants to hear of it.
    fn of(stack: &Stack) -> Option<Self> {
        let topics = &stack.definition.as_ref()?.notification_arns;
        if topics.is_empty() {
            return None;
        }
        let message = message(stack, stack.events.last()?);
        Some(News { topics: topics.clone(), message })
    }
}

/// Adds an event to a stack, in the name of its operation. Of a very long
/// history the oldest part is forgotten.
pub fn add_event(stack: &mut Stack, batch: &mut Batch, mut event: Event) {
    event.id = if event.kind == STACK_TYPE && event.physical_id.as_ref() == Some(&stack.head.id) {
        id::uuid()
    } else {
        format!("{}-{}-{}", event.logical_id, event.status, id::uuid())
    };
    event.number = stack.events.last().map_or(1, |last| last.number + 1);
    if let Some(operation) = &stack.head.operation {
        event.token.clone_from(&operation.token);
        event.operation = Some(operation.id.clone());
        event.operation_kind = Some(operation.kind.clone());
    }
    stack.events.push(event);
    put_event(batch, stack);
    if stack.events.len() > LONGEST_HISTORY {
        let old: Vec<Event> = stack.events.drain(..LONGEST_HISTORY / 4).collect();
        for event in old {
            state::remove_event(batch, stack, event.number);
        }
    }
}

fn event_of(resource: &Resource, status: ResourceStatus, reason: Option<&str>) -> Event {
    Event {
        logical_id: resource.logical_id.clone(),
        physical_id: resource.physical_id.clone(),
        kind: resource.kind.clone(),
        status: status.as_str().to_owned(),
        reason: reason.map(str::to_owned),
        at: resource.at,
        ..Event::default()
    }
}

/// An event as topics get it: a line for each fact.
fn message(stack: &Stack, event: &Event) -> String {
    let facts = [
        ("StackId", stack.head.id.as_str()),
        ("Timestamp", &event.at.iso8601()),
        ("EventId", &event.id),
        ("LogicalResourceId", &event.logical_id),
        ("PhysicalResourceId", event.physical_id.as_deref().unwrap_or_default()),
        ("ResourceType", &event.kind),
        ("ResourceStatus", &event.status),
        ("ResourceStatusReason", event.reason.as_deref().unwrap_or_default()),
        ("StackName", &stack.head.name),
        ("ClientRequestToken", event.token.as_deref().unwrap_or("null")),
    ];
    facts.map(|(name, value)| format!("{name}='{value}'\n")).concat()
}

/// The type under which a stack tells about itself.
pub const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// How many events a stack keeps.
const LONGEST_HISTORY: usize = 20_000;
