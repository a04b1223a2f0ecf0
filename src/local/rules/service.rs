//! The operations on topic rules, in the scope `iot`.
//!
//! Destinations are needed by the HTTP and VPC actions alone, which are not
//! offered, so they are refused by name. Tags are kept with the rule; the operations on
//! tags of all IoT resources ask for them here.

use std::sync::Arc;

use http::Method;
use iotstack_local_kernel::page::page;
use iotstack_local_kernel::tags::{self, ChangeTags, Tagged, Tags};
use iotstack_local_kernel::{
    BoxFuture, Call, Cloud, Commit, Fault, Operation, Operations, Protocol, Reply, Service,
};
use iotstack_mqtt::topic::{Matching, matches};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::engine::Engine;
use crate::rule::{Payload, Record, Rule};

/// The operations on topic rules.
pub struct RulesService {
    pub(crate) cloud: std::sync::Weak<Cloud>,
    pub(crate) engine: Arc<Engine>,
}

impl Service for RulesService {
    fn scopes(&self) -> &'static [&'static str] {
        &["iot", "execute-api"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidRequestException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .rest_stored(
                "CreateTopicRule",
                Method::POST,
                "/rules/{ruleName}?@x-amz-tagging=tags",
                Self::create,
            )
            .rest_stored("ReplaceTopicRule", Method::PATCH, "/rules/{ruleName}", Self::replace)
            .rest("GetTopicRule", Method::GET, "/rules/{ruleName}", Self::get)
            .rest(
                "ListTopicRules",
                Method::GET,
                "/rules?topic&maxResults:int&nextToken&ruleDisabled:bool",
                Self::list,
            )
            .rest_stored("DeleteTopicRule", Method::DELETE, "/rules/{ruleName}", Self::delete)
            .rest_stored("EnableTopicRule", Method::POST, "/rules/{ruleName}/enable", Self::enable)
            .rest_stored(
                "DisableTopicRule",
                Method::POST,
                "/rules/{ruleName}/disable",
                Self::disable,
            )
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("CreateTopicRuleDestination", NO_DESTINATIONS),
            ("GetTopicRuleDestination", NO_DESTINATIONS),
            ("ListTopicRuleDestinations", NO_DESTINATIONS),
            ("UpdateTopicRuleDestination", NO_DESTINATIONS),
            ("DeleteTopicRuleDestination", NO_DESTINATIONS),
            ("ConfirmTopicRuleDestination", NO_DESTINATIONS),
        ]
    }
}

impl RulesService {
    fn create(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let cloud = self.cloud()?;
        let tags = header(call.optional_text("tags")?)?;
        tags::check(&tags)?;
        let record = Record { payload: payload(&call)?, created_at: call.at.millis(), tags };
        let rule = Rule::read(call.text("ruleName")?, record)?;
        Ok((Reply::empty(), self.engine.create(&cloud.store, rule)?))
    }

    fn replace(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = call.text("ruleName")?;
        let payload = payload(&call)?;
        let commit = self.engine.replace(&self.cloud()?.store, name, |rule| {
            Rule::read(name, Record { payload, ..rule.record.clone() })
        })?;
        Ok((Reply::empty(), commit))
    }

    fn get(&self, call: Call) -> Result<Reply, Fault> {
        let name = call.text("ruleName")?;
        let rule = self.engine.rule(name).ok_or_else(|| Error::Missing(name.to_owned()))?;
        let payload = &rule.record.payload;
        let mut found = json!({
            "ruleName": &*rule.name,
            "sql": payload.sql,
            "createdAt": rule.record.created_at as f64 / 1000.0,
            "actions": payload.actions,
            "ruleDisabled": rule.disabled(),
            "awsIotSqlVersion": rule.statement.version().to_string(),
        });
        if let Some(members) = found.as_object_mut() {
            let optional = [
                ("description", payload.description.clone().map(Value::from)),
                ("errorAction", payload.error_action.clone()),
            ];
            members.extend(
                optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))),
            );
        }
        let arn = self.cloud()?.account.arn("iot", format_args!("rule/{name}"));
        Ok(json!({"ruleArn": arn, "rule": found}).into())
    }

    fn list(&self, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        let topic = call.optional_text("topic")?;
        let disabled = match call.input.get("ruleDisabled") {
            None | Some(Value::Null) => None,
            Some(_) => Some(call.flag("ruleDisabled")?),
        };
        let most = call.optional_integer("maxResults")?.unwrap_or(10_000);
        let most = usize::try_from(most).ok().filter(|most| (1..=10_000).contains(most));
        let most = most.ok_or_else(|| Fault::invalid_input("maxResults must be 1 to 10000"))?;
        let rules = self.engine.rules().into_iter().filter(|rule| {
            let filter = rule.statement.filter();
            topic.is_none_or(|topic| {
                filter
                    .is_some_and(|filter| filter == topic || matches(filter, topic, Matching::Aws))
            }) && disabled.is_none_or(|disabled| disabled == rule.disabled())
        });
        let token = call.optional_text("nextToken")?;
        let (rules, next) = page(rules, |rule| rule.name.to_string(), token, most)?;
        let rules = rules.iter().map(|rule| {
            let mut item = Map::new();
            let arn = cloud.account.arn("iot", format_args!("rule/{}", rule.name));
            item.insert("ruleArn".to_owned(), arn.into());
            item.insert("ruleName".to_owned(), (*rule.name).into());
            if let Some(filter) = rule.statement.filter() {
                item.insert("topicPattern".to_owned(), filter.into());
            }
            item.insert("createdAt".to_owned(), (rule.record.created_at as f64 / 1000.0).into());
            item.insert("ruleDisabled".to_owned(), rule.disabled().into());
            Value::Object(item)
        });
        let mut reply = json!({"rules": rules.collect::<Vec<Value>>()});
        if let (Some(next), Some(members)) = (next, reply.as_object_mut()) {
            members.insert("nextToken".to_owned(), next.into());
        }
        Ok(reply.into())
    }

    fn delete(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let commit = self.engine.delete(&self.cloud()?.store, call.text("ruleName")?)?;
        Ok((Reply::empty(), commit))
    }

    fn enable(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        self.set_disabled(&call, false)
    }

    fn disable(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        self.set_disabled(&call, true)
    }

    fn set_disabled(&self, call: &Call, disabled: bool) -> Result<(Reply, Commit), Fault> {
        let name = call.text("ruleName")?;
        let commit = self.engine.replace(&self.cloud()?.store, name, |rule| {
            let mut record = rule.record.clone();
            record.payload.rule_disabled = Some(disabled);
            Rule::read(name, record)
        })?;
        Ok((Reply::empty(), commit))
    }

    fn cloud(&self) -> Result<Arc<Cloud>, Fault> {
        Cloud::held(&self.cloud)
    }
}

impl Tagged for RulesService {
    fn kinds(&self) -> &'static [&'static str] {
        &["rule"]
    }

    fn tags(&self, _: &str, name: &str) -> Option<Tags> {
        Some(self.engine.rule(name)?.record.tags.clone())
    }

    fn change_tags<'a>(
        &'a self,
        _: &'a str,
        name: &'a str,
        change: ChangeTags,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let commit = self.engine.replace(&self.cloud()?.store, name, |rule| {
                let mut record = rule.record.clone();
                change(&mut record.tags)?;
                Rule::read(name, record).map_err(Fault::from)
            })?;
            Ok(commit.stored().await?)
        })
    }
}

/// The payload of a rule; the caller may send it as the body or under its name.
fn payload(call: &Call) -> Result<Payload, Fault> {
    let members = match call.input.get("topicRulePayload") {
        Some(payload) => payload.clone(),
        None => Value::Object(call.input.clone()),
    };
    serde_json::from_value(members).map_err(|error| Fault::invalid_input(error.to_string()))
}

/// Tags as the header writes them: `key=value&key=value`, percent-encoded.
fn header(text: Option<&str>) -> Result<Tags, Fault> {
    let decode = |text: &str| {
        percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .map(|text| text.into_owned())
            .map_err(|_| Fault::invalid_input(format!("tag `{text}` is not UTF-8")))
    };
    text.unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

const NO_DESTINATIONS: &str =
    "only the HTTP and VPC actions use destinations, and they are not offered";
