//! CloudFormation types of CloudWatch.
//!
//! They make the same calls as the API does.
//! An alarm that is there already is not taken over by a stack.

use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};
use serde_json::json;

use super::CloudWatch;

/// Registers the handlers.
pub(super) fn register(cloud: &Cloud, watch: &Arc<CloudWatch>) {
    Immediate {
        service: watch.clone(),
        type_name: "AWS::CloudWatch::Alarm",
        create: |watch, request| put_alarm(watch, request, false),
        update: |watch, request| put_alarm(watch, request, false),
        delete: |watch, request| Ok(watch.remove_alarms(&[request.physical_id()?.to_owned()])?),
    }
    .register(cloud);
    Immediate {
        service: watch.clone(),
        type_name: "AWS::CloudWatch::CompositeAlarm",
        create: |watch, request| put_alarm(watch, request, true),
        update: |watch, request| put_alarm(watch, request, true),
        delete: |watch, request| Ok(watch.remove_alarms(&[request.physical_id()?.to_owned()])?),
    }
    .register(cloud);
    Immediate {
        service: watch.clone(),
        type_name: "AWS::CloudWatch::Dashboard",
        create: put_dashboard,
        update: put_dashboard,
        delete: |watch, request| Ok(watch.remove_dashboards(&[request.physical_id()?.to_owned()])?),
    }
    .register(cloud);
}

type Changed = Result<(ResourceState, Commit), ResourceFault>;

fn put_alarm(watch: &CloudWatch, request: &ResourceRequest, composite: bool) -> Changed {
    let mut input = request.members()?;
    let name = match (&request.physical_id, loose::text(&input, "AlarmName")?) {
        (Some(id), _) => id.clone(),
        (None, Some(name)) => {
            if watch.alarms().all.contains_key(&name) {
                let message = format!("alarm `{name}` exists already");
                return Err(ResourceFault::failed("AlreadyExists", message));
            }
            name
        }
        (None, None) => request.generated_name(255),
    };
    input.insert("AlarmName".to_owned(), json!(name));
    input.insert("Tags".to_owned(), json!(request.tags()?));
    let commit = watch.put_alarm(&input, composite)?;
    let arn = watch.alarm_arn(&name);
    Ok((ResourceState::new(name).with("Arn", arn), commit))
}

fn put_dashboard(watch: &CloudWatch, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let name = match (&request.physical_id, loose::text(&input, "DashboardName")?) {
        (Some(id), _) => id.clone(),
        (None, Some(name)) => name,
        (None, None) => request.generated_name(255),
    };
    let body = loose::required(&input, "DashboardBody")?;
    let commit = watch.keep_dashboard(name.clone(), body)?;
    Ok((ResourceState::new(name), commit))
}
