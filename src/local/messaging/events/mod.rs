//! EventBridge: buses, rules and their targets.
//!
//! Events are matched when they are put and brought to their targets at once; nothing is
//! kept of them. Schedules are looked at every full minute of the cloud's clock.

mod buses;
mod delivery;
mod operations;
mod resource;
mod rule;
mod schedule;
#[cfg(test)]
mod tests;
mod transform;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use iotstack_local_kernel::ports::{BusEvent, EventBuses};
use iotstack_local_kernel::{
    Account, BoxFuture, Clock, Cloud, Fault, Operation, Operations, Protocol, Service, Store,
    StoreError, Timestamp,
};

use serde_json::{Map, Value};

use crate::queues::Queues;
use crate::topics::Topics;
use delivery::Event;
use rule::{Bus, Rule};

/// The service.
pub(crate) struct Events {
    cloud: Weak<Cloud>,
    account: Account,
    clock: Clock,
    store: Store,
    queues: Arc<Queues>,
    topics: Arc<Topics>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buses: BTreeMap<String, Bus>,
    /// By bus and name.
    rules: BTreeMap<(String, String), Rule>,
}

/// Restores buses and rules, registers the service, and begins to keep schedules.
pub(crate) fn install(
    cloud: &Arc<Cloud>,
    queues: &Arc<Queues>,
    topics: &Arc<Topics>,
) -> Result<(), StoreError> {
    let mut buses: BTreeMap<String, Bus> = cloud.store.load(BUSES)?.into_iter().collect();
    buses.entry(DEFAULT.to_owned()).or_insert_with(|| Bus::new(DEFAULT, cloud.clock.now()));
    let rules = cloud.store.load::<Rule>(RULES)?;
    let rules = rules
        .into_iter()
        .map(|(_, rule)| ((rule.bus.clone(), rule.name.clone()), rule.restored()))
        .collect();
    let events = Arc::new(Events {
        cloud: Arc::downgrade(cloud),
        account: cloud.account.clone(),
        clock: cloud.clock.clone(),
        store: cloud.store.clone(),
        queues: queues.clone(),
        topics: topics.clone(),
        state: Mutex::new(State { buses, rules }),
    });
    cloud.services.add(events.clone());
    cloud.ports.serve_event_buses(Arc::new(Port(events.clone())));
    resource::register(cloud, &events);
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(keep_schedules(Arc::downgrade(&events), cloud.clock.clone()));
    }
    Ok(())
}

/// Fires the rules whose time has come, every full minute.
async fn keep_schedules(events: Weak<Events>, clock: Clock) {
    let mut last = clock.now();
    loop {
        let next = Timestamp(last.0.div_euclid(MINUTE) * MINUTE + MINUTE);
        clock.sleep_until(next).await;
        let Some(events) = events.upgrade() else { return };
        // A clock that jumped over a schedule several times fires it once.
        let now = clock.now();
        events.fire(last, now).await;
        last = now;
    }
}

impl Events {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn bus_arn(&self, name: &str) -> String {
        self.account.arn("events", format_args!("event-bus/{name}"))
    }

    fn rule_arn(&self, bus: &str, name: &str) -> String {
        if bus == DEFAULT {
            return self.account.arn("events", format_args!("rule/{name}"));
        }
        self.account.arn("events", format_args!("rule/{bus}/{name}"))
    }

    /// The bus that a text names, by its name or its ARN.
    fn bus_of(&self, text: Option<&str>) -> String {
        let text = text.filter(|text| !text.is_empty()).unwrap_or(DEFAULT);
        text.rsplit_once("event-bus/").map_or(text, |(_, name)| name).to_owned()
    }
}

/// The port. It holds the service, whose deliveries are tasks of their own.
struct Port(Arc<Events>);

impl EventBuses for Port {
    fn put<'a>(&'a self, bus: &'a str, event: BusEvent) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            let bus = self.0.bus_of(Some(bus));
            if !self.0.state().buses.contains_key(&bus) {
                return Err(no_bus(&bus));
            }
            let event = Event::new(&self.0.account, self.0.clock.now(), event);
            let id = event.id().to_owned();
            self.0.clone().publish(&bus, event, 0).await;
            Ok(id)
        })
    }
}

impl Service for Events {
    fn scopes(&self) -> &'static [&'static str] {
        &["events"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::AwsJson { version: "1.1", target: "AWSEvents" }]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_stored("CreateEventBus", Self::create_bus)
            .named_stored("UpdateEventBus", Self::update_bus)
            .named_stored("DeleteEventBus", Self::delete_bus)
            .named("DescribeEventBus", Self::describe_bus)
            .named("ListEventBuses", Self::list_buses)
            .named_stored("PutPermission", Self::put_permission)
            .named_stored("RemovePermission", Self::remove_permission)
            .named_stored("PutRule", Self::put_rule)
            .named_stored("DeleteRule", Self::delete_rule)
            .named("DescribeRule", Self::describe_rule)
            .named("ListRules", Self::list_rules)
            .named_stored("EnableRule", Self::enable_rule)
            .named_stored("DisableRule", Self::enable_rule)
            .named_stored("PutTargets", Self::put_targets)
            .named_stored("RemoveTargets", Self::remove_targets)
            .named("ListTargetsByRule", Self::list_targets)
            .named("ListRuleNamesByTarget", Self::list_rules_of_target)
            .named_async("PutEvents", Self::put_events)
            .named("TestEventPattern", Self::test_pattern)
            .named_stored("TagResource", Self::tag)
            .named_stored("UntagResource", Self::untag)
            .named("ListTagsForResource", Self::list_tags)
            .list()
    }

    fn invalid_input(&self) -> &'static str {
        "ValidationException"
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("CreateArchive", "events are not kept; subscribe a queue or a log group"),
            ("StartReplay", "events are not kept"),
            ("CreateApiDestination", "nothing outside of this machine is called"),
            ("CreateConnection", "nothing outside of this machine is called"),
            ("CreateEndpoint", "there is only one region here"),
            ("PutPartnerEvents", "there are no partners here"),
        ]
    }
}

/// A time of a request: seconds since 1970, or ISO 8601.
fn moment_of(input: &Map<String, Value>, member: &str) -> Result<Option<Timestamp>, Fault> {
    let refuse = |value: &Value| invalid(format!("{member} must be a time, not {value}"));
    match input.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value @ Value::Number(number)) => number
            .as_f64()
            .map(|seconds| Some(Timestamp((seconds * 1000.0) as i64)))
            .ok_or_else(|| refuse(value)),
        Some(value @ Value::String(text)) => {
            Timestamp::parse(text).map(Some).ok_or_else(|| refuse(value))
        }
        Some(other) => Err(refuse(other)),
    }
}

fn no_bus(name: &str) -> Fault {
    Fault::new("ResourceNotFoundException", 400, format!("Event bus {name} does not exist."))
}

fn no_rule(bus: &str, name: &str) -> Fault {
    let message = format!("Rule {name} does not exist on EventBus {bus}.");
    Fault::new("ResourceNotFoundException", 400, message)
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("ValidationException", 400, message)
}

const BUSES: &str = "event-buses";
const RULES: &str = "event-rules";

/// The bus that every account has.
const DEFAULT: &str = "default";

const MINUTE: i64 = 60_000;
