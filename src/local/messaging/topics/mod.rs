//! SNS: topics and their subscriptions.
//!
//! Topics are kept by their ARN, with their subscriptions beside them. Publishing copies
//! what it needs under the lock and delivers without it.

mod delivery;
mod http_endpoint;
mod operations;
mod publish;
mod resource;
#[cfg(test)]
mod tests;
mod topic;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use iotstack_local_kernel::ports::Topics as Port;
use iotstack_local_kernel::{
    Account, BoxFuture, Clock, Cloud, Fault, Operation, Operations, Protocol, Service, Store,
    StoreError,
};

use crate::policy::Sender;
use crate::queues::Queues;
use delivery::Publication;
use topic::{Subscription, Topic};

/// The service.
pub(crate) struct Topics {
    cloud: Weak<Cloud>,
    account: Account,
    clock: Clock,
    store: Store,
    queues: Arc<Queues>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By ARN.
    topics: BTreeMap<String, Topic>,
    /// By ARN.
    subscriptions: BTreeMap<String, Subscription>,
}

/// Restores topics and registers the service.
pub(crate) fn install(cloud: &Arc<Cloud>, queues: &Arc<Queues>) -> Result<Arc<Topics>, StoreError> {
    let state = State {
        topics: cloud.store.load(TOPICS)?.into_iter().collect(),
        subscriptions: cloud.store.load(SUBSCRIPTIONS)?.into_iter().collect(),
    };
    let topics = Arc::new(Topics {
        cloud: Arc::downgrade(cloud),
        account: cloud.account.clone(),
        clock: cloud.clock.clone(),
        store: cloud.store.clone(),
        queues: queues.clone(),
        state: Mutex::new(state),
    });
    cloud.services.add(topics.clone());
    cloud.ports.serve_topics(topics.clone());
    resource::register(cloud, &topics);
    Ok(topics)
}

impl Topics {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Publishes on behalf of a resource, if the topic's policy permits it.
    pub(crate) async fn publish_for(
        &self,
        topic: &str,
        message: &str,
        service: &str,
        source: &str,
    ) -> Result<(), Fault> {
        let sender = Sender {
            service,
            action: "sns:Publish",
            target: topic,
            source,
            account: &self.account.id,
        };
        let permitted = {
            let state = self.state();
            let found = state.topics.get(topic).ok_or_else(no_topic)?;
            found.guard.permits(found.attributes.get("Policy"), &sender)
        };
        if !permitted {
            return Err(Fault::new(
                "AuthorizationError",
                403,
                format!(
                    "the policy of topic `{topic}` does not let {service} publish for {source}"
                ),
            ));
        }
        self.publish_message(topic, Publication::plain(message, None)).await.map(drop)
    }
}

impl Port for Topics {
    fn publish<'a>(
        &'a self,
        topic_arn: &'a str,
        message: &'a str,
        subject: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            let publication = Publication::plain(message, subject);
            Ok(self.publish_message(topic_arn, publication).await?.id)
        })
    }
}

impl Service for Topics {
    fn scopes(&self) -> &'static [&'static str] {
        &["sns"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::Query { namespace: "http://sns.amazonaws.com/doc/2010-03-31/" }]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_stored("CreateTopic", Self::create_topic)
            .named_stored("DeleteTopic", Self::delete_topic)
            .named("ListTopics", Self::list_topics)
            .named("GetTopicAttributes", Self::get_topic_attributes)
            .named_stored("SetTopicAttributes", Self::set_topic_attributes)
            .named_stored("Subscribe", Self::subscribe)
            .named_stored("ConfirmSubscription", Self::confirm)
            .named_stored("Unsubscribe", Self::unsubscribe)
            .named("ListSubscriptions", Self::list_subscriptions)
            .named("ListSubscriptionsByTopic", Self::list_subscriptions)
            .named("GetSubscriptionAttributes", Self::get_subscription_attributes)
            .named_stored("SetSubscriptionAttributes", Self::set_subscription_attributes)
            .named_async("Publish", Self::publish_call)
            .named_async("PublishBatch", Self::publish_batch)
            .named_stored("TagResource", Self::tag)
            .named_stored("UntagResource", Self::untag)
            .named("ListTagsForResource", Self::list_tags)
            .list()
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidParameter"
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("CreatePlatformApplication", "nothing is pushed to phones"),
            ("CreatePlatformEndpoint", "nothing is pushed to phones"),
            ("AddPermission", "write the policy with SetTopicAttributes"),
            ("RemovePermission", "write the policy with SetTopicAttributes"),
            ("PutDataProtectionPolicy", "messages are not searched for secrets"),
        ]
    }
}

fn no_topic() -> Fault {
    Fault::new("NotFound", 404, "Topic does not exist")
}

fn no_subscription() -> Fault {
    Fault::new("NotFound", 404, "Subscription does not exist")
}

/// What the operations on tags call a topic that is not there.
fn no_resource() -> Fault {
    Fault::new("ResourceNotFound", 404, "Resource does not exist")
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameter", 400, message)
}

const TOPICS: &str = "sns-topics";
const SUBSCRIPTIONS: &str = "sns-subscriptions";
