//! What the policies of a principal come to: GetEffectivePolicies and
//! TestAuthorization.
//!
//! Asked by the same code that judges connections, so an answer here is what a
//! device will see.

use iotstack_local_kernel::{Call, Fault};
use serde_json::{Map, Value, json};

use super::input::{name_in_arn, text_of, texts};
use super::policies::{known, show};
use super::principals::is_identity;
use crate::authority;
use crate::core::Registry;
use crate::fault;
use crate::policy::{Action, Connect, Env, Judge, Request};
use crate::state::State;

pub fn effective(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let principal = call.optional_text("principal")?;
    let thing = call.optional_text("thingName")?;
    if principal.is_none() && thing.is_none() {
        return Err(fault::invalid("principal or thingName is required"));
    }
    registry.read(|state| {
        let thing = match thing {
            Some(name) => {
                Some(state.things.get(name).ok_or_else(|| fault::not_found("thing", name))?)
            }
            None => None,
        };
        if let Some(principal) = principal {
            check_principal(state, principal)?;
        }
        let prefix = registry.arn_prefix();
        let principal = principal.unwrap_or_default();
        let found: Vec<Value> = authority::policies(state, principal, thing, &prefix)
            .into_iter()
            .filter_map(|name| {
                let mut shown = show(registry, name);
                shown["policyDocument"] = json!(state.policies.get(name)?.document());
                Some(shown)
            })
            .collect();
        Ok(json!({"effectivePolicies": found}))
    })
}

pub fn test(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let principal = call.optional_text("principal")?.unwrap_or_default();
    let client_id = call.optional_text("clientId")?;
    let add = texts(&call.input, "policyNamesToAdd")?;
    let skip = texts(&call.input, "policyNamesToSkip")?;
    let Some(Value::Array(infos)) = call.input.get("authInfos") else {
        return Err(fault::invalid("authInfos is required and must be a list"));
    };
    if infos.is_empty() || infos.len() > 10 {
        return Err(fault::invalid(format!(
            "authInfos must hold 1 to 10 items, not {}",
            infos.len()
        )));
    }
    registry.read(|state| {
        check_principal(state, principal)?;
        let thing = client_id.and_then(|client_id| state.thing_of_client(principal, client_id));
        let prefix = registry.arn_prefix();
        let mut names: Vec<&str> = authority::policies(state, principal, thing, &prefix)
            .into_iter()
            .map(|name| &**name)
            .filter(|name| !skip.iter().any(|skip| skip == name))
            .collect();
        for name in &add {
            known(state, name)?;
            names.push(name);
        }
        let certificate = name_in_arn(principal, "cert").and_then(|id| state.certificates.get(id));
        let connect = Connect::default();
        let env = Env {
            client_id,
            source: Some(std::net::IpAddr::from([127, 0, 0, 1])),
            thing,
            mqtt: true,
            certificate_id: certificate.map(|found| &*found.id),
            certificate: certificate.map(|found| &*found.der),
            connect: Some(&connect),
            now: registry.clock.now(),
        };
        let documents = names.iter().filter_map(|name| state.policies.get(*name));
        let judge = Judge::new(documents.map(|policy| &*policy.compiled), &env);
        let mut results = Vec::new();
        for info in infos {
            results.push(test_one(registry, info, &judge, &names)?);
        }
        Ok(json!({"authResults": results}))
    })
}

fn test_one(
    registry: &Registry,
    info: &Value,
    judge: &Judge,
    names: &[&str],
) -> Result<Value, Fault> {
    let empty = Map::new();
    let members = info.as_object().unwrap_or(&empty);
    let action = match text_of(members, "actionType")?.as_deref() {
        Some("CONNECT") => Action::Connect,
        Some("PUBLISH") => Action::Publish,
        Some("SUBSCRIBE") => Action::Subscribe,
        Some("RECEIVE") => Action::Receive,
        other => {
            return Err(fault::invalid(format!(
                "actionType must be PUBLISH, SUBSCRIBE, RECEIVE or CONNECT, not {other:?}"
            )));
        }
    };
    let resources = texts(members, "resources")?;
    let mut decision = None;
    for resource in &resources {
        let request = Request::Named(action.name(), resource);
        let found = judge.judge(request, &registry.arn_prefix(), registry.clock.now());
        // All resources must be allowed; a denial of one decides.
        decision = match decision {
            None => Some(found),
            Some(before) if before.allows() => Some(found),
            Some(before) => Some(before),
        };
    }
    let Some(decision) = decision else {
        return Err(fault::invalid("resources must name at least one ARN"));
    };
    let policies: Vec<Value> = names.iter().map(|name| show(registry, name)).collect();
    let (allowed, denied) = match decision.word() {
        "ALLOWED" => (json!({"policies": policies}), json!({})),
        "EXPLICIT_DENY" => (json!({}), json!({"explicitDeny": {"policies": policies}})),
        _ => (json!({}), json!({"implicitDeny": {"policies": policies}})),
    };
    Ok(json!({
        "authInfo": info,
        "allowed": allowed,
        "denied": denied,
        "authDecision": decision.word(),
        "missingContextValues": [],
    }))
}

fn check_principal(state: &State, principal: &str) -> Result<(), Fault> {
    match name_in_arn(principal, "cert") {
        Some(id) if !state.certificates.contains_key(id) => {
            Err(fault::not_found("certificate", id))
        }
        None if !principal.is_empty() && !is_identity(principal) => Err(fault::invalid(format!(
            "principal `{principal}` is neither the ARN of a certificate nor a Cognito identity"
        ))),
        _ => Ok(()),
    }
}
