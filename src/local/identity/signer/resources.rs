//! `AWS::Signer::SigningProfile`: only the two platforms that CloudFormation
//! takes, which sign with keys of Signer's own.
//!
//! The platform for devices needs the API, as on AWS.

use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};

use super::Signer;
use super::profile::NewProfile;

/// Registers the handler.
pub(crate) fn register(cloud: &Cloud, signer: &Arc<Signer>) {
    Immediate {
        service: signer.clone(),
        type_name: "AWS::Signer::SigningProfile",
        create,
        update,
        delete,
    }
    .register(cloud);
}

fn create(
    signer: &Signer,
    request: &ResourceRequest,
) -> Result<(ResourceState, Commit), ResourceFault> {
    let members = request.members()?;
    let platform = loose::required(&members, "PlatformId")?;
    if !["AWSLambda-SHA384-ECDSA", "Notation-OCI-SHA384-ECDSA"].contains(&platform.as_str()) {
        let reason = format!(
            "CloudFormation makes profiles for AWSLambda-SHA384-ECDSA and \
             Notation-OCI-SHA384-ECDSA, not for {platform}"
        );
        return Err(ResourceFault::failed("InvalidRequest", reason));
    }
    let name = match loose::text(&members, "ProfileName")? {
        Some(name) => name,
        None => request.generated_name(64).replace('-', "_"),
    };
    let validity = loose::object(&members, "SignatureValidityPeriod")?;
    let validity = match loose::integer(&validity, "Value")? {
        Some(value) => Some((value, loose::required(&validity, "Type")?)),
        None => None,
    };
    let (profile, commit) = signer.add_profile(NewProfile {
        name,
        platform,
        certificate: None,
        validity,
        overrides: Default::default(),
        parameters: Default::default(),
        tags: request.tags()?.into_iter().collect(),
    })?;
    Ok((state(signer, &profile.name)?, commit))
}

fn update(
    signer: &Signer,
    request: &ResourceRequest,
) -> Result<(ResourceState, Commit), ResourceFault> {
    let name = name_of(request)?;
    let tags = request.tags()?.into_iter().collect();
    let ((), commit) = signer.profiles.change(|profiles| {
        let mut profile = profiles
            .get(&name)
            .cloned()
            .ok_or_else(|| super::not_found(format!("there is no signing profile `{name}`")))?;
        profile.tags.clear();
        crate::wire::add_tags(&mut profile.tags, tags)?;
        profiles.put(&name, profile);
        Ok(())
    })?;
    Ok((state(signer, &name)?, commit))
}

fn delete(signer: &Signer, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    Ok(signer.cancel(&name_of(request)?)?)
}

/// The physical id is the profile's ARN.
fn name_of(request: &ResourceRequest) -> Result<String, ResourceFault> {
    let arn = request.physical_id()?;
    Ok(arn.rsplit('/').next().unwrap_or(arn).to_owned())
}

fn state(signer: &Signer, name: &str) -> Result<ResourceState, ResourceFault> {
    let profile = signer.profile(name)?;
    let arn = signer.profile_arn(&profile);
    Ok(ResourceState::new(arn.as_str())
        .with("Arn", arn.as_str())
        .with("ProfileVersionArn", signer.version_arn(&profile))
        .with("ProfileName", profile.name)
        .with("ProfileVersion", profile.version))
}
