//! The answers to what functions of a statement ask of other services.
//!
//! The language interrupts with a question; this file finds the answer through the
//! ports of the cloud and lets the language go on. Like actions, functions with a
//! role act as that role. A function that does not answer within two seconds fails.

use std::time::Duration;

use iotstack_local_kernel::{Cloud, Fault};
use serde_json::{Map, Value as Json, json};

use crate::action::may;
use crate::sql::{Answers, Interrupt, Question, Value};

/// Evaluates until nothing is left to ask.
pub async fn settle<T>(
    cloud: &Cloud,
    rule: &str,
    answers: &mut Answers,
    evaluate: impl Fn(&Answers) -> Result<T, Interrupt>,
) -> Result<T, String> {
    loop {
        match evaluate(answers) {
            Ok(value) => return Ok(value),
            Err(Interrupt::Failed(reason)) => return Err(reason),
            Err(Interrupt::Asks(question)) => {
                if answers.count() >= MOST_QUESTIONS {
                    return Err(format!("a rule asks at most {MOST_QUESTIONS} questions"));
                }
                let limit = tokio::time::timeout(LIMIT, answer(cloud, rule, &question));
                let found = limit.await.unwrap_or_else(|_| {
                    Err(format!("`{}` did not answer within 2 seconds", question.function))
                });
                answers.add(question, found);
            }
        }
    }
}

async fn answer(cloud: &Cloud, rule: &str, question: &Question) -> Result<Value, String> {
    let text = |place: usize| match question.arguments.get(place) {
        Some(Value::String(text)) => Ok(text.as_str()),
        other => Err(format!(
            "argument {} of `{}` must be a String, not {}",
            place + 1,
            question.function,
            other.map_or("missing", Value::kind)
        )),
    };
    let role = |action: &str, resource: String| {
        may(cloud, text(question.arguments.len().saturating_sub(1))?, action, &resource)
    };
    let account = &cloud.account;
    match question.function {
        "aws_lambda" => {
            let function = text(0)?;
            let payload = question.arguments.get(1).map(ToString::to_string).unwrap_or_default();
            lambda(cloud, rule, function, payload).await
        }
        "get_thing_shadow" => {
            let thing = text(0)?;
            let name = if question.arguments.len() > 2 { Some(text(1)?) } else { None };
            let resource = match name {
                Some(name) => format!("thing/{thing}/{name}"),
                None => format!("thing/{thing}"),
            };
            role("iot:GetThingShadow", account.arn("iot", resource))?;
            let shadow = cloud.ports.shadows().map_err(said)?.shadow(thing, name);
            Ok(shadow.map_or(Value::Undefined, |document| Value::from(&*document)))
        }
        "get_registry_data" => {
            let (what, thing) = (text(0)?, text(1)?);
            role(&format!("iot:{what}"), account.arn("iot", format_args!("thing/{thing}")))?;
            registry(cloud, what, thing)
        }
        "get_secret" => {
            let (secret, kind) = (text(0)?, text(1)?);
            role("secretsmanager:GetSecretValue", secret_arn(cloud, secret))?;
            if kind != "SecretString" {
                return Err(format!("secret type `{kind}` is not offered here; SecretString is"));
            }
            let value = cloud.ports.secrets().map_err(said)?.value(secret).map_err(said)?;
            if question.arguments.len() < 4 {
                return Ok(Value::String(value));
            }
            let members: Json = serde_json::from_str(&value)
                .map_err(|_| format!("secret `{secret}` is not a JSON object"))?;
            Ok(members.get(text(2)?).map_or(Value::Undefined, Value::from))
        }
        "get_dynamodb" => {
            let table = text(0)?;
            role("dynamodb:GetItem", account.arn("dynamodb", format_args!("table/{table}")))?;
            let mut key = Map::new();
            for place in (1..question.arguments.len() - 1).step_by(2) {
                let value = match question.arguments.get(place + 1) {
                    Some(Value::String(text)) => json!({"S": text}),
                    Some(number @ (Value::Int(_) | Value::Decimal(_))) => {
                        json!({"N": number.to_string()})
                    }
                    _ => return Err("a key of `get_dynamodb` is a String or a number".to_owned()),
                };
                key.insert(text(place)?.to_owned(), value);
            }
            let input = json!({"TableName": table, "Key": key});
            let now = cloud.clock.now();
            let services = &cloud.services;
            let reply = services.call("dynamodb", "GetItem", input, bytes::Bytes::new(), now).await;
            let reply = reply.map_err(said)?;
            let item = reply.members().and_then(|members| members.get("Item"));
            Ok(item.and_then(Json::as_object).map_or(Value::Undefined, plain_members))
        }
        other => Err(format!("`{other}` is not offered here")),
    }
}

async fn lambda(
    cloud: &Cloud,
    rule: &str,
    function: &str,
    payload: String,
) -> Result<Value, String> {
    let functions = cloud.ports.functions().map_err(said)?;
    let arn = cloud.account.arn("iot", format_args!("rule/{rule}"));
    if !functions.permits(function, "iot.amazonaws.com", &arn) {
        return Err(format!(
            "the policy of {function} does not let iot.amazonaws.com invoke it for {arn}"
        ));
    }
    let answer = functions.invoke(function, payload.into()).await.map_err(said)?;
    if let Some(error) = answer.error {
        return Err(format!("{function} failed: {error}"));
    }
    crate::sql::parse_json(&answer.payload)
        .ok_or_else(|| format!("{function} did not answer with JSON"))
}

fn registry(cloud: &Cloud, what: &str, thing: &str) -> Result<Value, String> {
    let registry = cloud.ports.registry().map_err(said)?;
    let Some(found) = registry.thing(thing) else {
        return Err(format!("there is no thing `{thing}`"));
    };
    let arn = |kind: &str, name: &str| cloud.account.arn("iot", format_args!("{kind}/{name}"));
    Ok(Value::from(&if what == "DescribeThing" {
        let mut thing = json!({
            "defaultClientId": thing,
            "thingName": thing,
            "thingId": found.id,
            "thingArn": arn("thing", thing),
            "attributes": found.attributes,
            "version": found.version,
        });
        if let (Some(name), Some(members)) = (found.thing_type, thing.as_object_mut()) {
            members.insert("thingTypeName".to_owned(), name.into());
        }
        thing
    } else {
        let groups = registry.groups_of(thing);
        let groups = groups
            .iter()
            .map(|name| json!({"groupName": &**name, "groupArn": arn("thinggroup", name)}));
        json!({"thingGroups": groups.collect::<Vec<Json>>()})
    }))
}

fn secret_arn(cloud: &Cloud, secret: &str) -> String {
    if secret.starts_with("arn:") {
        return secret.to_owned();
    }
    cloud.account.arn("secretsmanager", format_args!("secret:{secret}"))
}

/// An item of DynamoDB's JSON as plain values.
fn plain_members(members: &Map<String, Json>) -> Value {
    Value::Object(members.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
}

fn plain(attribute: &Json) -> Value {
    let Some((kind, value)) = attribute.as_object().and_then(|object| object.iter().next()) else {
        return Value::Undefined;
    };
    match (kind.as_str(), value) {
        ("N", Json::String(number)) => {
            crate::sql::parse_json(number.as_bytes()).unwrap_or(Value::Undefined)
        }
        ("NS", Json::Array(numbers)) => Value::Array(
            numbers
                .iter()
                .filter_map(|number| crate::sql::parse_json(number.as_str()?.as_bytes()))
                .collect(),
        ),
        ("NULL", _) => Value::Null,
        ("L", Json::Array(items)) => Value::Array(items.iter().map(plain).collect()),
        ("M", Json::Object(members)) => plain_members(members),
        (_, value) => Value::from(value),
    }
}

fn said(fault: Fault) -> String {
    fault.to_string()
}

/// The longest that a function may take.
const LIMIT: Duration = Duration::from_secs(2);
const MOST_QUESTIONS: usize = 32;
