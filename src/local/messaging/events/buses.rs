//! The operations on event buses and their policies.
//!
//! The default bus is always there. Policies are kept for those who read them: every
//! caller here belongs to the account itself.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose, page};
use serde_json::{Map, Value, json};

use super::operations::limit;
use super::rule::Bus;
use super::{BUSES, Events, invalid, no_bus};

impl Events {
    pub(super) fn create_bus(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let (arn, commit) = self.make_bus(&call.input)?;
        let mut shown = settings(&call.input);
        shown.insert("EventBusArn".to_owned(), json!(arn));
        Ok((Value::Object(shown).into(), commit))
    }

    /// Makes a bus; gives its ARN.
    pub(super) fn make_bus(&self, input: &Map<String, Value>) -> Result<(String, Commit), Fault> {
        let name = loose::required(input, "Name")?;
        let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if name.len() > 256 || !name.chars().all(is_fit) {
            return Err(invalid(format!(
                "bus name `{name}` must be up to 256 letters, digits and `._-`"
            )));
        }
        // There are no partners here, who alone bring sources of events.
        if let Some(source) = loose::text(input, "EventSourceName")? {
            let message = format!("Event source {source} does not exist.");
            return Err(Fault::new("ResourceNotFoundException", 400, message));
        }
        if name.contains('/') {
            return Err(invalid("Event bus name must not contain '/'."));
        }
        let now = self.clock.now();
        let mut bus = Bus::new(&name, now);
        describe(&mut bus, input)?;
        bus.tags = loose::pairs(input, "Tags", ("Key", "Value"))?.into_iter().collect();
        let mut state = self.state();
        if state.buses.contains_key(&name) {
            let message = format!("Event bus {name} already exists.");
            return Err(Fault::new("ResourceAlreadyExistsException", 400, message));
        }
        let mut batch = self.store.batch();
        batch.put(BUSES, name.as_str(), &bus);
        state.buses.insert(name.clone(), bus);
        Ok((self.bus_arn(&name), self.store.commit(batch)))
    }

    pub(super) fn update_bus(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = self.bus_of(loose::text(&call.input, "Name")?.as_deref());
        let commit = self.change_bus(&name, |bus| describe(bus, &call.input))?;
        let mut shown = settings(&call.input);
        shown.insert("Name".to_owned(), json!(name));
        shown.insert("Arn".to_owned(), json!(self.bus_arn(&name)));
        Ok((Value::Object(shown).into(), commit))
    }

    /// Changes a bus and stores it.
    pub(super) fn change_bus(
        &self,
        name: &str,
        change: impl FnOnce(&mut Bus) -> Result<(), Fault>,
    ) -> Result<Commit, Fault> {
        let mut state = self.state();
        let bus = state.buses.get_mut(name).ok_or_else(|| no_bus(name))?;
        change(bus)?;
        bus.modified = self.clock.now();
        let mut batch = self.store.batch();
        batch.put(BUSES, name, &*bus);
        Ok(self.store.commit(batch))
    }

    pub(super) fn delete_bus(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = self.bus_of(Some(&loose::required(&call.input, "Name")?));
        Ok((Reply::empty(), self.remove_bus(&name)?))
    }

    /// Removes a bus that has no rules; one that is not there is no error.
    pub(super) fn remove_bus(&self, name: &str) -> Result<Commit, Fault> {
        if Self::is_default(name) {
            return Err(invalid(format!("Cannot delete event bus {name}.")));
        }
        let mut state = self.state();
        if let Some((_, rule)) = state.rules.keys().find(|(bus, _)| bus == name) {
            return Err(invalid(format!(
                "event bus {name} has rules, such as {rule}; delete them first"
            )));
        }
        let mut batch = self.store.batch();
        if state.buses.remove(name).is_some() {
            batch.remove(BUSES, name);
        }
        Ok(self.store.commit(batch))
    }

    pub(super) fn describe_bus(&self, call: Call) -> Result<Reply, Fault> {
        let name = self.bus_of(loose::text(&call.input, "Name")?.as_deref());
        let state = self.state();
        let bus = state.buses.get(&name).ok_or_else(|| no_bus(&name))?;
        let mut shown = self.shown_bus(bus);
        if let Some(key) = &bus.kms_key {
            shown["KmsKeyIdentifier"] = json!(key);
        }
        if let Some(queue) = &bus.dead_letter {
            shown["DeadLetterConfig"] = json!({"Arn": queue});
        }
        Ok(shown.into())
    }

    /// As lists show it, without what only its description tells.
    fn shown_bus(&self, bus: &Bus) -> Value {
        let mut shown = json!({
            "Name": bus.name,
            "Arn": self.bus_arn(&bus.name),
            "CreationTime": bus.created.fractional_seconds(),
            "LastModifiedTime": bus.modified.fractional_seconds(),
        });
        for (member, value) in
            [("Description", bus.description.clone()), ("Policy", bus.document())]
        {
            if let Some(value) = value {
                shown[member] = json!(value);
            }
        }
        shown
    }

    pub(super) fn list_buses(&self, call: Call) -> Result<Reply, Fault> {
        let prefix = loose::text(&call.input, "NamePrefix")?.unwrap_or_default();
        let token = loose::text(&call.input, "NextToken")?;
        let state = self.state();
        let fitting = state.buses.values().filter(|bus| bus.name.starts_with(&prefix));
        let (found, next) =
            page::page(fitting, |bus| bus.name.clone(), token.as_deref(), limit(&call)?)?;
        let shown: Vec<Value> = found.into_iter().map(|bus| self.shown_bus(bus)).collect();
        Ok(json!({"EventBuses": shown, "NextToken": next}).into())
    }

    pub(super) fn put_permission(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let bus = self.bus_of(loose::text(&call.input, "EventBusName")?.as_deref());
        if let Some(policy) = loose::text(&call.input, "Policy")? {
            let policy: Value = serde_json::from_str(&policy)
                .map_err(|error| invalid(format!("Policy is not JSON: {error}")))?;
            let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
            let commit = self.change_bus(&bus, |bus| {
                bus.policy = statements
                    .into_iter()
                    .enumerate()
                    .map(|(place, statement)| {
                        let id = statement["Sid"].as_str().map_or(place.to_string(), str::to_owned);
                        (id, statement)
                    })
                    .collect();
                Ok(())
            })?;
            return Ok((Reply::empty(), commit));
        }
        let id = loose::required(&call.input, "StatementId")?;
        let statement = statement(&call.input, &id, &self.bus_arn(&bus))?;
        if !self.state().buses.contains_key(&bus) {
            return Err(no_bus(&bus));
        }
        if statement["Action"] != "events:PutEvents" {
            return Err(invalid("Provided value in parameter 'action' is not supported."));
        }
        let commit = self.change_bus(&bus, |bus| {
            bus.policy.insert(id, statement);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn remove_permission(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let bus = self.bus_of(loose::text(&call.input, "EventBusName")?.as_deref());
        let all = loose::flag(&call.input, "RemoveAllPermissions")?.unwrap_or(false);
        let id = loose::text(&call.input, "StatementId")?.unwrap_or_default();
        let commit = self.change_bus(&bus, |bus| {
            let missing =
                |message: &str| Err(Fault::new("ResourceNotFoundException", 400, message));
            if all {
                bus.policy.clear();
            } else if bus.policy.is_empty() {
                return missing("EventBus does not have a policy.");
            } else if bus.policy.remove(&id).is_none() {
                return missing("Statement with the provided id does not exist.");
            }
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }
}

/// What a request says about a bus, as its answer repeats it.
fn settings(input: &Map<String, Value>) -> Map<String, Value> {
    let members = ["Description", "KmsKeyIdentifier", "DeadLetterConfig"];
    let given = input.iter().filter(|(name, _)| members.contains(&name.as_str()));
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Takes over what a request says about a bus.
pub(super) fn describe(bus: &mut Bus, input: &Map<String, Value>) -> Result<(), Fault> {
    bus.description = loose::text(input, "Description")?;
    bus.kms_key = loose::text(input, "KmsKeyIdentifier")?;
    bus.dead_letter = loose::text(&loose::object(input, "DeadLetterConfig")?, "Arn")?;
    Ok(())
}

/// A statement from its parts.
pub(super) fn statement(input: &Map<String, Value>, id: &str, bus: &str) -> Result<Value, Fault> {
    let principal = loose::required(input, "Principal")?;
    let principal = match principal.as_str() {
        "*" => json!("*"),
        account => json!({"AWS": format!("arn:aws:iam::{account}:root")}),
    };
    let mut statement = json!({
        "Sid": id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": loose::required(input, "Action")?,
        "Resource": bus,
    });
    let condition = loose::object(input, "Condition")?;
    if !condition.is_empty() {
        let (kind, key) =
            (loose::required(&condition, "Type")?, loose::required(&condition, "Key")?);
        let mut keys = Map::new();
        keys.insert(key, json!(loose::required(&condition, "Value")?));
        let mut kinds = Map::new();
        kinds.insert(kind, Value::Object(keys));
        statement["Condition"] = Value::Object(kinds);
    }
    Ok(statement)
}
