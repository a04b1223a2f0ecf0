//! CloudFormation types of SNS.
//!
//! The policy of a topic is a resource of its own and survives an update of the topic.
//! A topic may bring subscriptions along; they go with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Fault, Immediate, ResourceFault, ResourceRequest, ResourceState, loose,
};
use serde_json::{Map, Value};

use super::topic::{FIFO, judge_topic};
use super::{Topics, no_topic};

/// Registers the handlers.
pub(super) fn register(cloud: &Cloud, topics: &Arc<Topics>) {
    Immediate {
        service: topics.clone(),
        type_name: "AWS::SNS::Topic",
        create: create_topic,
        update: update_topic,
        delete: |topics, request| Ok(topics.remove(request.physical_id()?)),
    }
    .register(cloud);
    Immediate {
        service: topics.clone(),
        type_name: "AWS::SNS::TopicPolicy",
        create: |topics, request| {
            let commit = set_policies(topics, request)?;
            Ok((ResourceState::new(request.generated_name(128)), commit))
        },
        update: |topics, request| {
            let commit = set_policies(topics, request)?;
            Ok((ResourceState::new(request.physical_id()?), commit))
        },
        delete: |topics, request| {
            let mut last = topics.store.commit(topics.store.batch());
            for arn in loose::texts(&request.members()?, "Topics")? {
                last = drop_policy(topics, &arn)?;
            }
            Ok(last)
        },
    }
    .register(cloud);
    Immediate {
        service: topics.clone(),
        type_name: "AWS::SNS::Subscription",
        create: create_subscription,
        update: |topics, request| {
            let (input, arn) = (request.members()?, request.physical_id()?);
            let commit =
                topics.configure_subscription(arn, subscription_attributes(&input)?, true)?;
            Ok((ResourceState::new(arn).with("Arn", arn), commit))
        },
        delete: |topics, request| Ok(topics.remove_subscription(request.physical_id()?)),
    }
    .register(cloud);
}

type Changed = Result<(ResourceState, Commit), ResourceFault>;

fn create_topic(topics: &Topics, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let fifo = loose::flag(&input, "FifoTopic")?.unwrap_or(false);
    let name = match loose::text(&input, "TopicName")? {
        Some(name) => name,
        None if fifo => request.generated_name(256 - FIFO.len()) + FIFO,
        None => request.generated_name(256),
    };
    let arn = topics.account.arn("sns", &name);
    if topics.state().topics.contains_key(&arn) {
        let message = format!("topic `{name}` exists already");
        return Err(ResourceFault::failed("AlreadyExists", message));
    }
    let (arn, mut commit) = topics.make(&name, attributes(&input)?, request.tags()?)?;
    for item in loose::list(&input, "Subscription")? {
        let Value::Object(item) = item else {
            return Err(Fault::invalid_input("Subscription must hold objects").into());
        };
        let protocol = loose::required(&item, "Protocol")?;
        let endpoint = loose::required(&item, "Endpoint")?;
        match topics.add_subscription(&arn, &protocol, &endpoint, BTreeMap::new()) {
            Ok((_, stored)) => commit = stored,
            Err(fault) => {
                // What the engine does not know of must not stay behind.
                topics.remove(&arn).then(|| ());
                return Err(fault.into());
            }
        }
    }
    Ok((state(&arn), commit))
}

fn update_topic(topics: &Topics, request: &ResourceRequest) -> Changed {
    let (input, arn) = (request.members()?, request.physical_id()?);
    let (wanted, tags) = (attributes(&input)?, request.tags()?);
    let commit = topics.change(arn, |topic| {
        for (name, value) in &wanted {
            judge_topic(name, value, topic.is_fifo())?;
        }
        // The policy belongs to another resource; all else is what the template says.
        let policy = topic.attributes.remove("Policy");
        topic.attributes = wanted;
        topic.attributes.extend(policy.map(|policy| ("Policy".to_owned(), policy)));
        topic.tags = tags;
        Ok(())
    })?;
    Ok((state(arn), commit))
}

fn state(arn: &str) -> ResourceState {
    let name = arn.rsplit(':').next().unwrap_or_default();
    ResourceState::new(arn).with("TopicArn", arn).with("TopicName", name)
}

fn attributes(input: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    let mut found = BTreeMap::new();
    for name in [
        "DisplayName",
        "KmsMasterKeyId",
        "FifoTopic",
        "ContentBasedDeduplication",
        "FifoThroughputScope",
        "SignatureVersion",
        "TracingConfig",
    ] {
        if let Some(value) = loose::text(input, name)?.filter(|value| !value.is_empty()) {
            found.insert(name.to_owned(), value);
        }
    }
    if found.get("FifoTopic").is_some_and(|value| value == "false") {
        found.remove("FifoTopic");
    }
    Ok(found)
}

fn set_policies(topics: &Topics, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let input = request.members()?;
    let policy = crate::policy::of_template(&input)?;
    let wanted = loose::texts(&input, "Topics")?;
    if let Some(Value::Object(previous)) = &request.previous {
        for arn in loose::texts(previous, "Topics")?.iter().filter(|arn| !wanted.contains(arn)) {
            drop_policy(topics, arn)?.then(|| ());
        }
    }
    let mut last = topics.store.commit(topics.store.batch());
    for arn in wanted {
        judge_topic("Policy", &policy, false)?;
        last = topics.change(&arn, |topic| {
            topic.attributes.insert("Policy".to_owned(), policy.clone());
            Ok(())
        })?;
    }
    Ok(last)
}

/// Takes the policy from a topic; one that is gone has none.
fn drop_policy(topics: &Topics, arn: &str) -> Result<Commit, ResourceFault> {
    let dropped = topics.change(arn, |topic| {
        topic.attributes.remove("Policy");
        Ok(())
    });
    match dropped {
        Err(fault) if fault.code == no_topic().code => {
            Ok(topics.store.commit(topics.store.batch()))
        }
        other => Ok(other?),
    }
}

fn create_subscription(topics: &Topics, request: &ResourceRequest) -> Changed {
    let input = request.members()?;
    let topic = loose::required(&input, "TopicArn")?;
    let protocol = loose::required(&input, "Protocol")?;
    let endpoint = loose::required(&input, "Endpoint")?;
    let attributes = subscription_attributes(&input)?;
    let (made, commit) = topics.add_subscription(&topic, &protocol, &endpoint, attributes)?;
    Ok((ResourceState::new(made.arn.clone()).with("Arn", made.arn), commit))
}

fn subscription_attributes(input: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    let mut found = BTreeMap::new();
    for name in [
        "RawMessageDelivery",
        "FilterPolicy",
        "FilterPolicyScope",
        "RedrivePolicy",
        "DeliveryPolicy",
        "SubscriptionRoleArn",
    ] {
        let text = match input.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        found.insert(name.to_owned(), text);
    }
    Ok(found)
}
