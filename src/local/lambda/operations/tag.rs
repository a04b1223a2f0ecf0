//! Tags of functions, and what the account is told about its limits.
//!
//! Tags belong to the function, not to its versions. The limits of the account are
//! AWS's numbers; none of them is enforced beyond what other files say.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Call, Commit, Fault, Reply, loose};
use serde_json::json;

use crate::error::invalid;
use crate::name::FunctionName;
use crate::service::Lambda;

impl Lambda {
    pub(crate) fn tag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let added = loose::pairs(&call.input, "Tags", ("Key", "Value"))?;
        let ((), commit) = self.change(&tagged(&call)?, |function| {
            function.tags.extend(added);
            judge(&function.tags)
        })?;
        Ok((Reply::empty().status(204), commit))
    }

    pub(crate) fn untag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let removed = loose::texts(&call.input, "TagKeys")?;
        let ((), commit) = self.change(&tagged(&call)?, |function| {
            function.tags.retain(|key, _| !removed.contains(key));
            Ok(())
        })?;
        Ok((Reply::empty().status(204), commit))
    }

    pub(crate) fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        self.read(&tagged(&call)?, |function| Ok(json!({"Tags": function.tags}).into()))
    }

    pub(crate) fn account_settings(&self, _: Call) -> Result<Reply, Fault> {
        let functions = self.functions();
        let size: u64 = functions.values().map(|function| function.latest.code_size).sum();
        let reserved: u32 =
            functions.values().filter_map(|function| function.reserved_concurrency).sum();
        Ok(json!({
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800_u64,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": 1000,
                "UnreservedConcurrentExecutions": 1000_u32.saturating_sub(reserved),
            },
            "AccountUsage": {"TotalCodeSize": size, "FunctionCount": functions.len()},
        })
        .into())
    }
}

/// Judges the tags of a function.
pub(super) fn judge(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > 50 {
        return Err(invalid(format!("a function has at most 50 tags, not {}", tags.len())));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid(format!(
                "tag `{key}` must have a key of 1 to 128 and a value of up to 256 characters"
            )));
        }
        if key.starts_with("aws:") {
            return Err(invalid(format!("tag `{key}` must not begin with `aws:`")));
        }
    }
    Ok(())
}

fn tagged(call: &Call) -> Result<FunctionName, Fault> {
    let name = FunctionName::parse(call.text("Resource")?, None)?;
    if name.qualifier.is_some() {
        return Err(invalid("versions and aliases have no tags; tag the function"));
    }
    Ok(name)
}
