//! Carrying a plan out: one change that happens as a whole or not at all.
//!
//! Everything that can be refused is asked first; then nothing can fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{Fault, id};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::plan::{CertificatePlan, CertificateSource, Override, Plan, PolicyPlan, ThingPlan};
use crate::api::things::{NewThing, ThingChange};
use crate::ca::Issued;
use crate::core::Tx;
use crate::fault;
use crate::policy::Document;
use crate::state::CertStatus;

/// What was made.
#[derive(Debug, Default)]
pub struct Registered {
    pub thing_name: Option<String>,
    pub certificate_pem: Option<String>,
    /// ARNs by the logical names of the template.
    pub arns: Map<String, Value>,
}

/// Carries a plan out. `issued` is the certificate of the plan's signing request;
/// `owned` is a certificate whose owner is being provisioned.
///
/// # Errors
/// What the plan cannot have.
pub fn register(
    tx: &mut Tx<'_>,
    plan: &Plan,
    issued: Option<&Issued>,
    owned: Option<&str>,
) -> Result<Registered, Fault> {
    let certificate = match &plan.certificate {
        Some(wanted) => Some((wanted, certificate_id(tx, wanted, issued)?)),
        None => None,
    };
    if let (Some(owned), Some((_, id))) = (owned, &certificate)
        && owned != id
    {
        return Err(fault::registration_failure(format!(
            "the template provisions certificate `{id}`, not the one that the device owns"
        )));
    }
    let key: Option<Arc<str>> =
        certificate.as_ref().map(|(_, id)| tx.arn(format_args!("cert/{id}")).into());
    let change = match &plan.thing {
        Some(thing) => {
            if let (Some((wanted, _)), Some(key)) = (&certificate, &key) {
                tx.check_attachment(&thing.name, key, wanted.exclusive)?;
            }
            Some((thing, check_thing(tx, thing)?))
        }
        None => None,
    };
    check_policies(tx, plan, key.as_ref())?;

    // From here on nothing is refused: what is asked again was checked above.
    let mut done = Registered::default();
    if let Some((wanted, id)) = certificate {
        let logical = wanted.logical.clone();
        apply_certificate(tx, wanted, &id, issued)?;
        done.certificate_pem = Some(tx.certificate(&id)?.pem());
        done.arns.insert(logical, json!(tx.arn(format_args!("cert/{id}"))));
    }
    if let Some((thing, change)) = change {
        apply_thing(tx, thing, change)?;
        if let (Some(wanted), Some(key)) = (&plan.certificate, &key) {
            tx.apply_attachment(&thing.name, key, wanted.exclusive);
        }
        done.thing_name = Some(thing.name.clone());
        let arn = tx.arn(format_args!("thing/{}", thing.name));
        done.arns.insert(thing.logical.clone(), json!(arn));
    }
    for policy in &plan.policies {
        let (logical, name) = match policy {
            PolicyPlan::Named(logical, name) => (logical, name.clone()),
            PolicyPlan::Document(logical, document) => (logical, policy_of(tx, document)?),
        };
        if let Some(key) = &key {
            tx.attach_policy(&name, key)?;
        }
        done.arns.insert(logical.clone(), json!(tx.arn(format_args!("policy/{name}"))));
    }
    Ok(done)
}

/// The policy with a document, made if it is not there; its name is made of a hash.
///
/// # Errors
/// If the document is no policy.
pub fn policy_of(tx: &mut Tx<'_>, document: &str) -> Result<String, Fault> {
    let name = id::hex(&Sha256::digest(document.as_bytes()));
    if !tx.state.policies.contains_key(&*name) {
        tx.create_policy(&name, document)?;
    }
    Ok(name)
}

/// What becomes of the thing of a plan.
enum ThingStep {
    Make(NewThing),
    Change { change: Option<ThingChange>, add: Vec<String>, remove: Vec<String> },
}

fn check_thing(tx: &Tx<'_>, plan: &ThingPlan) -> Result<ThingStep, Fault> {
    for group in &plan.groups {
        if tx.group(group)?.dynamic.is_some() {
            return Err(fault::invalid(format!(
                "things join the dynamic thing group `{group}` by its query alone"
            )));
        }
    }
    let Some(thing) = tx.state.things.get(&*plan.name) else {
        let new = NewThing {
            name: plan.name.clone(),
            thing_type: plan.thing_type.clone(),
            attributes: plan.attributes.clone(),
            billing_group: plan.billing_group.clone(),
        };
        tx.check_new_thing(&new)?;
        tx.check_joining(std::iter::empty(), &plan.name, &plan.groups, &[], false)?;
        return Ok(ThingStep::Make(new));
    };
    let conflict = |what: &str| {
        fault::conflicting_update(format!(
            "thing `{}` exists with another {what}, and the template says FAIL",
            plan.name
        ))
    };
    let mut change = ThingChange::default();
    match plan.attributes_if_exists {
        Override::DoNothing => {}
        Override::Replace => change.attributes = Some((plan.attributes.clone(), false)),
        Override::Merge => change.attributes = Some((plan.attributes.clone(), true)),
        Override::Fail if thing.attributes != plan.attributes => {
            return Err(conflict("attributes"));
        }
        Override::Fail => {}
    }
    let same_type = thing.thing_type.as_deref() == plan.thing_type.as_deref();
    match plan.type_if_exists {
        Override::Replace if !same_type => {
            change.thing_type = plan.thing_type.clone();
            change.remove_type = plan.thing_type.is_none();
        }
        Override::Fail if !same_type => return Err(conflict("type")),
        _ => {}
    }
    let is_static =
        |group: &str| tx.state.groups.get(group).is_some_and(|group| group.dynamic.is_none());
    let has: Vec<String> = thing
        .groups
        .iter()
        .filter(|group| is_static(group))
        .map(|group| group.to_string())
        .collect();
    let mut wanted = plan.groups.clone();
    wanted.sort();
    let (add, remove) = match plan.groups_if_exists {
        Override::DoNothing => (Vec::new(), Vec::new()),
        Override::Merge => (wanted, Vec::new()),
        Override::Replace => {
            let gone = has.into_iter().filter(|group| !wanted.contains(group)).collect();
            (wanted, gone)
        }
        Override::Fail if has != wanted => return Err(conflict("thing groups")),
        Override::Fail => (Vec::new(), Vec::new()),
    };
    tx.check_membership(&plan.name, &add, &remove, false)?;
    let changes = change.attributes.is_some() || change.thing_type.is_some() || change.remove_type;
    let change = changes.then_some(change);
    if let Some(change) = &change {
        // The same rules as for a new thing, with what it will have.
        let mut attributes = thing.attributes.clone();
        if let Some((new, merge)) = &change.attributes {
            if !merge {
                attributes = BTreeMap::new();
            }
            attributes.extend(new.clone());
        }
        let thing_type = match (&change.thing_type, change.remove_type) {
            (Some(name), _) => Some(name.clone()),
            (None, true) => None,
            (None, false) => None.or_else(|| thing.thing_type.as_deref().map(str::to_owned)),
        };
        tx.check_changed_thing(&attributes, thing_type.as_deref(), change.thing_type.is_some())?;
    }
    Ok(ThingStep::Change { change, add, remove })
}

fn apply_thing(tx: &mut Tx<'_>, plan: &ThingPlan, step: ThingStep) -> Result<(), Fault> {
    match step {
        ThingStep::Make(new) => {
            tx.create_thing(new);
            tx.apply_membership(&plan.name, &plan.groups, &[]);
        }
        ThingStep::Change { change, add, remove } => {
            if let Some(change) = change {
                tx.update_thing(&plan.name, change)?;
            }
            tx.apply_membership(&plan.name, &add, &remove);
        }
    }
    Ok(())
}

/// The id of the certificate of a plan, after it was checked.
fn certificate_id(
    tx: &Tx<'_>,
    plan: &CertificatePlan,
    issued: Option<&Issued>,
) -> Result<String, Fault> {
    match &plan.source {
        CertificateSource::Id(id) => {
            let found = tx.certificate(id)?;
            if found.status == CertStatus::Revoked {
                return Err(fault::certificate_state(format!("certificate `{id}` is revoked")));
            }
            Ok(id.clone())
        }
        CertificateSource::Request => issued
            .map(|issued| issued.id.clone())
            .ok_or_else(|| fault::registration_failure("no certificate was issued")),
        CertificateSource::Pem(pem, ca) => tx.check_certificate(pem, ca.as_deref()),
    }
}

fn apply_certificate(
    tx: &mut Tx<'_>,
    plan: &CertificatePlan,
    id: &str,
    issued: Option<&Issued>,
) -> Result<(), Fault> {
    let status = if plan.active { CertStatus::Active } else { CertStatus::Inactive };
    match &plan.source {
        CertificateSource::Id(_) => {
            let found = tx.certificate(id)?;
            let fresh = found.status == CertStatus::PendingActivation;
            if fresh || plan.status_if_exists == Override::Replace {
                tx.set_certificate_status(id, status)?;
            }
            tx.settle_ownership(id);
            Ok(())
        }
        CertificateSource::Request => {
            if let Some(issued) = issued {
                let certificate = tx.new_certificate(issued, status);
                tx.put_certificate(certificate);
            }
            Ok(())
        }
        CertificateSource::Pem(pem, ca) => {
            if !tx.state.certificates.contains_key(id) {
                match ca {
                    Some(_) => tx.register_certificate(pem, ca.as_deref(), status)?,
                    None => tx.register_alone(pem, status)?,
                };
            } else if plan.status_if_exists == Override::Replace {
                tx.set_certificate_status(id, status)?;
            }
            Ok(())
        }
    }
}

fn check_policies(tx: &Tx<'_>, plan: &Plan, key: Option<&Arc<str>>) -> Result<(), Fault> {
    for policy in &plan.policies {
        match policy {
            PolicyPlan::Named(_, name) => {
                tx.policy(name)?;
            }
            PolicyPlan::Document(_, document) => {
                Document::parse_new(document).map_err(fault::malformed_policy)?;
            }
        }
    }
    let has = key
        .and_then(|key| tx.state.principals.get(key))
        .map_or(0, |principal| principal.policies.len());
    if has + plan.policies.len() > MOST_POLICIES {
        return Err(fault::limit(format!(
            "the certificate would have {} policies; {MOST_POLICIES} are the most",
            has + plan.policies.len()
        )));
    }
    Ok(())
}

const MOST_POLICIES: usize = 10;
