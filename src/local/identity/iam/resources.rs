//! `AWS::IAM::Role`, `AWS::IAM::Policy`, `AWS::IAM::RolePolicy`,
//! `AWS::IAM::ManagedPolicy`.
//!
//! An update sets what the template says and removes what only the template
//! before it said, so that policies that others attached stay.

use std::collections::BTreeSet;
use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Fault, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};
use serde_json::{Map, Value};

use super::operations::NewEntity;
use super::{Iam, Kind};

/// Registers the handlers.
pub(crate) fn register(cloud: &Cloud, iam: &Arc<Iam>) {
    let service = || iam.clone();
    Immediate {
        service: service(),
        type_name: "AWS::IAM::Role",
        create: create_role,
        update: update_role,
        delete: delete_role,
    }
    .register(cloud);
    Immediate {
        service: service(),
        type_name: "AWS::IAM::Policy",
        create: create_policy,
        update: update_policy,
        delete: delete_policy,
    }
    .register(cloud);
    Immediate {
        service: service(),
        type_name: "AWS::IAM::RolePolicy",
        create: put_role_policy,
        update: update_role_policy,
        delete: delete_role_policy,
    }
    .register(cloud);
    Immediate {
        service: service(),
        type_name: "AWS::IAM::ManagedPolicy",
        create: create_managed,
        update: update_managed,
        delete: delete_managed,
    }
    .register(cloud);
}

type Made = Result<(ResourceState, Commit), ResourceFault>;

fn create_role(iam: &Iam, request: &ResourceRequest) -> Made {
    let members = request.members()?;
    let name = match loose::text(&members, "RoleName")? {
        Some(name) => name,
        None => request.generated_name(64),
    };
    let trust = document(&members, "AssumeRolePolicyDocument")?
        .ok_or_else(|| Fault::invalid_input("AssumeRolePolicyDocument is required"))?;
    let (_, commit) = iam.add(NewEntity {
        kind: Kind::Role,
        name: name.clone(),
        path: loose::text(&members, "Path")?,
        trust: Some(trust),
        description: loose::text(&members, "Description")?,
        longest_session_seconds: loose::integer(&members, "MaxSessionDuration")?,
        boundary: loose::text(&members, "PermissionsBoundary")?,
        tags: request.tags()?.into_iter().collect(),
    })?;
    match role_policies(iam, &name, &members, &Map::new()) {
        Ok(commit_of_policies) => {
            Ok((role_state(iam, &name)?, commit_of_policies.unwrap_or(commit)))
        }
        Err(fault) => {
            // Half a role must not stay behind.
            let _ = iam.edit(Kind::Role, &name, |role| {
                role.attached.clear();
                role.inline.clear();
                Ok(())
            });
            let _ = iam.drop_entity(Kind::Role, &name);
            Err(fault.into())
        }
    }
}

fn update_role(iam: &Iam, request: &ResourceRequest) -> Made {
    let name = request.physical_id()?;
    let members = request.members()?;
    let previous = previous(request);
    let role = iam
        .entity(Kind::Role, name)
        .ok_or_else(|| ResourceFault::failed("NotFound", format!("the role {name} is gone")))?;
    let renamed = loose::text(&members, "RoleName")?.is_some_and(|wanted| wanted != role.name);
    let path = loose::text(&members, "Path")?.unwrap_or_else(|| "/".to_owned());
    if renamed || path != role.path {
        return Err(ResourceFault::Replace);
    }
    if let Some(trust) = document(&members, "AssumeRolePolicyDocument")? {
        let _earlier = iam.set_trust(name, &trust)?;
    }
    let description = loose::text(&members, "Description")?;
    let longest = loose::integer(&members, "MaxSessionDuration")?.unwrap_or(3600);
    let boundary = loose::text(&members, "PermissionsBoundary")?;
    let tags = request.tags()?;
    let ((), commit) = iam.edit(Kind::Role, name, |role| {
        role.description = description;
        role.longest_session_seconds = longest;
        role.boundary = boundary;
        role.tags = tags;
        Ok(())
    })?;
    let later = role_policies(iam, name, &members, &previous)?;
    Ok((role_state(iam, name)?, later.unwrap_or(commit)))
}

fn delete_role(iam: &Iam, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let name = request.physical_id()?;
    let members = request.members()?;
    // What the template attached goes with the role; what others did is in the way.
    role_policies(iam, name, &Map::new(), &members).map_err(not_found_is_fine)?;
    Ok(iam.drop_entity(Kind::Role, name)?)
}

/// Sets inline and attached policies; removes those that only `previous` names.
fn role_policies(
    iam: &Iam,
    name: &str,
    members: &Map<String, Value>,
    previous: &Map<String, Value>,
) -> Result<Option<Commit>, Fault> {
    let mut last = None;
    let inline = inline_policies(members)?;
    for (policy, document) in &inline {
        last = Some(iam.set_inline(Kind::Role, name, policy, document)?);
    }
    for (policy, _) in inline_policies(previous)? {
        if !inline.iter().any(|(kept, _)| *kept == policy) {
            last = tolerate(iam.drop_inline(Kind::Role, name, &policy))?.or(last);
        }
    }
    let attached: BTreeSet<String> =
        loose::texts(members, "ManagedPolicyArns")?.into_iter().collect();
    for arn in &attached {
        last = Some(iam.attach_policy(Kind::Role, name, arn)?);
    }
    for arn in loose::texts(previous, "ManagedPolicyArns")? {
        if !attached.contains(&arn) {
            last = tolerate(iam.detach_policy(Kind::Role, name, &arn))?.or(last);
        }
    }
    Ok(last)
}

fn role_state(iam: &Iam, name: &str) -> Result<ResourceState, ResourceFault> {
    let role = iam.entity(Kind::Role, name);
    let role = role.ok_or_else(|| ResourceFault::failed("NotFound", "the role is gone"))?;
    Ok(ResourceState::new(name).with("Arn", role.arn(&iam.account)).with("RoleId", role.id))
}

fn create_policy(iam: &Iam, request: &ResourceRequest) -> Made {
    let commit = inline_on_all(iam, request, &Map::new())?;
    let id = request.generated_name(128);
    Ok((ResourceState::new(&id).with("Id", id.as_str()), commit))
}

fn update_policy(iam: &Iam, request: &ResourceRequest) -> Made {
    let id = request.physical_id()?;
    let commit = inline_on_all(iam, request, &previous(request))?;
    Ok((ResourceState::new(id).with("Id", id), commit))
}

fn delete_policy(iam: &Iam, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let members = request.members()?;
    let name = loose::required(&members, "PolicyName")?;
    let mut last = None;
    for (kind, holder) in holders(&members)? {
        last = tolerate(iam.drop_inline(kind, &holder, &name))?.or(last);
    }
    last.ok_or_else(|| ResourceFault::failed("NotFound", "nobody has the policy any more"))
}

/// Puts the policy on everybody named, and takes it from those named before.
fn inline_on_all(
    iam: &Iam,
    request: &ResourceRequest,
    previous: &Map<String, Value>,
) -> Result<Commit, ResourceFault> {
    let members = request.members()?;
    let name = loose::required(&members, "PolicyName")?;
    let document = document(&members, "PolicyDocument")?
        .ok_or_else(|| Fault::invalid_input("PolicyDocument is required"))?;
    let named = holders(&members)?;
    let mut last = None;
    for (kind, holder) in &named {
        last = Some(iam.set_inline(*kind, holder, &name, &document)?);
    }
    if let Some(old) = loose::text(previous, "PolicyName")? {
        for (kind, holder) in holders(previous)? {
            if old != name || !named.contains(&(kind, holder.clone())) {
                last = tolerate(iam.drop_inline(kind, &holder, &old))?.or(last);
            }
        }
    }
    last.ok_or_else(|| Fault::invalid_input("at least one of Roles and Users must be named").into())
}

fn holders(members: &Map<String, Value>) -> Result<Vec<(Kind, String)>, Fault> {
    if !loose::list(members, "Groups")?.is_empty() {
        return Err(Fault::not_implemented("groups of users"));
    }
    let roles = loose::texts(members, "Roles")?.into_iter().map(|name| (Kind::Role, name));
    let users = loose::texts(members, "Users")?.into_iter().map(|name| (Kind::User, name));
    Ok(roles.chain(users).collect())
}

fn put_role_policy(iam: &Iam, request: &ResourceRequest) -> Made {
    let members = request.members()?;
    let role = loose::required(&members, "RoleName")?;
    let name = loose::required(&members, "PolicyName")?;
    let document = document(&members, "PolicyDocument")?
        .ok_or_else(|| Fault::invalid_input("PolicyDocument is required"))?;
    let commit = iam.set_inline(Kind::Role, &role, &name, &document)?;
    Ok((ResourceState::new(format!("{name}|{role}")), commit))
}

fn update_role_policy(iam: &Iam, request: &ResourceRequest) -> Made {
    let (state, commit) = put_role_policy(iam, request)?;
    if state.physical_id == request.physical_id()? {
        Ok((state, commit))
    } else {
        Err(ResourceFault::Replace)
    }
}

fn delete_role_policy(iam: &Iam, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let (name, role) = request.physical_id()?.split_once('|').unwrap_or_default();
    Ok(iam.drop_inline(Kind::Role, role, name)?)
}

fn create_managed(iam: &Iam, request: &ResourceRequest) -> Made {
    let members = request.members()?;
    let name = match loose::text(&members, "ManagedPolicyName")? {
        Some(name) => name,
        None => request.generated_name(128),
    };
    let document = document(&members, "PolicyDocument")?
        .ok_or_else(|| Fault::invalid_input("PolicyDocument is required"))?;
    let (policy, commit) = iam.add_policy(
        &name,
        loose::text(&members, "Path")?,
        &document,
        loose::text(&members, "Description")?,
        request.tags()?.into_iter().collect(),
    )?;
    let mut last = commit;
    for (kind, holder) in holders(&members)? {
        last = iam.attach_policy(kind, &holder, &policy.arn)?;
    }
    Ok((managed_state(iam, &policy.arn)?, last))
}

fn update_managed(iam: &Iam, request: &ResourceRequest) -> Made {
    let arn = request.physical_id()?;
    let members = request.members()?;
    let previous = previous(request);
    for fixed in ["ManagedPolicyName", "Path", "Description"] {
        if loose::text(&members, fixed)? != loose::text(&previous, fixed)? {
            return Err(ResourceFault::Replace);
        }
    }
    let document = document(&members, "PolicyDocument")?
        .ok_or_else(|| Fault::invalid_input("PolicyDocument is required"))?;
    let (_, mut last) = iam.add_version(arn, &document, true, false)?;
    let named = holders(&members)?;
    for (kind, holder) in &named {
        last = iam.attach_policy(*kind, holder, arn)?;
    }
    for (kind, holder) in holders(&previous)? {
        if !named.contains(&(kind, holder.clone()))
            && let Some(commit) = tolerate(iam.detach_policy(kind, &holder, arn))?
        {
            last = commit;
        }
    }
    Ok((managed_state(iam, arn)?, last))
}

fn delete_managed(iam: &Iam, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let arn = request.physical_id()?;
    for (kind, holder) in holders(&request.members()?)? {
        let _earlier = tolerate(iam.detach_policy(kind, &holder, arn))?;
    }
    let _earlier = iam.drop_old_versions(arn)?;
    Ok(iam.drop_policy(arn)?)
}

fn managed_state(iam: &Iam, arn: &str) -> Result<ResourceState, ResourceFault> {
    let shown = iam.own_policy(arn)?.listed(iam.uses(arn));
    let mut state = ResourceState::new(arn).with("PolicyArn", arn);
    for name in [
        "AttachmentCount",
        "CreateDate",
        "DefaultVersionId",
        "IsAttachable",
        "PermissionsBoundaryUsageCount",
        "PolicyId",
        "UpdateDate",
    ] {
        state = state.with(name, shown[name].clone());
    }
    Ok(state)
}

fn inline_policies(members: &Map<String, Value>) -> Result<Vec<(String, String)>, Fault> {
    let mut found = Vec::new();
    for policy in loose::list(members, "Policies")? {
        let Value::Object(policy) = policy else {
            return Err(Fault::invalid_input("Policies must be a list of objects"));
        };
        let document = document(&policy, "PolicyDocument")?
            .ok_or_else(|| Fault::invalid_input("a policy needs a PolicyDocument"))?;
        found.push((loose::required(&policy, "PolicyName")?, document));
    }
    Ok(found)
}

/// A document, which templates write as an object or as a text.
fn document(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match members.get(name) {
        Some(document @ Value::Object(_)) => Ok(Some(document.to_string())),
        _ => loose::text(members, name),
    }
}

fn previous(request: &ResourceRequest) -> Map<String, Value> {
    request.previous.as_ref().and_then(Value::as_object).cloned().unwrap_or_default()
}

/// What is gone already needs no removal.
fn tolerate(outcome: Result<Commit, Fault>) -> Result<Option<Commit>, Fault> {
    match outcome {
        Ok(commit) => Ok(Some(commit)),
        Err(fault) if fault.code == "NoSuchEntity" => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn not_found_is_fine(fault: Fault) -> ResourceFault {
    if fault.code == "NoSuchEntity" {
        return ResourceFault::failed("NotFound", fault.message);
    }
    fault.into()
}
