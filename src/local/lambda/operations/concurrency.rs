//! Reserved concurrency, and how asynchronous invocations are treated.
//!
//! A reservation is both the most that may run and, with zero, a way to stop a
//! function. What is said about events holds for a version or an alias each.

use iotstack_local_kernel::page::page;
use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose};
use serde_json::{Map, Value, json};

use super::{limit, named, unqualified};
use crate::error::not_found;
use crate::name::FunctionName;
use crate::record::EventConfig;
use crate::service::Lambda;

impl Lambda {
    pub(crate) fn put_concurrency(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = unqualified(&call)?;
        let wanted = loose::integer(&call.input, "ReservedConcurrentExecutions")?
            .ok_or_else(|| Fault::invalid_input("ReservedConcurrentExecutions is required"))?;
        let commit = self.reserve(&name, Some(wanted))?;
        Ok((json!({"ReservedConcurrentExecutions": wanted}).into(), commit))
    }

    /// Reserves concurrency, or ends the reservation.
    pub(crate) fn reserve(
        &self,
        name: &FunctionName,
        wanted: Option<i64>,
    ) -> Result<Commit, Fault> {
        let wanted = wanted
            .map(|wanted| {
                u32::try_from(wanted).map_err(|_| {
                    Fault::invalid_input(format!(
                        "ReservedConcurrentExecutions must be 0 or more, not {wanted}"
                    ))
                })
            })
            .transpose()?;
        let ((), commit) = self.change(name, |function| {
            function.reserved_concurrency = wanted;
            Ok(())
        })?;
        Ok(commit)
    }

    pub(crate) fn get_concurrency(&self, call: Call) -> Result<Reply, Fault> {
        let name = unqualified(&call)?;
        self.read(&name, |function| {
            Ok(match function.reserved_concurrency {
                None => Reply::empty(),
                Some(reserved) => json!({"ReservedConcurrentExecutions": reserved}).into(),
            })
        })
    }

    pub(crate) fn delete_concurrency(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let commit = self.reserve(&unqualified(&call)?, None)?;
        Ok((Reply::empty().status(204), commit))
    }

    pub(crate) fn put_event_config(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        self.event_config(&call, EventConfig::default())
    }

    pub(crate) fn update_event_config(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let known = self.known_event_config(&named(&call)?)?;
        self.event_config(&call, known)
    }

    pub(crate) fn get_event_config(&self, call: Call) -> Result<Reply, Fault> {
        let name = named(&call)?;
        let known = self.known_event_config(&name)?;
        Ok(known.shown(&shown_arn(self, &name)).into())
    }

    pub(crate) fn list_event_configs(&self, call: Call) -> Result<Reply, Fault> {
        let name = unqualified(&call)?;
        let limit = limit(&call)?;
        self.read(&name, |function| {
            let key = |(qualifier, _): &(&String, &EventConfig)| (*qualifier).clone();
            let marker = call.optional_text("Marker")?;
            let (found, next) = page(&function.event_configs, key, marker, limit)?;
            let arn = self.arn(&name.name);
            let shown: Vec<Value> = found
                .into_iter()
                .map(|(qualifier, config)| config.shown(&format!("{arn}:{qualifier}")))
                .collect();
            Ok(json!({"FunctionEventInvokeConfigs": shown, "NextMarker": next}).into())
        })
    }

    pub(crate) fn delete_event_config(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = named(&call)?;
        let ((), commit) = self.change(&name, |function| {
            let removed = function.event_configs.remove(&key(&name));
            removed.map(drop).ok_or_else(|| no_config(self, &name))
        })?;
        Ok((Reply::empty().status(204), commit))
    }

    /// Takes over what a request says about asynchronous invocations.
    pub(crate) fn configure_events(
        &self,
        name: &FunctionName,
        mut config: EventConfig,
        input: &Map<String, Value>,
    ) -> Result<(EventConfig, Commit), Fault> {
        if let Some(retries) = within(input, "MaximumRetryAttempts", 0, 2)? {
            config.retries = Some(retries);
        }
        if let Some(age) = within(input, "MaximumEventAgeInSeconds", 60, 21_600)? {
            config.longest_age_seconds = Some(age);
        }
        let targets = loose::object(input, "DestinationConfig")?;
        for (member, target) in
            [("OnSuccess", &mut config.on_success), ("OnFailure", &mut config.on_failure)]
        {
            if targets.contains_key(member) {
                let arn = loose::text(&loose::object(&targets, member)?, "Destination")?;
                *target = arn.filter(|arn| !arn.is_empty());
                if let Some(arn) = target.as_deref().filter(|arn| !is_arn(arn)) {
                    return Err(no_destination(member, arn));
                }
            }
        }
        config.modified = self.now();
        let ((), commit) = self.change(name, |function| {
            function.version(&self.account, name.qualifier.as_deref())?;
            function.event_configs.insert(key(name), config.clone());
            Ok(())
        })?;
        Ok((config, commit))
    }

    fn event_config(&self, call: &Call, config: EventConfig) -> Result<(Reply, Commit), Fault> {
        let name = named(call)?;
        let (config, commit) = self.configure_events(&name, config, &call.input)?;
        Ok((config.shown(&shown_arn(self, &name)).into(), commit))
    }

    fn known_event_config(&self, name: &FunctionName) -> Result<EventConfig, Fault> {
        self.read(name, |function| {
            function.event_configs.get(&key(name)).cloned().ok_or_else(|| no_config(self, name))
        })
    }
}

/// Under which qualifier the treatment of events is kept.
pub(super) fn key(name: &FunctionName) -> String {
    name.qualifier.clone().unwrap_or_else(|| "$LATEST".to_owned())
}

fn shown_arn(lambda: &Lambda, name: &FunctionName) -> String {
    format!("{}:{}", lambda.arn(&name.name), key(name))
}

fn no_config(lambda: &Lambda, name: &FunctionName) -> Fault {
    not_found(format!("The function {} doesn't have an EventInvokeConfig", shown_arn(lambda, name)))
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.splitn(6, ':').count() == 6
}

fn no_destination(member: &str, arn: &str) -> Fault {
    Fault::invalid_input(format!("the Destination of {member} must be an ARN, not `{arn}`"))
}

fn within(
    input: &Map<String, Value>,
    member: &str,
    least: i64,
    most: i64,
) -> Result<Option<u32>, Fault> {
    match loose::integer(input, member)? {
        None => Ok(None),
        Some(value) if (least..=most).contains(&value) => Ok(u32::try_from(value).ok()),
        Some(value) => {
            Err(Fault::invalid_input(format!("{member} must be {least} to {most}, not {value}")))
        }
    }
}
