//! Settings of the account: events, endpoints, logging.
//!
//! Logging options are kept and shown, and nothing is logged by them.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Call, Fault};
use serde_json::{Value, json};

use super::input::{listed, object, text_of};
use crate::core::{Changed, Registry};
use crate::events::{self, KINDS};
use crate::fault;
use crate::state::State;

pub fn events(registry: &Registry, _: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        let kinds: serde_json::Map<String, Value> = KINDS
            .iter()
            .map(|kind| ((*kind).to_owned(), json!({"Enabled": events::enabled(state, kind)})))
            .collect();
        let settings = &state.settings.events;
        let mut answer = json!({"eventConfigurations": kinds});
        if let (Some(created), Some(modified)) = (settings.created, settings.modified) {
            answer["creationDate"] = json!(created.fractional_seconds());
            answer["lastModifiedDate"] = json!(modified.fractional_seconds());
        }
        Ok(answer)
    })
}

pub fn update_events(registry: &Registry, call: &Call) -> Changed {
    let wanted = object(&call.input, "eventConfigurations")?;
    let mut changes = BTreeMap::new();
    for (kind, value) in &wanted {
        if !KINDS.contains(&kind.as_str()) {
            return Err(fault::invalid(format!(
                "`{kind}` is no kind of event; these are: {}",
                KINDS.join(", ")
            )));
        }
        let enabled = match value.get("Enabled") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(enabled)) => *enabled,
            Some(other) => {
                return Err(fault::invalid(format!(
                    "Enabled of `{kind}` must be true or false, not {other}"
                )));
            }
        };
        changes.insert(kind.clone(), enabled);
    }
    registry.change(|tx| {
        let now = tx.now;
        let settings = &mut tx.state.settings.events;
        settings.enabled.extend(changes);
        settings.created.get_or_insert(now);
        settings.modified = Some(now);
        tx.save_settings();
        Ok(json!({}))
    })
}

/// Where devices and clients find the services of this account.
pub fn endpoint(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let addresses = registry.cloud()?.addresses();
    let http = addresses
        .endpoint
        .split_once("://")
        .map_or(addresses.endpoint.as_str(), |(_, rest)| rest)
        .trim_end_matches('/');
    // Clients add the port of MQTT themselves, so only another one is told.
    let mqtt = addresses.mqtt.strip_suffix(":8883").unwrap_or(&addresses.mqtt);
    let address = match call.optional_text("endpointType")? {
        None | Some("iot:Data" | "iot:Data-ATS" | "iot:Data-Beta") => mqtt,
        Some("iot:CredentialProvider" | "iot:Jobs") => http,
        Some(other) => {
            return Err(fault::invalid(format!(
                "endpointType `{other}` is not known; iot:Data-ATS, iot:Data, \
                 iot:CredentialProvider and iot:Jobs are"
            )));
        }
    };
    Ok(json!({"endpointAddress": address}))
}

pub fn logging(registry: &Registry, _: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        let logging = &state.settings.logging;
        let level = logging.level.as_deref().unwrap_or("DISABLED");
        Ok(json!({"roleArn": logging.role, "logLevel": level}))
    })
}

pub fn set_logging(registry: &Registry, call: &Call) -> Changed {
    let payload = object(&call.input, "loggingOptionsPayload")?;
    // The payload may be the body itself.
    let payload = if payload.is_empty() { call.input.clone() } else { payload };
    let role = text_of(&payload, "roleArn")?;
    let level = text_of(&payload, "logLevel")?;
    store_logging(registry, role, level, false)
}

pub fn logging_v2(registry: &Registry, _: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        let logging = configured(state)?;
        Ok(json!({
            "roleArn": logging.role,
            "defaultLogLevel": logging.level,
            "disableAllLogs": logging.disabled,
        }))
    })
}

pub fn set_logging_v2(registry: &Registry, call: &Call) -> Changed {
    let role = call.optional_text("roleArn")?.map(str::to_owned);
    let level = call.optional_text("defaultLogLevel")?.map(str::to_owned);
    store_logging(registry, role, level, call.flag("disableAllLogs")?)
}

pub fn logging_levels(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let wanted = call.optional_text("targetType")?;
    registry.read(|state| {
        let targets = &configured(state)?.targets;
        let found =
            targets.iter().filter(|(_, (kind, ..))| wanted.is_none_or(|wanted| wanted == kind));
        listed(
            call,
            "logTargetConfigurations",
            found,
            |(key, _)| (*key).clone(),
            |(_, found)| {
                let (kind, name, level) = found;
                json!({"logTarget": {"targetType": kind, "targetName": name}, "logLevel": level})
            },
        )
    })
}

pub fn set_logging_level(registry: &Registry, call: &Call) -> Changed {
    let target = object(&call.input, "logTarget")?;
    let kind = text_of(&target, "targetType")?
        .ok_or_else(|| fault::invalid("logTarget needs a targetType"))?;
    let name = text_of(&target, "targetName")?.unwrap_or_default();
    let level = call.text("logLevel")?.to_owned();
    check_level(&level)?;
    registry.change(|tx| {
        configured(tx.state)?;
        let key = format!("{kind}/{name}");
        tx.state.settings.logging.targets.insert(key, (kind, name, level));
        tx.save_settings();
        Ok(json!({}))
    })
}

pub fn delete_logging_level(registry: &Registry, call: &Call) -> Changed {
    let key = format!("{}/{}", call.text("targetType")?, call.text("targetName")?);
    registry.change(|tx| {
        tx.state.settings.logging.targets.remove(&key);
        tx.save_settings();
        Ok(json!({}))
    })
}

fn store_logging(
    registry: &Registry,
    role: Option<String>,
    level: Option<String>,
    disabled: bool,
) -> Changed {
    if let Some(level) = &level {
        check_level(level)?;
    }
    registry.change(|tx| {
        let logging = &mut tx.state.settings.logging;
        logging.role = role.or(logging.role.take());
        logging.level = level.or(logging.level.take());
        logging.disabled = disabled;
        logging.configured = true;
        tx.save_settings();
        Ok(json!({}))
    })
}

fn check_level(level: &str) -> Result<(), Fault> {
    match ["DEBUG", "INFO", "ERROR", "WARN", "DISABLED"].contains(&level) {
        true => Ok(()),
        false => Err(fault::invalid(format!(
            "log level `{level}` must be DEBUG, INFO, WARN, ERROR or DISABLED"
        ))),
    }
}

fn configured(state: &State) -> Result<&crate::state::Logging, Fault> {
    let logging = &state.settings.logging;
    match logging.configured {
        true => Ok(logging),
        false => Err(Fault::new("NotConfiguredException", 404, "logging is not configured")),
    }
}
