//! SQS: queues.
//!
//! Queues are named by their URL, their ARN or plainly; the last part of any of them
//! counts. All messages are stored with every change of their state.

mod attribute;
mod batch;
pub(crate) mod message;
mod operations;
mod query;
mod queue;
mod resource;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use iotstack_local_kernel::ports::Queues as Port;
use iotstack_local_kernel::{
    Account, BoxFuture, Clock, Cloud, Commit, Fault, Operation, Operations, Protocol, Service,
    Store, StoreError,
};
use serde_json::{Map, Value};

use message::Message;
pub(crate) use message::Outgoing;
use queue::Queue;

use crate::policy::Sender;

/// The service.
pub(crate) struct Queues {
    cloud: Weak<Cloud>,
    account: Account,
    clock: Clock,
    store: Store,
    all: Mutex<BTreeMap<String, Queue>>,
}

/// Restores queues and registers the service.
pub(crate) fn install(cloud: &Arc<Cloud>) -> Result<Arc<Queues>, StoreError> {
    let mut all: BTreeMap<String, Queue> = cloud.store.load(QUEUES)?.into_iter().collect();
    for (key, message) in cloud.store.load::<Message>(MESSAGES)? {
        if let Some((queue, _)) = key.split_once('\0')
            && let Some(queue) = all.get_mut(queue)
        {
            queue.restore(message);
        }
    }
    let queues = Arc::new(Queues {
        cloud: Arc::downgrade(cloud),
        account: cloud.account.clone(),
        clock: cloud.clock.clone(),
        store: cloud.store.clone(),
        all: Mutex::new(all),
    });
    cloud.services.add(queues.clone());
    cloud.ports.serve_queues(queues.clone());
    resource::register(cloud, &queues);
    Ok(queues)
}

impl Queues {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Queue>> {
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn arn(&self, name: &str) -> String {
        self.account.arn("sqs", name)
    }

    fn url(&self, name: &str) -> Result<String, Fault> {
        let cloud = Cloud::held(&self.cloud)?;
        Ok(format!("{}/{}/{name}", cloud.addresses().endpoint, self.account.id))
    }

    /// Puts a message into a queue, by name, URL or ARN.
    pub(crate) fn put(&self, queue: &str, outgoing: Outgoing) -> Result<(Message, Commit), Fault> {
        let name = name_of(queue);
        let now = self.clock.now();
        let mut all = self.all();
        let found = all.get_mut(name).ok_or_else(no_queue)?;
        let (message, is_new) = found.put(outgoing, now)?;
        let mut batch = self.store.batch();
        if is_new {
            batch.put(MESSAGES, message.key(name), &message);
        }
        Ok((message, self.store.commit(batch)))
    }

    /// Puts a message on behalf of a resource, if the queue's policy permits it.
    pub(crate) fn put_for(
        &self,
        queue: &str,
        outgoing: Outgoing,
        service: &str,
        source: &str,
    ) -> Result<Commit, Fault> {
        let name = name_of(queue);
        let sender = Sender {
            service,
            action: "sqs:SendMessage",
            target: &self.arn(name),
            source,
            account: &self.account.id,
        };
        let permitted = {
            let all = self.all();
            let found = all.get(name).ok_or_else(no_queue)?;
            found.guard.permits(found.attributes.get("Policy"), &sender)
        };
        if !permitted {
            let message =
                format!("the policy of queue `{name}` does not let {service} send for {source}");
            return Err(Fault::new("AccessDenied", 403, message));
        }
        Ok(self.put(queue, outgoing)?.1)
    }
}

impl Port for Queues {
    fn send<'a>(&'a self, queue: &'a str, body: &'a str) -> BoxFuture<'a, Result<String, Fault>> {
        let sent = self.put(queue, Outgoing::plain(body));
        Box::pin(async move {
            let (message, commit) = sent?;
            commit.stored().await?;
            Ok(message.id)
        })
    }
}

impl Service for Queues {
    fn scopes(&self) -> &'static [&'static str] {
        &["sqs"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[
            Protocol::AwsJson { version: "1.0", target: "AmazonSQS" },
            Protocol::Query { namespace: "http://queue.amazonaws.com/doc/2012-11-05/" },
        ]
    }

    fn read_form(&self, members: Map<String, Value>) -> Map<String, Value> {
        query::read_form(members)
    }

    fn show_xml(&self, operation: &str, members: Value) -> Value {
        query::show_xml(operation, members)
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_stored("CreateQueue", Self::create_queue)
            .named_stored("DeleteQueue", Self::delete_queue)
            .named("GetQueueUrl", Self::get_queue_url)
            .named("ListQueues", Self::list_queues)
            .named("GetQueueAttributes", Self::get_attributes)
            .named_stored("SetQueueAttributes", Self::set_attributes)
            .named_stored("SendMessage", Self::send_message)
            .named_stored("SendMessageBatch", Self::send_batch)
            .named_async("ReceiveMessage", Self::receive)
            .named_stored("DeleteMessage", Self::delete_message)
            .named_stored("DeleteMessageBatch", Self::delete_batch)
            .named_stored("ChangeMessageVisibility", Self::change_visibility)
            .named_stored("ChangeMessageVisibilityBatch", Self::change_visibility_batch)
            .named_stored("PurgeQueue", Self::purge)
            .named("ListDeadLetterSourceQueues", Self::list_sources)
            .named_stored("TagQueue", Self::tag)
            .named_stored("UntagQueue", Self::untag)
            .named("ListQueueTags", Self::list_tags)
            .list()
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidParameterValue"
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("AddPermission", "write the policy with SetQueueAttributes"),
            ("RemovePermission", "write the policy with SetQueueAttributes"),
            ("StartMessageMoveTask", "receive from the dead-letter queue and send again"),
        ]
    }
}

/// An error, also under the code that older clients know it by.
fn fault(code: &str, status: u16, message: impl Into<String>) -> Fault {
    let fault = Fault::new(code, status, message);
    match query::former_code(code) {
        Some(former) => fault.formerly(former),
        None => fault,
    }
}

/// The name in a URL or an ARN.
pub(crate) fn name_of(queue: &str) -> &str {
    if queue.starts_with("arn:") {
        return queue.rsplit(':').next().unwrap_or(queue);
    }
    queue.trim_end_matches('/').rsplit('/').next().unwrap_or(queue)
}

fn no_queue() -> Fault {
    fault("QueueDoesNotExist", 400, "The specified queue does not exist.")
}

/// A member whose value cannot be, in AWS's words.
fn refused(member: &str, value: impl std::fmt::Display, reason: &str) -> Fault {
    invalid(format!("Value {value} for parameter {member} is invalid. Reason: {reason}"))
}

/// Why a member is refused that is for queues of the other kind.
const OTHER_KIND: &str = "The request include parameter that is not valid for this queue type.";

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValue", 400, message)
}

const QUEUES: &str = "sqs-queues";
const MESSAGES: &str = "sqs-messages";
