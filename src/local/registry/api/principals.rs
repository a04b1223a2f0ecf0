//! What is attached to principals: certificates and Cognito identities to
//! things, and (in `policies.rs`) policies to them.
//!
//! A principal that belongs to one thing alone is attached to no other; then its
//! connections stand for that thing whatever their client id.

use std::sync::Arc;

use iotstack_local_kernel::{Call, Fault};
use serde_json::{Value, json};

use super::input::{listed, name_in_arn};
use crate::core::{Changed, Registry, Tx};
use crate::fault;

pub fn attach(registry: &Registry, call: &Call) -> Changed {
    let thing = call.text("thingName")?;
    let principal = call.text("principal")?;
    let exclusive = exclusive(call)?.unwrap_or(false);
    registry.change(|tx| {
        tx.attach_thing(thing, principal, exclusive)?;
        Ok(json!({}))
    })
}

pub fn detach(registry: &Registry, call: &Call) -> Changed {
    let thing = call.text("thingName")?;
    let principal = call.text("principal")?;
    registry.change(|tx| {
        let found = tx.thing(thing)?;
        let key = tx.principal(principal)?;
        if !found.principals.contains(&key) {
            return Err(fault::not_found("attachment of thing", thing));
        }
        tx.detach_thing(thing, &key);
        Ok(json!({}))
    })
}

pub fn of_thing(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("thingName")?;
    registry.read(|state| {
        let thing = state.things.get(name).ok_or_else(|| fault::not_found("thing", name))?;
        listed(call, "principals", &thing.principals, |key| key.to_string(), |key| json!(&**key))
    })
}

pub fn of_thing_v2(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("thingName")?;
    let wanted = exclusive(call)?;
    registry.read(|state| {
        let thing = state.things.get(name).ok_or_else(|| fault::not_found("thing", name))?;
        let kinds = thing.principals.iter().map(|key| {
            let kind = state.principals.get(key).and_then(|found| found.things.get(name));
            (key, kind.copied().unwrap_or(false))
        });
        let found = kinds.filter(|(_, kind)| wanted.is_none_or(|wanted| wanted == *kind));
        listed(
            call,
            "thingPrincipalObjects",
            found,
            |(key, _)| key.to_string(),
            |(key, kind)| json!({"principal": &**key, "thingPrincipalType": word(kind)}),
        )
    })
}

pub fn things(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let key = call.text("principal")?;
    registry.read(|state| {
        let found = state.principals.get(key).into_iter().flat_map(|found| found.things.keys());
        listed(call, "things", found, |name| name.to_string(), |name| json!(&**name))
    })
}

pub fn things_v2(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let key = call.text("principal")?;
    let wanted = exclusive(call)?;
    registry.read(|state| {
        let all = state.principals.get(key).into_iter().flat_map(|found| &found.things);
        let found = all.filter(|(_, kind)| wanted.is_none_or(|wanted| wanted == **kind));
        listed(
            call,
            "principalThingObjects",
            found,
            |(name, _)| name.to_string(),
            |(name, kind)| json!({"thingName": &**name, "thingPrincipalType": word(*kind)}),
        )
    })
}

fn exclusive(call: &Call) -> Result<Option<bool>, Fault> {
    call.optional_text("thingPrincipalType")?.map(read_kind).transpose()
}

/// Reads `EXCLUSIVE_THING` or `NON_EXCLUSIVE_THING`.
pub fn read_kind(word: &str) -> Result<bool, Fault> {
    match word {
        "EXCLUSIVE_THING" => Ok(true),
        "NON_EXCLUSIVE_THING" => Ok(false),
        other => Err(fault::invalid(format!(
            "thingPrincipalType must be EXCLUSIVE_THING or NON_EXCLUSIVE_THING, not `{other}`"
        ))),
    }
}

fn word(exclusive: bool) -> &'static str {
    if exclusive { "EXCLUSIVE_THING" } else { "NON_EXCLUSIVE_THING" }
}

impl Tx<'_> {
    /// The key of a principal: the ARN of a certificate that exists, or the id of
    /// a Cognito identity.
    pub fn principal(&self, principal: &str) -> Result<Arc<str>, Fault> {
        if let Some(id) = name_in_arn(principal, "cert") {
            self.certificate(id)?;
            let own = self.arn(format_args!("cert/{id}"));
            if own != principal {
                return Err(fault::not_found("certificate", principal));
            }
        } else if !is_identity(principal) {
            return Err(fault::invalid(format!(
                "principal `{principal}` is neither the ARN of a certificate nor a Cognito identity"
            )));
        }
        Ok(self
            .state
            .principals
            .get_key_value(principal)
            .map_or_else(|| Arc::from(principal), |(key, _)| key.clone()))
    }

    /// Attaches a principal to a thing.
    pub fn attach_thing(
        &mut self,
        thing: &str,
        principal: &str,
        exclusive: bool,
    ) -> Result<(), Fault> {
        self.check_attachment(thing, principal, exclusive)?;
        self.thing(thing)?;
        let key = self.principal(principal)?;
        self.apply_attachment(thing, &key, exclusive);
        Ok(())
    }

    /// Whether a principal may be attached to a thing, which may not exist yet.
    pub fn check_attachment(
        &self,
        thing: &str,
        principal: &str,
        exclusive: bool,
    ) -> Result<(), Fault> {
        let Some(found) = self.state.principals.get(principal) else { return Ok(()) };
        let others: Vec<_> = found.things.iter().filter(|(name, _)| ***name != *thing).collect();
        let taken = others.iter().find(|(_, exclusive)| **exclusive);
        if let Some((other, _)) = taken {
            return Err(fault::invalid(format!(
                "principal `{principal}` belongs to thing `{other}` exclusively"
            )));
        }
        if let Some((other, _)) = others.first().filter(|_| exclusive) {
            return Err(fault::invalid(format!(
                "principal `{principal}` cannot belong to thing `{thing}` exclusively: it is attached \
                 to `{other}` too"
            )));
        }
        Ok(())
    }

    /// Attaches a principal to a thing that exists, after it was checked.
    pub fn apply_attachment(&mut self, thing: &str, key: &Arc<str>, exclusive: bool) {
        let Some(found) = self.state.things.get_mut(thing) else { return };
        found.principals.insert(key.clone());
        let name = found.name.clone();
        self.edit_principal(key, |principal| {
            principal.things.insert(name.clone(), exclusive);
        });
        self.effects.principals.push(key.clone());
    }

    /// Takes a principal off a thing.
    pub fn detach_thing(&mut self, thing: &str, key: &Arc<str>) {
        if let Some(found) = self.state.things.get_mut(thing) {
            found.principals.remove(key);
        }
        self.edit_principal(key, |principal| {
            principal.things.remove(thing);
        });
        self.effects.principals.push(key.clone());
    }
}

/// `region:uuid`, as Cognito writes identities.
pub fn is_identity(principal: &str) -> bool {
    principal.split_once(':').is_some_and(|(region, id)| {
        !region.is_empty() && id.len() == 36 && !principal.starts_with("arn:")
    })
}
