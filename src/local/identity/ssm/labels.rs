//! Labels of versions, and tags of parameters.

use iotstack_local_kernel::{Call, Fault, Reply, loose};
use serde_json::json;

use super::{Parameter, Parameters, no_resource};
use crate::records::Written;
use crate::wire::{add_tags, tag_list};

impl Parameters {
    pub(super) fn label(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "Name")?;
        let labels = loose::texts(&call.input, "Labels")?;
        let wanted = loose::integer(&call.input, "ParameterVersion")?;
        let (reply, commit) = self.edit(&name, |parameter| {
            let number = match wanted.and_then(|number| u64::try_from(number).ok()) {
                Some(number) => number,
                None => parameter.newest().number,
            };
            let invalid = parameter.label(number, &labels)?;
            Ok(json!({"InvalidLabels": invalid, "ParameterVersion": number}))
        })?;
        Ok((reply.into(), commit))
    }

    pub(super) fn unlabel(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "Name")?;
        let labels = loose::texts(&call.input, "Labels")?;
        let number = loose::integer(&call.input, "ParameterVersion")?
            .ok_or_else(|| Fault::invalid_input("ParameterVersion is required"))?;
        let (reply, commit) = self.edit(&name, |parameter| {
            let (removed, invalid) = parameter.unlabel(number, &labels)?;
            Ok(json!({"RemovedLabels": removed, "InvalidLabels": invalid}))
        })?;
        Ok((reply.into(), commit))
    }

    pub(super) fn tag(&self, call: Call) -> Written {
        let name = tagged(&call)?;
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?;
        let ((), commit) = self
            .edit(&name, |parameter| add_tags(&mut parameter.tags, tags))
            .map_err(no_resource)?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn untag(&self, call: Call) -> Written {
        let name = tagged(&call)?;
        let keys = loose::texts(&call.input, "TagKeys")?;
        let change = |parameter: &mut Parameter| {
            parameter.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        };
        let ((), commit) = self.edit(&name, change).map_err(no_resource)?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let parameter = self.named(&tagged(&call)?).map_err(no_resource)?;
        Ok(json!({"TagList": tag_list(&parameter.tags, ("Key", "Value"))}).into())
    }
}

/// The name of the parameter that tags are about.
fn tagged(call: &Call) -> Result<String, Fault> {
    let kind = loose::required(&call.input, "ResourceType")?;
    if kind != "Parameter" {
        let reason = format!("only resources of type Parameter are offered, not `{kind}`");
        return Err(Fault::new("InvalidResourceType", 400, reason));
    }
    loose::required(&call.input, "ResourceId")
}
