//! The operations of SNS.
//!
//! A topic that is made twice with the same attributes is one; what is deleted twice is
//! no error, as on AWS.

use std::collections::BTreeMap;

use iotstack_local_kernel::wire::query;
use iotstack_local_kernel::{Call, Commit, Fault, Reply, id, loose, page};
use serde_json::{Map, Value, json};

use super::topic::{
    FIFO, Subscription, Topic, effective_delivery, judge_endpoint, judge_filter, judge_name,
    judge_subscription, judge_tags, judge_topic,
};
use super::{
    SUBSCRIPTIONS, TOPICS, Topics, http_endpoint, invalid, no_resource, no_subscription, no_topic,
};
use crate::policy::Guard;

impl Topics {
    pub(super) fn create_topic(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = loose::required(&call.input, "Name")?;
        let attributes = map(&call.input, "Attributes")?;
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?.into_iter().collect();
        judge_tags(&tags)?;
        let (arn, commit) = self.make(&name, attributes, tags)?;
        Ok((json!({"TopicArn": arn}).into(), commit))
    }

    /// Makes a topic; the same one twice is one.
    pub(super) fn make(
        &self,
        name: &str,
        mut attributes: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> Result<(String, Commit), Fault> {
        judge_name(name)?;
        let fifo = name.ends_with(FIFO);
        if attributes.get("FifoTopic").is_some_and(|value| value == "false") {
            attributes.remove("FifoTopic");
        }
        if fifo != attributes.contains_key("FifoTopic") {
            return Err(invalid(format!(
                "topic `{name}`: FifoTopic=true and a name that ends with .fifo belong together"
            )));
        }
        for (name, value) in &attributes {
            judge_topic(name, value, fifo)?;
        }
        let arn = self.account.arn("sns", name);
        let mut state = self.state();
        if let Some(known) = state.topics.get(&arn) {
            let differs = |what: &str| {
                Err(invalid(format!(
                    "Invalid parameter: {what} Reason: Topic already exists with different {}",
                    what.to_lowercase()
                )))
            };
            if attributes.iter().any(|(name, value)| known.attributes.get(name) != Some(value)) {
                return differs("Attributes");
            }
            if !tags.is_empty() && known.tags != tags {
                return differs("Tags");
            }
            return Ok((arn, self.store.commit(self.store.batch())));
        }
        let guard = Guard::default();
        let topic = Topic { arn: arn.clone(), attributes, tags, sequence: 0, guard };
        let mut batch = self.store.batch();
        batch.put(TOPICS, arn.as_str(), &topic);
        state.topics.insert(arn.clone(), topic);
        Ok((arn, self.store.commit(batch)))
    }

    pub(super) fn delete_topic(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        // One that is not there is no error.
        Ok((Reply::empty(), self.remove(&loose::required(&call.input, "TopicArn")?)))
    }

    /// Removes a topic with its subscriptions.
    pub(super) fn remove(&self, arn: &str) -> Commit {
        let mut state = self.state();
        let mut batch = self.store.batch();
        if state.topics.remove(arn).is_some() {
            batch.remove(TOPICS, arn);
        }
        state.subscriptions.retain(|key, subscription| {
            let stays = subscription.topic != arn;
            if !stays {
                batch.remove(SUBSCRIPTIONS, key.as_str());
            }
            stays
        });
        self.store.commit(batch)
    }

    pub(super) fn list_topics(&self, call: Call) -> Result<Reply, Fault> {
        let token = loose::text(&call.input, "NextToken")?;
        let state = self.state();
        let (found, next) =
            page::page(state.topics.keys(), |arn| (*arn).clone(), token.as_deref(), 100)?;
        let shown: Vec<Value> = found.into_iter().map(|arn| json!({"TopicArn": arn})).collect();
        Ok(json!({"Topics": shown, "NextToken": next}).into())
    }

    pub(super) fn get_topic_attributes(&self, call: Call) -> Result<Reply, Fault> {
        let arn = loose::required(&call.input, "TopicArn")?;
        let state = self.state();
        let topic = state.topics.get(&arn).ok_or_else(no_topic)?;
        let mut shown = topic.attributes.clone();
        let of_topic =
            || state.subscriptions.values().filter(|subscription| subscription.topic == arn);
        let pending = of_topic().filter(|subscription| subscription.token.is_some()).count();
        let confirmed = of_topic().count() - pending;
        for (name, value) in [
            ("TopicArn", arn.clone()),
            ("Owner", self.account.id.clone()),
            ("SubscriptionsConfirmed", confirmed.to_string()),
            ("SubscriptionsPending", pending.to_string()),
            ("SubscriptionsDeleted", "0".to_owned()),
        ] {
            shown.insert(name.to_owned(), value);
        }
        shown.entry("DisplayName".to_owned()).or_default();
        let delivery = effective_delivery(topic.attributes.get("DeliveryPolicy"));
        shown.insert("EffectiveDeliveryPolicy".to_owned(), delivery);
        if topic.is_fifo() {
            shown.entry("ContentBasedDeduplication".to_owned()).or_insert("false".to_owned());
        }
        shown.entry("Policy".to_owned()).or_insert_with(|| self.owner_policy(&arn));
        let entries = shown.into_iter().map(|(name, value)| (name, json!(value)));
        Ok(json!({"Attributes": query::map(entries)}).into())
    }

    /// The policy of a topic that was given none: its owner may do everything.
    fn owner_policy(&self, arn: &str) -> String {
        json!({
            "Version": "2008-10-17",
            "Id": "__default_policy_ID",
            "Statement": [{
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "SNS:GetTopicAttributes",
                    "SNS:SetTopicAttributes",
                    "SNS:AddPermission",
                    "SNS:RemovePermission",
                    "SNS:DeleteTopic",
                    "SNS:Subscribe",
                    "SNS:ListSubscriptionsByTopic",
                    "SNS:Publish",
                ],
                "Resource": arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": self.account.id}},
            }],
        })
        .to_string()
    }

    pub(super) fn set_topic_attributes(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let arn = loose::required(&call.input, "TopicArn")?;
        let name = loose::required(&call.input, "AttributeName")?;
        let value = loose::text(&call.input, "AttributeValue")?.unwrap_or_default();
        let commit = self.change(&arn, |topic| {
            if name == "FifoTopic" {
                return Err(invalid("FifoTopic cannot be changed"));
            }
            if value.is_empty() {
                topic.attributes.remove(&name);
                return Ok(());
            }
            judge_topic(&name, &value, topic.is_fifo())?;
            topic.attributes.insert(name, value);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    /// Changes a topic and stores it.
    pub(super) fn change(
        &self,
        arn: &str,
        change: impl FnOnce(&mut Topic) -> Result<(), Fault>,
    ) -> Result<Commit, Fault> {
        let mut state = self.state();
        let topic = state.topics.get_mut(arn).ok_or_else(no_topic)?;
        change(topic)?;
        topic.guard = Guard::default();
        let mut batch = self.store.batch();
        batch.put(TOPICS, arn, &*topic);
        Ok(self.store.commit(batch))
    }

    pub(super) fn subscribe(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let topic = loose::required(&call.input, "TopicArn")?;
        let protocol = loose::required(&call.input, "Protocol")?;
        let endpoint = loose::text(&call.input, "Endpoint")?.unwrap_or_default();
        let attributes = map(&call.input, "Attributes")?;
        let wants_arn = loose::flag(&call.input, "ReturnSubscriptionArn")?.unwrap_or(false);
        let (found, commit) = self.add_subscription(&topic, &protocol, &endpoint, attributes)?;
        let shown = match &found.token {
            Some(_) if !wants_arn => "pending confirmation",
            _ => found.arn.as_str(),
        };
        Ok((json!({"SubscriptionArn": shown}).into(), commit))
    }

    /// Subscribes; the same endpoint twice is one subscription.
    pub(super) fn add_subscription(
        &self,
        topic: &str,
        protocol: &str,
        endpoint: &str,
        attributes: BTreeMap<String, String>,
    ) -> Result<(Subscription, Commit), Fault> {
        for (name, value) in &attributes {
            judge_subscription(name, value)?;
        }
        let mut state = self.state();
        let known = state.topics.get(topic).ok_or_else(no_topic)?;
        judge_endpoint(protocol, endpoint, known.is_fifo())?;
        judge_filter(&attributes)?;
        if let Some(same) = state.subscriptions.values().find(|known| {
            known.topic == topic && known.protocol == protocol && known.endpoint == endpoint
        }) {
            if same.attributes != attributes && !attributes.is_empty() {
                return Err(invalid(format!(
                    "`{endpoint}` is subscribed already with other attributes"
                )));
            }
            return Ok((same.clone(), self.store.commit(self.store.batch())));
        }
        // Queues and functions belong to this account; all others must confirm.
        let pending = !matches!(protocol, "sqs" | "lambda");
        let subscription = Subscription {
            arn: format!("{topic}:{}", id::uuid()),
            topic: topic.to_owned(),
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
            attributes,
            token: pending.then(|| id::hex_digits(64)),
        };
        let mut batch = self.store.batch();
        batch.put(SUBSCRIPTIONS, subscription.arn.as_str(), &subscription);
        state.subscriptions.insert(subscription.arn.clone(), subscription.clone());
        let commit = self.store.commit(batch);
        drop(state);
        if protocol == "http" {
            self.ask_for_confirmation(&subscription);
        }
        Ok((subscription, commit))
    }

    /// Asks an HTTP endpoint to confirm.
    fn ask_for_confirmation(&self, subscription: &Subscription) {
        let (Some(cloud), Some(token)) = (self.cloud.upgrade(), subscription.token.clone()) else {
            return;
        };
        let endpoint = cloud.addresses().endpoint;
        let body = json!({
            "Type": "SubscriptionConfirmation",
            "MessageId": id::uuid(),
            "Token": token,
            "TopicArn": subscription.topic,
            "Message": format!("You have chosen to subscribe to the topic {}. To confirm, visit the SubscribeURL in this message.", subscription.topic),
            "SubscribeURL": format!("{endpoint}/?Action=ConfirmSubscription&TopicArn={}&Token={token}", subscription.topic),
            "Timestamp": self.clock.now().iso8601(),
        });
        let headers = [
            ("x-amz-sns-message-type", "SubscriptionConfirmation".to_owned()),
            ("x-amz-sns-topic-arn", subscription.topic.clone()),
        ];
        let target = subscription.endpoint.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) =
                    http_endpoint::post_with_retries(&target, body.to_string(), &headers).await
                {
                    tracing::warn!(%error, "an endpoint is not asked to confirm");
                }
            });
        }
    }

    pub(super) fn confirm(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let topic = loose::required(&call.input, "TopicArn")?;
        let token = loose::required(&call.input, "Token")?;
        let mut state = self.state();
        let found = state
            .subscriptions
            .values_mut()
            .find(|known| known.topic == topic && known.token.as_ref() == Some(&token));
        let found = found.ok_or_else(|| invalid("Token belongs to no pending subscription"))?;
        found.token = None;
        let mut batch = self.store.batch();
        batch.put(SUBSCRIPTIONS, found.arn.as_str(), &*found);
        let reply = json!({"SubscriptionArn": found.arn}).into();
        Ok((reply, self.store.commit(batch)))
    }

    pub(super) fn unsubscribe(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let arn = loose::required(&call.input, "SubscriptionArn")?;
        Ok((Reply::empty(), self.remove_subscription(&arn)))
    }

    /// Removes a subscription; one that is not there is no error.
    pub(super) fn remove_subscription(&self, arn: &str) -> Commit {
        let mut batch = self.store.batch();
        if self.state().subscriptions.remove(arn).is_some() {
            batch.remove(SUBSCRIPTIONS, arn);
        }
        self.store.commit(batch)
    }

    pub(super) fn list_subscriptions(&self, call: Call) -> Result<Reply, Fault> {
        let token = loose::text(&call.input, "NextToken")?;
        let wanted = loose::text(&call.input, "TopicArn")?;
        let state = self.state();
        if wanted.as_ref().is_some_and(|wanted| !state.topics.contains_key(wanted)) {
            return Err(no_topic());
        }
        let fitting = state
            .subscriptions
            .values()
            .filter(|known| wanted.as_ref().is_none_or(|wanted| *wanted == known.topic));
        let (found, next) = page::page(fitting, |known| known.arn.clone(), token.as_deref(), 100)?;
        let shown: Vec<Value> = found
            .into_iter()
            .map(|known| {
                let arn =
                    if known.token.is_some() { "PendingConfirmation" } else { known.arn.as_str() };
                json!({
                    "SubscriptionArn": arn,
                    "Owner": self.account.id,
                    "Protocol": known.protocol,
                    "Endpoint": known.endpoint,
                    "TopicArn": known.topic,
                })
            })
            .collect();
        Ok(json!({"Subscriptions": shown, "NextToken": next}).into())
    }

    pub(super) fn get_subscription_attributes(&self, call: Call) -> Result<Reply, Fault> {
        let arn = loose::required(&call.input, "SubscriptionArn")?;
        let state = self.state();
        let known = state.subscriptions.get(&arn).ok_or_else(no_subscription)?;
        let mut shown = known.attributes.clone();
        for (name, value) in [
            ("SubscriptionArn", known.arn.clone()),
            ("TopicArn", known.topic.clone()),
            ("Owner", self.account.id.clone()),
            ("Protocol", known.protocol.clone()),
            ("Endpoint", known.endpoint.clone()),
            ("PendingConfirmation", known.token.is_some().to_string()),
            ("ConfirmationWasAuthenticated", known.token.is_none().to_string()),
        ] {
            shown.insert(name.to_owned(), value);
        }
        shown.entry("RawMessageDelivery".to_owned()).or_insert_with(|| "false".to_owned());
        if shown.contains_key("FilterPolicy") {
            let scope = shown.entry("FilterPolicyScope".to_owned());
            scope.or_insert_with(|| "MessageAttributes".to_owned());
        }
        let entries = shown.into_iter().map(|(name, value)| (name, json!(value)));
        Ok(json!({"Attributes": query::map(entries)}).into())
    }

    pub(super) fn set_subscription_attributes(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let arn = loose::required(&call.input, "SubscriptionArn")?;
        let name = loose::required(&call.input, "AttributeName")?;
        let value = loose::text(&call.input, "AttributeValue")?.unwrap_or_default();
        let commit =
            self.configure_subscription(&arn, BTreeMap::from_iter([(name, value)]), false)?;
        Ok((Reply::empty(), commit))
    }

    /// Changes attributes of a subscription; all of them if `whole`.
    pub(super) fn configure_subscription(
        &self,
        arn: &str,
        attributes: BTreeMap<String, String>,
        whole: bool,
    ) -> Result<Commit, Fault> {
        for (name, value) in &attributes {
            judge_subscription(name, value)?;
        }
        let mut state = self.state();
        let known = state.subscriptions.get_mut(arn).ok_or_else(no_subscription)?;
        let mut wanted = if whole { BTreeMap::new() } else { known.attributes.clone() };
        // The scope belongs to the policy and goes with it.
        let is_none = |value: &str| value.is_empty() || value == "{}";
        if attributes.get("FilterPolicy").is_some_and(|policy| is_none(policy)) {
            wanted.remove("FilterPolicyScope");
        }
        wanted.extend(attributes);
        wanted.retain(|_, value| !is_none(value));
        judge_filter(&wanted)?;
        known.attributes = wanted;
        let mut batch = self.store.batch();
        batch.put(SUBSCRIPTIONS, arn, &*known);
        Ok(self.store.commit(batch))
    }

    pub(super) fn tag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let tags = loose::pairs(&call.input, "Tags", ("Key", "Value"))?;
        self.retag(&call, |known| known.extend(tags))
    }

    pub(super) fn untag(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let keys = loose::texts(&call.input, "TagKeys")?;
        self.retag(&call, |known| known.retain(|key, _| !keys.contains(key)))
    }

    fn retag(
        &self,
        call: &Call,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(Reply, Commit), Fault> {
        let arn = loose::required(&call.input, "ResourceArn")?;
        if !self.state().topics.contains_key(&arn) {
            return Err(no_resource());
        }
        let commit = self.change(&arn, |topic| {
            let mut tags = topic.tags.clone();
            change(&mut tags);
            judge_tags(&tags)?;
            topic.tags = tags;
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    pub(super) fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let arn = loose::required(&call.input, "ResourceArn")?;
        let state = self.state();
        let topic = state.topics.get(&arn).ok_or_else(no_resource)?;
        let tags: Vec<Value> =
            topic.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        Ok(json!({"Tags": tags}).into())
    }
}

/// A map, as forms write it.
fn map(input: &Map<String, Value>, member: &str) -> Result<BTreeMap<String, String>, Fault> {
    Ok(loose::pairs(input, member, ("key", "value"))?.into_iter().collect())
}
