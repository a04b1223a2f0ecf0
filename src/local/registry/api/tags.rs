//! Tags of all resources of AWS IoT that can have some.
//!
//! Those of the registry's own resources are kept here, by ARN. Jobs, rules and whatever
//! else other services keep have theirs there; they are asked through the port of tags.

use std::sync::Arc;

use iotstack_local_kernel::tags::{self, ChangeTags, MOST, Tagged, Tags};
use iotstack_local_kernel::{Call, Fault, Reply};
use serde_json::{Value, json};

use super::input::{self, listed, texts};
use crate::core::Registry;
use crate::fault;
use crate::state::State;

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let arn = call.text("resourceArn")?;
    let tags = match keeper(registry, arn)? {
        Some(Keeper { service, kind, name }) => {
            service.tags(&kind, &name).ok_or_else(|| fault::not_found("resource", arn))?
        }
        None => registry.read(|state| {
            check_taggable(state, arn)?;
            Ok::<_, Fault>(state.tags.get(arn).cloned().unwrap_or_default())
        })?,
    };
    listed(
        call,
        "tags",
        tags,
        |(key, _)| key.clone(),
        |(key, value)| json!({"Key": key, "Value": value}),
    )
}

pub async fn tag(registry: Arc<Registry>, call: Call) -> Result<Reply, Fault> {
    let arn = call.text("resourceArn")?.to_owned();
    let new = tags::read(&call.input)?;
    let named = arn.clone();
    let change = Box::new(move |tags: &mut Tags| {
        let mut all = tags.clone();
        all.extend(new);
        if all.len() > MOST {
            return Err(fault::limit(format!(
                "`{named}` would have {} tags; {MOST} are the most",
                all.len()
            )));
        }
        *tags = all;
        Ok(())
    });
    change_tags(&registry, &arn, change).await
}

pub async fn untag(registry: Arc<Registry>, call: Call) -> Result<Reply, Fault> {
    let arn = call.text("resourceArn")?.to_owned();
    let keys = texts(&call.input, "tagKeys")?;
    let change = Box::new(move |tags: &mut Tags| {
        tags.retain(|key, _| !keys.contains(key));
        Ok(())
    });
    change_tags(&registry, &arn, change).await
}

async fn change_tags(registry: &Registry, arn: &str, change: ChangeTags) -> Result<Reply, Fault> {
    if let Some(Keeper { service, kind, name }) = keeper(registry, arn)? {
        service.change_tags(&kind, &name, change).await?;
        return Ok(Reply::empty());
    }
    let (members, commit) = registry.change(|tx| {
        check_taggable(tx.state, arn)?;
        let mut tags = tx.state.tags.get(arn).cloned().unwrap_or_default();
        change(&mut tags)?;
        tx.put_tags(arn, tags);
        Ok(json!({}))
    })?;
    commit.stored().await?;
    Ok(members.into())
}

/// Another service that keeps a resource.
struct Keeper {
    service: Arc<dyn Tagged>,
    kind: String,
    name: String,
}

/// Who keeps the resource, if another service does.
fn keeper(registry: &Registry, arn: &str) -> Result<Option<Keeper>, Fault> {
    let resource = arn.splitn(6, ':').nth(5).filter(|_| arn.starts_with("arn:"));
    let Some((kind, name)) = resource.and_then(|resource| resource.split_once('/')) else {
        return Err(fault::invalid(format!(
            "resourceArn `{arn}` must be the ARN of a resource of AWS IoT"
        )));
    };
    // An ARN of another account or region names nothing here.
    if arn != registry.account.arn("iot", format_args!("{kind}/{name}")) {
        return Err(fault::not_found("resource", arn));
    }
    let service = registry.cloud()?.ports.tagged(kind);
    Ok(service.map(|service| Keeper { service, kind: kind.to_owned(), name: name.to_owned() }))
}

/// Whether the resource exists and can have tags, as far as it is the registry's own.
fn check_taggable(state: &State, arn: &str) -> Result<(), Fault> {
    let named = |kind: &str| input::name_in_arn(arn, kind);
    if named("thing").is_some() || named("cert").is_some() {
        return Err(fault::invalid(format!("`{arn}` can have no tags")));
    }
    type Holds<'a> = &'a dyn Fn(&str) -> bool;
    let kinds: [(&str, Holds<'_>); 8] = [
        ("thinggroup", &|name| state.groups.contains_key(name)),
        ("thingtype", &|name| state.types.contains_key(name)),
        ("billinggroup", &|name| state.billing_groups.contains_key(name)),
        ("policy", &|name| state.policies.contains_key(name)),
        ("provisioningtemplate", &|name| state.templates.contains_key(name)),
        ("rolealias", &|name| state.role_aliases.contains_key(name)),
        ("fleetmetric", &|name| state.fleet_metrics.contains_key(name)),
        ("cacert", &|name| state.cas.contains_key(name)),
    ];
    let exists = kinds.iter().find_map(|(kind, holds)| named(kind).map(holds));
    // What nobody else keeps tags of has them here, whether it exists or not.
    match exists.unwrap_or(true) {
        true => Ok(()),
        false => Err(fault::not_found("resource", arn)),
    }
}
