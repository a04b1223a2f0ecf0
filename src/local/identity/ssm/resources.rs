//! `AWS::SSM::Parameter`: String and StringList, as CloudFormation makes them.
//!
//! SecureString is refused as CloudFormation does. An update writes a new version
//! and sets the tags that the template wants.

use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};

use super::parameter::Kind;
use super::{Parameters, Wanted};
use crate::wire::add_tags;

/// Registers the handler.
pub(crate) fn register(cloud: &Cloud, parameters: &Arc<Parameters>) {
    Immediate {
        service: parameters.clone(),
        type_name: "AWS::SSM::Parameter",
        create,
        update,
        delete,
    }
    .register(cloud);
}

type Made = Result<(ResourceState, Commit), ResourceFault>;

fn create(parameters: &Parameters, request: &ResourceRequest) -> Made {
    let members = request.members()?;
    let name = match loose::text(&members, "Name")? {
        Some(name) => name,
        None => format!("CFN-{}", request.generated_name(500)),
    };
    write(parameters, request, &name, false)
}

fn update(parameters: &Parameters, request: &ResourceRequest) -> Made {
    let name = request.physical_id()?;
    let members = request.members()?;
    if loose::text(&members, "Name")?.is_some_and(|wanted| wanted != name) {
        return Err(ResourceFault::Replace);
    }
    let (state, _earlier) = write(parameters, request, name, true)?;
    let tags = request.tags()?.into_iter().collect();
    let ((), commit) = parameters.edit(name, |parameter| {
        parameter.tags.clear();
        add_tags(&mut parameter.tags, tags)
    })?;
    Ok((state, commit))
}

fn delete(parameters: &Parameters, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let name = request.physical_id()?;
    Ok(parameters.drop_parameter(name)?)
}

fn write(parameters: &Parameters, request: &ResourceRequest, name: &str, overwrite: bool) -> Made {
    let members = request.members()?;
    let kind = Kind::parse(&loose::required(&members, "Type")?)?;
    if kind == Kind::SecureString {
        let reason = "CloudFormation makes no parameters of type SecureString";
        return Err(ResourceFault::failed("InvalidRequest", reason));
    }
    let value = loose::required(&members, "Value")?;
    // A template says all of it: what it leaves out is taken away.
    let said = |text: Option<String>| if overwrite { text.or(Some(String::new())) } else { text };
    let (_, commit) = parameters.write(Wanted {
        name: name.to_owned(),
        value: value.clone(),
        kind: Some(kind),
        description: said(loose::text(&members, "Description")?),
        key: None,
        pattern: said(loose::text(&members, "AllowedPattern")?),
        tier: loose::text(&members, "Tier")?,
        data_type: loose::text(&members, "DataType")?.unwrap_or_else(|| "text".to_owned()),
        overwrite,
        tags: if overwrite { Vec::new() } else { request.tags()?.into_iter().collect() },
        by: "cloudformation.amazonaws.com".to_owned(),
    })?;
    let type_name = if kind == Kind::StringList { "StringList" } else { "String" };
    Ok((ResourceState::new(name).with("Type", type_name).with("Value", value), commit))
}
