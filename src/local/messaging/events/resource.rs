//! CloudFormation types of EventBridge.
//!
//! A rule comes with its targets. On a bus of its own its physical id names the bus too.

use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Fault, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};
use serde_json::{Map, Value, json};

use super::buses::{describe, statement};
use super::rule::Target;
use super::{DEFAULT, Events};

/// Registers the handlers.
pub(super) fn register(cloud: &Cloud, events: &Arc<Events>) {
    Immediate {
        service: events.clone(),
        type_name: "AWS::Events::EventBus",
        create: create_bus,
        update: update_bus,
        delete: |events, request| Ok(events.remove_bus(request.physical_id()?)?),
    }
    .register(cloud);
    Immediate {
        service: events.clone(),
        type_name: "AWS::Events::Rule",
        create: put_rule,
        update: put_rule,
        delete: |events, request| {
            let (bus, name) = split(request.physical_id()?);
            Ok(events.remove_rule(bus, name, true)?)
        },
    }
    .register(cloud);
    Immediate {
        service: events.clone(),
        type_name: "AWS::Events::EventBusPolicy",
        create: put_policy,
        update: put_policy,
        delete: |events, request| {
            let input = request.members()?;
            let bus = events.bus_of(loose::text(&input, "EventBusName")?.as_deref());
            let id = loose::required(&input, "StatementId")?;
            Ok(events.change_bus(&bus, |bus| {
                bus.policy.remove(&id);
                Ok(())
            })?)
        },
    }
    .register(cloud);
}

type Changed = Result<(ResourceState, Commit), ResourceFault>;

fn create_bus(events: &Events, request: &ResourceRequest) -> Changed {
    let mut input = request.members()?;
    input.insert("Tags".to_owned(), json!(request.tags()?));
    let name = loose::required(&input, "Name")?;
    let (_, commit) = events.make_bus(&input)?;
    let commit = set_policy(events, &name, &input)?.unwrap_or(commit);
    Ok((bus_state(events, &name), commit))
}

fn update_bus(events: &Events, request: &ResourceRequest) -> Changed {
    let (input, name) = (request.members()?, request.physical_id()?);
    let tags = request.tags()?;
    let commit = events.change_bus(name, |bus| {
        bus.tags = tags;
        describe(bus, &input)
    })?;
    let commit = set_policy(events, name, &input)?.unwrap_or(commit);
    Ok((bus_state(events, name), commit))
}

fn bus_state(events: &Events, name: &str) -> ResourceState {
    let mut state = ResourceState::new(name).with("Arn", events.bus_arn(name)).with("Name", name);
    let policy = events.state().buses.get(name).and_then(super::rule::Bus::document);
    if let Some(policy) = policy {
        state = state.with("Policy", policy);
    }
    state
}

/// The policy that a template writes into the bus itself.
fn set_policy(
    events: &Events,
    name: &str,
    input: &Map<String, Value>,
) -> Result<Option<Commit>, Fault> {
    let Some(policy) = input.get("Policy") else { return Ok(None) };
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Null => Vec::new(),
        single => vec![single.clone()],
    };
    events
        .change_bus(name, |bus| {
            for (place, statement) in statements.into_iter().enumerate() {
                let id = statement["Sid"].as_str().map_or(place.to_string(), str::to_owned);
                bus.policy.insert(id, statement);
            }
            Ok(())
        })
        .map(Some)
}

fn put_rule(events: &Events, request: &ResourceRequest) -> Changed {
    let mut input = request.members()?;
    let bus = events.bus_of(loose::text(&input, "EventBusName")?.as_deref());
    let name = match (&request.physical_id, loose::text(&input, "Name")?) {
        (Some(id), _) => split(id).1.to_owned(),
        (None, Some(name)) => {
            if events.state().rules.contains_key(&(bus.clone(), name.clone())) {
                let message = format!("rule `{name}` exists already on bus `{bus}`");
                return Err(ResourceFault::failed("AlreadyExists", message));
            }
            name
        }
        (None, None) => request.generated_name(64),
    };
    input.insert("Name".to_owned(), json!(name));
    let targets = Target::read_all(&loose::list(&input, "Targets")?)?;
    let tags = request.tags()?;
    let (arn, commit) = events.keep_rule(&input, bus.clone(), tags, Some(targets))?;
    // On a bus of its own a rule is known by both names.
    let id = if bus == DEFAULT { name } else { format!("{bus}|{name}") };
    Ok((ResourceState::new(id).with("Arn", arn), commit))
}

/// Bus and name of a rule's physical id.
fn split(id: &str) -> (&str, &str) {
    id.split_once('|').unwrap_or((DEFAULT, id))
}

fn put_policy(events: &Events, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let bus = events.bus_of(loose::text(&input, "EventBusName")?.as_deref());
    let id = loose::required(&input, "StatementId")?;
    let made = match input.get("Statement") {
        Some(Value::Object(members)) => {
            let mut statement = Value::Object(members.clone());
            statement["Sid"] = json!(id);
            statement
        }
        _ => statement(&input, &id, &events.bus_arn(&bus))?,
    };
    let commit = events.change_bus(&bus, |bus| {
        bus.policy.insert(id.clone(), made);
        Ok(())
    })?;
    Ok((ResourceState::new(format!("{bus}|{id}")), commit))
}
