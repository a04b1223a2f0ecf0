//! CloudFormation types of SQS.
//!
//! A template writes all attributes of a queue except its policy, which is a resource
//! of its own and survives an update of the queue.

use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Fault, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};
use serde_json::{Map, Value};

use super::attribute::Attributes;
use super::queue::FIFO;
use super::{Queues, name_of};

/// Registers the handlers.
pub(super) fn register(cloud: &Cloud, queues: &Arc<Queues>) {
    Immediate {
        service: queues.clone(),
        type_name: "AWS::SQS::Queue",
        create,
        update,
        delete: |queues, request| queues.remove(name_of(request.physical_id()?)).map_err(gone),
    }
    .register(cloud);
    Immediate {
        service: queues.clone(),
        type_name: "AWS::SQS::QueuePolicy",
        create: put_policy,
        update: update_policy,
        delete: |queues, request| set_policy(queues, &request.members()?, ""),
    }
    .register(cloud);
}

type Changed = Result<(ResourceState, Commit), ResourceFault>;

fn create(queues: &Queues, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let fifo = loose::flag(&input, "FifoQueue")?.unwrap_or(false);
    let name = match loose::text(&input, "QueueName")? {
        Some(name) => name,
        None if fifo => request.generated_name(80 - FIFO.len()) + FIFO,
        None => request.generated_name(80),
    };
    if queues.all().contains_key(&name) {
        let message = format!("queue `{name}` exists already");
        return Err(ResourceFault::failed("AlreadyExists", message));
    }
    let commit = queues.make(&name, attributes(&input)?, request.tags()?)?;
    Ok((state(queues, &name)?, commit))
}

fn update(queues: &Queues, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let name = name_of(request.physical_id()?);
    let wanted = attributes(&input)?;
    let tags = request.tags()?;
    queues.judge(name, &wanted)?;
    let commit = queues.change(name, |queue| {
        // The policy belongs to another resource; all else is what the template says.
        let policy = queue.attributes.remove("Policy");
        queue.attributes = wanted;
        queue.attributes.extend(policy.map(|policy| ("Policy".to_owned(), policy)));
        queue.tags = tags;
        Ok(())
    })?;
    Ok((state(queues, name)?, commit))
}

fn state(queues: &Queues, name: &str) -> Result<ResourceState, Fault> {
    let url = queues.url(name)?;
    Ok(ResourceState::new(url.clone())
        .with("Arn", queues.arn(name))
        .with("QueueName", name)
        .with("QueueUrl", url))
}

fn attributes(input: &Map<String, Value>) -> Result<Attributes, Fault> {
    let mut found = Attributes::new();
    for (name, value) in input {
        match name.as_str() {
            "QueueName" | "Tags" => {}
            "RedrivePolicy" | "RedriveAllowPolicy" => {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                found.insert(name.clone(), text);
            }
            _ => {
                found.insert(name.clone(), loose::text(input, name)?.unwrap_or_default());
            }
        }
    }
    if found.get("FifoQueue").is_some_and(|value| value == "false") {
        found.remove("FifoQueue");
    }
    Ok(found)
}

fn put_policy(queues: &Queues, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let commit = set_policy(queues, &input, &crate::policy::of_template(&input)?)?;
    Ok((ResourceState::new(request.generated_name(128)), commit))
}

fn update_policy(queues: &Queues, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    if let Some(Value::Object(previous)) = &request.previous {
        // A queue that is no longer named loses the policy.
        let kept = loose::texts(&input, "Queues")?;
        for queue in loose::texts(previous, "Queues")?.iter().filter(|queue| !kept.contains(queue))
        {
            let emptied = Attributes::from_iter([("Policy".to_owned(), String::new())]);
            match queues.configure(name_of(queue), emptied, None) {
                Ok(_) => {}
                Err(fault) if fault.code == "QueueDoesNotExist" => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }
    let commit = set_policy(queues, &input, &crate::policy::of_template(&input)?)?;
    Ok((ResourceState::new(request.physical_id()?), commit))
}

fn set_policy(
    queues: &Queues,
    input: &Map<String, Value>,
    policy: &str,
) -> Result<Commit, ResourceFault> {
    let mut last = queues.store.commit(queues.store.batch());
    for queue in loose::texts(input, "Queues")? {
        let attributes = Attributes::from_iter([("Policy".to_owned(), policy.to_owned())]);
        last = queues.configure(name_of(&queue), attributes, None).map_err(gone)?;
    }
    Ok(last)
}

/// Says in CloudFormation's word that a queue is gone.
fn gone(fault: Fault) -> ResourceFault {
    if fault.code == "QueueDoesNotExist" {
        return ResourceFault::failed("NotFound", fault.message);
    }
    fault.into()
}
