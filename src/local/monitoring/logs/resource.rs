//! CloudFormation types of CloudWatch Logs.
//!
//! They make the same calls as the API does. A stream of a template is made again, empty,
//! if the cloud was started anew without it.

use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Fault, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};
use serde_json::{Map, Value};

use super::filter::MetricFilter;
use super::group::{Group, judge_retention};
use super::subscription::Subscription;
use super::{Logs, no_group};

/// Registers the handlers.
pub(super) fn register(cloud: &Cloud, logs: &Arc<Logs>) {
    Immediate {
        service: logs.clone(),
        type_name: "AWS::Logs::LogGroup",
        create: create_group,
        update: update_group,
        delete: |logs, request| Ok(logs.remove(request.physical_id()?)?),
    }
    .register(cloud);
    Immediate {
        service: logs.clone(),
        type_name: "AWS::Logs::LogStream",
        create: create_stream,
        update: |_, _| Err(ResourceFault::Replace),
        delete: delete_stream,
    }
    .register(cloud);
    Immediate {
        service: logs.clone(),
        type_name: "AWS::Logs::MetricFilter",
        create: put_filter,
        update: put_filter,
        delete: |logs, request| {
            let input = request.members()?;
            let group = loose::required(&input, "LogGroupName")?;
            Ok(logs.drop_filter(&group, request.physical_id()?)?)
        },
    }
    .register(cloud);
    Immediate {
        service: logs.clone(),
        type_name: "AWS::Logs::SubscriptionFilter",
        create: put_subscription,
        update: put_subscription,
        delete: |logs, request| {
            let input = request.members()?;
            let group = loose::required(&input, "LogGroupName")?;
            Ok(logs.unsubscribe(&group, request.physical_id()?)?)
        },
    }
    .register(cloud);
    Immediate {
        service: logs.clone(),
        type_name: "AWS::Logs::ResourcePolicy",
        create: put_policy,
        update: put_policy,
        delete: |logs, request| Ok(logs.drop_policy(request.physical_id()?)?),
    }
    .register(cloud);
}

type Changed = Result<(ResourceState, Commit), ResourceFault>;

fn create_group(logs: &Logs, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let name = match loose::text(&input, "LogGroupName")? {
        Some(name) => name,
        None => request.generated_name(512),
    };
    let mut group = Group::new(&name, logs.clock.now());
    configure(&mut group, &input, request)?;
    let commit = logs.insert(group)?;
    Ok((state(logs, &name), commit))
}

fn update_group(logs: &Logs, request: &ResourceRequest) -> Changed {
    let (input, name) = (request.members()?, request.physical_id()?);
    let ((), commit) = logs.change(name, |group| configure(group, &input, request))?;
    Ok((state(logs, name), commit))
}

fn configure(
    group: &mut Group,
    input: &Map<String, Value>,
    request: &ResourceRequest,
) -> Result<(), Fault> {
    group.retention_days =
        loose::integer(input, "RetentionInDays")?.map(judge_retention).transpose()?;
    group.kms_key = loose::text(input, "KmsKeyId")?;
    if let Some(class) = loose::text(input, "LogGroupClass")? {
        group.class = class;
    }
    group.tags = request.tags()?;
    Ok(())
}

fn state(logs: &Logs, name: &str) -> ResourceState {
    ResourceState::new(name).with("Arn", format!("{}:*", logs.arn(name)))
}

fn create_stream(logs: &Logs, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let group = loose::required(&input, "LogGroupName")?;
    let name = match loose::text(&input, "LogStreamName")? {
        Some(name) => name,
        None => request.generated_name(512),
    };
    logs.add_stream(&group, &name)?;
    Ok((ResourceState::new(name), logs.store.commit(logs.store.batch())))
}

fn delete_stream(logs: &Logs, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let group = loose::required(&request.members()?, "LogGroupName")?;
    logs.remove_stream(&group, request.physical_id()?)?;
    Ok(logs.store.commit(logs.store.batch()))
}

/// Keeps a policy, which has no name but its own.
fn put_policy(logs: &Logs, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let name = loose::required(&input, "PolicyName")?;
    let document = loose::required(&input, "PolicyDocument")?;
    let (_, commit) = logs.keep_policy(&name, &document, logs.clock.now())?;
    Ok((ResourceState::new(name), commit))
}

fn put_filter(logs: &Logs, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let group = loose::required(&input, "LogGroupName")?;
    let name = filter_name(&input, request)?;
    if !logs.groups().all.contains_key(&group) {
        return Err(no_group().into());
    }
    let filter = MetricFilter::read(&input, true, &name, logs.clock.now())?;
    let commit = logs.add_filter(&group, filter)?;
    Ok((ResourceState::new(name), commit))
}

fn put_subscription(logs: &Logs, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let group = loose::required(&input, "LogGroupName")?;
    let name = filter_name(&input, request)?;
    let subscription = Subscription::read(&input, true, &name, logs.clock.now())?;
    let commit = logs.subscribe(&group, subscription)?;
    Ok((ResourceState::new(name), commit))
}

/// The name that a filter has, is given, or gets.
fn filter_name(input: &Map<String, Value>, request: &ResourceRequest) -> Result<String, Fault> {
    Ok(match (&request.physical_id, loose::text(input, "FilterName")?) {
        (Some(id), _) => id.clone(),
        (None, Some(name)) => name,
        (None, None) => request.generated_name(512),
    })
}
