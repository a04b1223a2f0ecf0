//! The operations of EventBridge.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::ports::BusEvent;
use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose, page};
use serde_json::{Map, Value, json};

use super::delivery::Event;
use super::rule::{Bus, Rule, Target};
use super::{BUSES, Events, RULES, invalid, moment_of, no_bus, no_rule};
use crate::pattern::Pattern;

impl Events {
    pub(super) fn create_bus(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let (arn, commit) = self.make_bus(&call.input)?;
        Ok((json!({"EventBusArn": arn}).into(), commit))
    }

    /// Makes a bus; gives its ARN.
    pub(super) fn make_bus(&self, input: &Map<String, Value>) -> Result<(String, Commit), Fault> {
        let name = loose::required(input, "Name")?;
        let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if name.len() > 256 || !name.chars().all(is_fit) || Self::is_default(&name) {
            return Err(invalid(format!(
                "bus name `{name}` must be up to 256 letters, digits and `._-/` and not `default`"
            )));
        }
        if loose::text(input, "EventSourceName")?.is_some() {
            return Err(invalid("there are no partners here; leave EventSourceName out"));
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
        Ok((json!({"Name": name, "Arn": self.bus_arn(&name)}).into(), commit))
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
            return Err(invalid("the default event bus cannot be deleted"));
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
        Ok(self.shown_bus(bus).into())
    }

    fn shown_bus(&self, bus: &Bus) -> Value {
        let mut shown = json!({
            "Name": bus.name,
            "Arn": self.bus_arn(&bus.name),
            "CreationTime": bus.created.fractional_seconds(),
            "LastModifiedTime": bus.modified.fractional_seconds(),
        });
        for (member, value) in [
            ("Description", bus.description.clone()),
            ("KmsKeyIdentifier", bus.kms_key.clone()),
            ("Policy", bus.document()),
        ] {
            if let Some(value) = value {
                shown[member] = json!(value);
            }
        }
        if let Some(queue) = &bus.dead_letter {
            shown["DeadLetterConfig"] = json!({"Arn": queue});
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
            if all {
                bus.policy.clear();
            } else if bus.policy.remove(&id).is_none() {
                let message = format!("Statement with the provided id {id} does not exist.");
                return Err(Fault::new("ResourceNotFoundException", 400, message));
            }
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn put_rule(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let bus = self.bus_of(loose::text(&call.input, "EventBusName")?.as_deref());
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?;
        let (arn, commit) = self.keep_rule(&call.input, bus, tags.into_iter().collect(), None)?;
        Ok((json!({"RuleArn": arn}).into(), commit))
    }

    /// Makes or replaces a rule; with targets these are all that it has.
    pub(super) fn keep_rule(
        &self,
        input: &Map<String, Value>,
        bus: String,
        tags: BTreeMap<String, String>,
        targets: Option<Vec<Target>>,
    ) -> Result<(String, Commit), Fault> {
        let mut state = self.state();
        if !state.buses.contains_key(&bus) {
            return Err(no_bus(&bus));
        }
        let key = (bus.clone(), loose::required(input, "Name")?);
        let mut rule = Rule::read(input, bus, state.rules.get(&key), self.clock.now())?;
        if !state.rules.contains_key(&key) {
            rule.tags = tags;
            let count = state.rules.keys().filter(|(bus, _)| *bus == rule.bus).count();
            if count >= MOST_RULES {
                let message = format!("an event bus has at most {MOST_RULES} rules");
                return Err(Fault::new("LimitExceededException", 400, message));
            }
        }
        if let Some(targets) = targets {
            judge_count(targets.len())?;
            rule.targets = targets.into_iter().map(|target| (target.id.clone(), target)).collect();
        }
        let arn = self.rule_arn(&rule.bus, &rule.name);
        let mut batch = self.store.batch();
        batch.put(RULES, rule.key(), &rule);
        state.rules.insert(key, rule);
        Ok((arn, self.store.commit(batch)))
    }

    /// Changes a rule and stores it.
    fn change_rule<T>(
        &self,
        call: &Call,
        member: &str,
        change: impl FnOnce(&mut Rule) -> Result<T, Fault>,
    ) -> Result<(T, Commit), Fault> {
        let key = self.key(call, member)?;
        let mut state = self.state();
        let rule = state.rules.get_mut(&key).ok_or_else(|| no_rule(&key.0, &key.1))?;
        let outcome = change(rule)?;
        let mut batch = self.store.batch();
        batch.put(RULES, rule.key(), &*rule);
        Ok((outcome, self.store.commit(batch)))
    }

    fn key(&self, call: &Call, member: &str) -> Result<(String, String), Fault> {
        let bus = self.bus_of(loose::text(&call.input, "EventBusName")?.as_deref());
        Ok((bus, loose::required(&call.input, member)?))
    }

    pub(super) fn delete_rule(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let (bus, name) = self.key(&call, "Name")?;
        Ok((Reply::empty(), self.remove_rule(&bus, &name, false)?))
    }

    /// Removes a rule, with its targets if `with_targets`; one that is not there
    /// is no error.
    pub(super) fn remove_rule(
        &self,
        bus: &str,
        name: &str,
        with_targets: bool,
    ) -> Result<Commit, Fault> {
        let mut state = self.state();
        let key = (bus.to_owned(), name.to_owned());
        let mut batch = self.store.batch();
        if let Some(rule) = state.rules.get(&key) {
            if !rule.targets.is_empty() && !with_targets {
                return Err(invalid("Rule can't be deleted since it has targets."));
            }
            batch.remove(RULES, rule.key());
            state.rules.remove(&key);
        }
        Ok(self.store.commit(batch))
    }

    pub(super) fn describe_rule(&self, call: Call) -> Result<Reply, Fault> {
        let key = self.key(&call, "Name")?;
        let state = self.state();
        let rule = state.rules.get(&key).ok_or_else(|| no_rule(&key.0, &key.1))?;
        let mut shown = rule.shown(&self.rule_arn(&rule.bus, &rule.name));
        shown["CreatedBy"] = json!(self.account.id);
        Ok(shown.into())
    }

    pub(super) fn list_rules(&self, call: Call) -> Result<Reply, Fault> {
        let bus = self.bus_of(loose::text(&call.input, "EventBusName")?.as_deref());
        let prefix = loose::text(&call.input, "NamePrefix")?.unwrap_or_default();
        let token = loose::text(&call.input, "NextToken")?;
        let state = self.state();
        if !state.buses.contains_key(&bus) {
            return Err(no_bus(&bus));
        }
        let fitting =
            state.rules.values().filter(|rule| rule.bus == bus && rule.name.starts_with(&prefix));
        let (found, next) =
            page::page(fitting, |rule| rule.name.clone(), token.as_deref(), limit(&call)?)?;
        let shown: Vec<Value> = found
            .into_iter()
            .map(|rule| rule.shown(&self.rule_arn(&rule.bus, &rule.name)))
            .collect();
        Ok(json!({"Rules": shown, "NextToken": next}).into())
    }

    pub(super) fn enable_rule(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let state = if call.operation == "EnableRule" { "ENABLED" } else { "DISABLED" };
        let ((), commit) = self.change_rule(&call, "Name", |rule| {
            rule.state = state.to_owned();
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn put_targets(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let given = loose::list(&call.input, "Targets")?;
        let targets = given.iter().map(Target::read).collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() {
            return Err(invalid("Targets must not be empty"));
        }
        let ((), commit) = self.change_rule(&call, "Rule", |rule| {
            let mut all = rule.targets.clone();
            all.extend(targets.into_iter().map(|target| (target.id.clone(), target)));
            judge_count(all.len())?;
            rule.targets = all;
            Ok(())
        })?;
        Ok((json!({"FailedEntryCount": 0, "FailedEntries": []}).into(), commit))
    }

    pub(super) fn remove_targets(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let ids = loose::texts(&call.input, "Ids")?;
        let (failed, commit) = self.change_rule(&call, "Rule", |rule| {
            let mut failed = Vec::new();
            for id in ids {
                if rule.targets.remove(&id).is_none() {
                    let message = format!("Target {id} does not exist.");
                    failed.push(json!({
                        "TargetId": id, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": message,
                    }));
                }
            }
            Ok(failed)
        })?;
        Ok((json!({"FailedEntryCount": failed.len(), "FailedEntries": failed}).into(), commit))
    }

    pub(super) fn list_targets(&self, call: Call) -> Result<Reply, Fault> {
        let key = self.key(&call, "Rule")?;
        let state = self.state();
        let rule = state.rules.get(&key).ok_or_else(|| no_rule(&key.0, &key.1))?;
        let shown: Vec<&Value> = rule.targets.values().map(|target| &target.given).collect();
        Ok(json!({"Targets": shown}).into())
    }

    pub(super) fn list_rules_of_target(&self, call: Call) -> Result<Reply, Fault> {
        let bus = self.bus_of(loose::text(&call.input, "EventBusName")?.as_deref());
        let arn = loose::required(&call.input, "TargetArn")?;
        let state = self.state();
        let names: Vec<&String> = state
            .rules
            .values()
            .filter(|rule| rule.bus == bus && rule.targets.values().any(|target| target.arn == arn))
            .map(|rule| &rule.name)
            .collect();
        Ok(json!({"RuleNames": names}).into())
    }

    pub(super) async fn put_events(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let entries = loose::list(&call.input, "Entries")?;
        if entries.is_empty() || entries.len() > 10 {
            return Err(invalid(format!("Entries must have 1 to 10 items, not {}", entries.len())));
        }
        let size: usize = entries.iter().map(|entry| entry.to_string().len()).sum();
        if size > LARGEST_ENTRIES {
            return Err(invalid(format!(
                "Entries has {size} bytes; {LARGEST_ENTRIES} are allowed"
            )));
        }
        let (mut shown, mut failed) = (Vec::new(), 0);
        for entry in &entries {
            match self.read_entry(entry, &call) {
                Ok((bus, event)) => {
                    shown.push(json!({"EventId": event.id()}));
                    // An event for a bus that is not there is lost, as on AWS.
                    self.clone().publish(&bus, event, 0).await;
                }
                Err(fault) => {
                    failed += 1;
                    shown.push(json!({"ErrorCode": fault.code, "ErrorMessage": fault.message}));
                }
            }
        }
        Ok(json!({"FailedEntryCount": failed, "Entries": shown}).into())
    }

    fn read_entry(&self, entry: &Value, call: &Call) -> Result<(String, Event), Fault> {
        let refuse = |code: &str, message: String| Fault::new(code, 400, message);
        let Value::Object(entry) = entry else {
            return Err(refuse("InvalidArgument", "an entry must be an object".to_owned()));
        };
        let part = |member: &str| {
            loose::required(entry, member).map_err(|_| {
                refuse(
                    "InvalidArgument",
                    format!(
                        "Parameter {member} is not valid. Reason: {member} is a required argument."
                    ),
                )
            })
        };
        let (source, detail_type, detail) = (part("Source")?, part("DetailType")?, part("Detail")?);
        if source.starts_with("aws.") {
            let message = format!("Not authorized for the source {source}: it is AWS's own");
            return Err(refuse("NotAuthorizedForSourceException", message));
        }
        let detail: Value = serde_json::from_str(&detail)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| refuse("MalformedDetail", "Detail is malformed.".to_owned()))?;
        let bus = self.bus_of(loose::text(entry, "EventBusName")?.as_deref());
        let at = moment_of(entry, "Time")?.unwrap_or(call.at);
        let resources = loose::texts(entry, "Resources")?;
        let event = BusEvent { source, detail_type, detail, resources };
        Ok((bus, Event::new(&self.account, at, event)))
    }

    pub(super) fn test_pattern(&self, call: Call) -> Result<Reply, Fault> {
        let pattern = Pattern::parse(call.text("EventPattern")?).map_err(|problem| {
            let message = format!("Event pattern is not valid. Reason: {problem}");
            Fault::new("InvalidEventPatternException", 400, message)
        })?;
        let event: Value = serde_json::from_str(call.text("Event")?)
            .map_err(|error| invalid(format!("Event is not JSON: {error}")))?;
        for member in ["id", "account", "source", "time", "region", "resources", "detail-type"] {
            if event.get(member).is_none() {
                return Err(invalid(format!("Event must have `{member}`")));
            }
        }
        Ok(json!({"Result": pattern.fits(&event)}).into())
    }

    pub(super) fn tag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?;
        self.retag(&call, |known| known.extend(tags))
    }

    pub(super) fn untag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let keys = loose::texts(&call.input, "TagKeys")?;
        self.retag(&call, |known| known.retain(|key, _| !keys.contains(key)))
    }

    pub(super) fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let arn = loose::required(&call.input, "ResourceARN")?;
        let state = self.state();
        let tags = match self.place_of(&arn)? {
            Place::Bus(name) => &state.buses.get(&name).ok_or_else(|| no_bus(&name))?.tags,
            Place::Rule(key) => &state.rules.get(&key).ok_or_else(|| no_rule(&key.0, &key.1))?.tags,
        };
        let shown: Vec<Value> =
            tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        Ok(json!({"Tags": shown}).into())
    }

    fn retag(
        &self,
        call: &Call,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(Reply, Commit), Fault> {
        let arn = loose::required(&call.input, "ResourceARN")?;
        let mut state = self.state();
        let mut batch = self.store.batch();
        match self.place_of(&arn)? {
            Place::Bus(name) => {
                let bus = state.buses.get_mut(&name).ok_or_else(|| no_bus(&name))?;
                change(&mut bus.tags);
                batch.put(BUSES, name, &*bus);
            }
            Place::Rule(key) => {
                let rule = state.rules.get_mut(&key).ok_or_else(|| no_rule(&key.0, &key.1))?;
                change(&mut rule.tags);
                batch.put(RULES, rule.key(), &*rule);
            }
        }
        Ok((Reply::empty(), self.store.commit(batch)))
    }

    fn place_of(&self, arn: &str) -> Result<Place, Fault> {
        if let Some((_, name)) = arn.split_once(":event-bus/") {
            return Ok(Place::Bus(name.to_owned()));
        }
        let rule = arn.split_once(":rule/").map(|(_, rest)| rest);
        let rule =
            rule.ok_or_else(|| invalid(format!("`{arn}` must be the ARN of a bus or a rule")))?;
        Ok(Place::Rule(match rule.rsplit_once('/') {
            Some((bus, name)) => (bus.to_owned(), name.to_owned()),
            None => (super::DEFAULT.to_owned(), rule.to_owned()),
        }))
    }
}

enum Place {
    Bus(String),
    Rule((String, String)),
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

fn judge_count(count: usize) -> Result<(), Fault> {
    if count > MOST_TARGETS {
        let message = format!("a rule has at most {MOST_TARGETS} targets, not {count}");
        return Err(Fault::new("LimitExceededException", 400, message));
    }
    Ok(())
}

fn limit(call: &Call) -> Result<usize, Fault> {
    let limit = loose::integer(&call.input, "Limit")?.unwrap_or(100);
    if !(1..=100).contains(&limit) {
        return Err(invalid(format!("Limit must be 1 to 100, not {limit}")));
    }
    Ok(usize::try_from(limit).unwrap_or(100))
}

const MOST_RULES: usize = 300;
const MOST_TARGETS: usize = 5;

/// What one PutEvents may bring.
const LARGEST_ENTRIES: usize = 1024 * 1024;
