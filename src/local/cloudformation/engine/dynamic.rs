//! Dynamic references: `{{resolve:service:what}}` inside of texts.
//!
//! They are resolved right before a resource is made or changed, and only for
//! the handler: records, events and change sets keep the reference, so that no
//! secret is ever shown or stored.

use iotstack_local_kernel::Cloud;
use serde_json::Value;

/// The value with all dynamic references resolved.
///
/// # Errors
/// Which reference leads nowhere, in words.
pub fn resolve(value: &Value, cloud: &Cloud) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) if text.contains(OPEN) => Value::String(resolve_text(text, cloud)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| resolve(item, cloud)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let resolved = map
                .iter()
                .map(|(key, value)| Ok((key.clone(), resolve(value, cloud)?)))
                .collect::<Result<_, String>>()?;
            Value::Object(resolved)
        }
        other => other.clone(),
    })
}

/// Whether there is any dynamic reference in a value.
pub fn is_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(OPEN),
        Value::Array(items) => items.iter().any(is_in),
        Value::Object(map) => map.values().any(is_in),
        _ => false,
    }
}

fn resolve_text(text: &str, cloud: &Cloud) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        out.push_str(before);
        let (reference, behind) = after
            .split_once("}}")
            .ok_or_else(|| format!("the dynamic reference in `{text}` has no end"))?;
        out.push_str(&look_up(reference, cloud)?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn look_up(reference: &str, cloud: &Cloud) -> Result<String, String> {
    let refused = |reason: String| {
        format!("Could not resolve the dynamic reference {{{{resolve:{reference}}}}}: {reason}")
    };
    let (service, what) = reference
        .split_once(':')
        .ok_or_else(|| refused("a service and a name are needed".to_owned()))?;
    let found = match service {
        "ssm" | "ssm-secure" => {
            // A version behind the name cannot be chosen: the port knows the newest.
            let name = match what.rsplit_once(':') {
                Some((name, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => name,
                _ => what,
            };
            cloud.ports.parameters().and_then(|port| port.value(name))
        }
        "secretsmanager" => return secret(what, cloud).map_err(refused),
        other => return Err(refused(format!("there is no service {other}"))),
    };
    found.map_err(|fault| refused(fault.message))
}

/// `id:SecretString:key:stage:version`, of which all but the id may be missing. The id
/// may be an ARN, which has six colons of its own.
fn secret(what: &str, cloud: &Cloud) -> Result<String, String> {
    let id_parts = if what.starts_with("arn:") { 7 } else { 1 };
    let parts: Vec<&str> = what.split(':').collect();
    let (id, rest) = parts.split_at(id_parts.min(parts.len()));
    let value = cloud
        .ports
        .secrets()
        .and_then(|port| port.value(&id.join(":")))
        .map_err(|fault| fault.message)?;
    if rest.first().is_some_and(|kind| !kind.is_empty() && *kind != "SecretString") {
        return Err(format!("only SecretString can be asked for, not {}", rest[0]));
    }
    let Some(key) = rest.get(1).filter(|key| !key.is_empty()) else { return Ok(value) };
    let document: Value = serde_json::from_str(&value)
        .map_err(|_| format!("the secret is no JSON, so it has no key {key}"))?;
    match document.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Ok(other.to_string()),
        None => Err(format!("the secret has no key {key}")),
    }
}

const OPEN: &str = "{{resolve:";
