//! The pre-provisioning hook: a function of the owner that says whether a device
//! may be provisioned, and with which parameters.
//!
//! It has five seconds. No answer, an error, or anything but a plain yes is a no.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::core::Registry;
use crate::state::Hook;

/// What the hook is told.
pub struct Question<'a> {
    pub template_arn: &'a str,
    pub claim_certificate_id: &'a str,
    pub certificate_id: &'a str,
    pub certificate_pem: &'a str,
    pub client_id: &'a str,
    pub parameters: &'a BTreeMap<String, String>,
}

/// Asks the hook; gives the parameters that it adds or replaces.
///
/// # Errors
/// Why the device is not provisioned.
pub async fn ask(
    registry: &Registry,
    hook: &Hook,
    question: &Question<'_>,
) -> Result<BTreeMap<String, String>, String> {
    let cloud = registry.cloud().map_err(|fault| fault.message)?;
    let functions = cloud.ports.functions().map_err(|fault| fault.message)?;
    if !functions.permits(&hook.target_arn, "iot.amazonaws.com", question.template_arn) {
        return Err(format!(
            "`{}` does not permit iot.amazonaws.com to invoke it for this template",
            hook.target_arn
        ));
    }
    let payload = json!({
        "claimCertificateId": question.claim_certificate_id,
        "certificateId": question.certificate_id,
        "certificatePem": question.certificate_pem,
        "templateArn": question.template_arn,
        "clientId": question.client_id,
        "parameters": question.parameters,
    });
    let answer = tokio::select! {
        answer = functions.invoke(&hook.target_arn, Bytes::from(payload.to_string())) => {
            answer.map_err(|fault| fault.message)?
        }
        () = registry.clock.sleep(TIME_LIMIT) => {
            return Err(format!("`{}` gave no answer within 5 seconds", hook.target_arn));
        }
    };
    if let Some(error) = answer.error {
        return Err(format!("`{}` failed ({error})", hook.target_arn));
    }
    let answer: Value = serde_json::from_slice(&answer.payload)
        .map_err(|_| format!("`{}` did not answer with JSON", hook.target_arn))?;
    if answer.get("allowProvisioning") != Some(&Value::Bool(true)) {
        return Err(format!("`{}` does not allow it", hook.target_arn));
    }
    let mut overrides = BTreeMap::new();
    if let Some(Value::Object(members)) = answer.get("parameterOverrides") {
        for (name, value) in members {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                other => {
                    return Err(format!("parameter override `{name}` must be a text, not {other}"));
                }
            };
            overrides.insert(name.clone(), text);
        }
    }
    Ok(overrides)
}

const TIME_LIMIT: Duration = Duration::from_secs(5);
