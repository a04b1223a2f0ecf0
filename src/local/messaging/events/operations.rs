//! The operations on rules, targets, events and tags.
//!
//! Rules and targets are changed whole or not at all. A rule must lose its targets before
//! it may be deleted, as on AWS; stacks remove both.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::ports::BusEvent;
use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose, page, violation, violations};
use serde_json::{Map, Value, json};

use super::delivery::Event;
use super::rule::{Rule, Target};
use super::{BUSES, Events, RULES, invalid, moment_of, no_bus, no_rule};
use crate::pattern::Pattern;

impl Events {
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
            targets.iter().try_for_each(Target::judge)?;
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
        let targets = Target::read_all(&loose::list(&call.input, "Targets")?)?;
        if targets.is_empty() {
            return Err(invalid("Targets must not be empty"));
        }
        let ((), commit) = self.change_rule(&call, "Rule", |rule| {
            targets.iter().try_for_each(Target::judge)?;
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
        let token = loose::text(&call.input, "NextToken")?;
        let id = |target: &&Target| target.id.clone();
        let (found, next) = page::page(rule.targets.values(), id, token.as_deref(), limit(&call)?)?;
        let shown: Vec<&Value> = found.into_iter().map(|target| &target.given).collect();
        Ok(json!({"Targets": shown, "NextToken": next}).into())
    }

    pub(super) fn list_rules_of_target(&self, call: Call) -> Result<Reply, Fault> {
        let bus = self.bus_of(loose::text(&call.input, "EventBusName")?.as_deref());
        let arn = loose::required(&call.input, "TargetArn")?;
        let token = loose::text(&call.input, "NextToken")?;
        let state = self.state();
        if !state.buses.contains_key(&bus) {
            return Err(no_bus(&bus));
        }
        let names = state
            .rules
            .values()
            .filter(|rule| rule.bus == bus && rule.targets.values().any(|target| target.arn == arn))
            .map(|rule| rule.name.as_str());
        let key = |name: &&str| (*name).to_owned();
        let (found, next) = page::page(names, key, token.as_deref(), limit(&call)?)?;
        Ok(json!({"RuleNames": found, "NextToken": next}).into())
    }

    pub(super) async fn put_events(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let entries = loose::list(&call.input, "Entries")?;
        if entries.is_empty() {
            return Err(violating("entries", "Member must have length greater than or equal to 1"));
        }
        if entries.len() > 10 {
            return Err(violating("entries", "Member must have length less than or equal to 10"));
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

fn judge_count(count: usize) -> Result<(), Fault> {
    if count > MOST_TARGETS {
        let message = format!("a rule has at most {MOST_TARGETS} targets, not {count}");
        return Err(Fault::new("LimitExceededException", 400, message));
    }
    Ok(())
}

pub(super) fn limit(call: &Call) -> Result<usize, Fault> {
    let limit = loose::integer(&call.input, "Limit")?.unwrap_or(100);
    match limit {
        ..=0 => Err(violating("limit", "Member must have value greater than or equal to 1")),
        101.. => Err(violating("limit", "Member must have value less than or equal to 100")),
        _ => Ok(usize::try_from(limit).unwrap_or(100)),
    }
}

/// A member that its shape does not allow.
fn violating(member: &str, wanted: &str) -> Fault {
    invalid(violations(&[violation(member, None, wanted)]))
}

const MOST_RULES: usize = 300;
const MOST_TARGETS: usize = 5;

/// What one PutEvents may bring.
const LARGEST_ENTRIES: usize = 1024 * 1024;
