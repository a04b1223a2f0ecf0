//! The service `iotdata`: shadows, publishing, retained messages and connections
//! over HTTP.
//!
//! What the broker knows is asked through its port. SendDirectMessage cannot wait
//! for the client's confirmation, which the port does not tell; asking for it is
//! refused.

use std::sync::{Arc, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use iotstack_local_kernel::page::page;
use iotstack_local_kernel::{
    Call, Cloud, Fault, Message, Operation, Operations, Protocol, QoS, Reply, Service, id,
};
use serde_json::{Map, Value, json};

use crate::access::check;
use crate::error::{Error, Rejection};
use crate::publish;
use crate::shadow::request::Update;
use crate::shadow::{Address, Shadows};

/// The data plane over HTTP.
pub struct DataService {
    pub(crate) cloud: Weak<Cloud>,
    pub(crate) shadows: Arc<Shadows>,
}

impl Service for DataService {
    fn scopes(&self) -> &'static [&'static str] {
        &["iotdata", "iotdevicegateway", "execute-api"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidRequestException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .rest(
                "GetThingShadow",
                Method::GET,
                "/things/{thingName}/shadow?name",
                Self::get_shadow,
            )
            .rest_async(
                "UpdateThingShadow",
                Method::POST,
                "/things/{thingName}/shadow?name",
                Self::update_shadow,
            )
            .raw()
            .rest_async(
                "DeleteThingShadow",
                Method::DELETE,
                "/things/{thingName}/shadow?name",
                Self::delete_shadow,
            )
            .rest(
                "ListNamedShadowsForThing",
                Method::GET,
                "/api/things/shadow/ListNamedShadowsForThing/{thingName}?nextToken&pageSize:int",
                Self::list_shadows,
            )
            .rest("Publish", Method::POST, publish::TOPICS, Self::publish)
            .raw()
            .rest(
                "GetRetainedMessage",
                Method::GET,
                "/retainedMessage/{topic+}",
                Self::get_retained,
            )
            .rest(
                "ListRetainedMessages",
                Method::GET,
                "/retainedMessage?nextToken&maxResults:int",
                Self::list_retained,
            )
            .rest(
                "GetConnection",
                Method::GET,
                "/connections/{clientId}?includeSocketInformation:bool",
                Self::get_connection,
            )
            .rest(
                "DeleteConnection",
                Method::DELETE,
                "/connections/{clientId}?cleanSession:bool&preventWillMessage:bool",
                Self::delete_connection,
            )
            .rest(
                "ListSubscriptions",
                Method::GET,
                "/connections/{clientId}/subscriptions?nextToken&maxResults:int",
                Self::list_subscriptions,
            )
            .rest("SendDirectMessage", Method::POST, publish::DIRECT, Self::send_direct)
            .raw()
            .list()
    }
}

impl DataService {
    fn get_shadow(&self, call: Call) -> Result<Reply, Fault> {
        let address = self.address(&call, "iot:GetThingShadow")?;
        document(&self.shadows.get(&address, call.at, None)?)
    }

    async fn update_shadow(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let address = self.address(&call, "iot:UpdateThingShadow")?;
        let update = Update::read(&call.body).map_err(|Rejection { error, .. }| error)?;
        document(&self.shadows.update(&address, &update, call.at)?.finish().await?)
    }

    async fn delete_shadow(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let address = self.address(&call, "iot:DeleteThingShadow")?;
        document(&self.shadows.delete(&address, call.at, None)?.finish().await?)
    }

    fn list_shadows(&self, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        check(&cloud, &call, "iot:ListNamedShadowsForThing", "*")?;
        let address = Address::new(call.text("thingName")?, None)?;
        let known = self.shadows.knows(&address.thing)
            || cloud.ports.registry().is_ok_and(|things| things.thing(&address.thing).is_some());
        if !known {
            return Err(Error::NoThing.into());
        }
        let size = bounded(&call, "pageSize", 100)?.unwrap_or(25);
        let names = self.shadows.names(&address.thing);
        let token = call.optional_text("nextToken")?;
        let (names, next) = page(names, |name| name.to_string(), token, size)?;
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        Ok(listed(json!({"results": names, "timestamp": call.at.seconds()}), next))
    }

    fn publish(&self, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        let topic = call.text("topic")?;
        check(&cloud, &call, "iot:Publish", &format!("topic/{topic}"))?;
        if call.flag("retain")? {
            check(&cloud, &call, "iot:RetainPublish", &format!("topic/{topic}"))?;
        }
        let message = publish::message(&call)?;
        cloud.ports.messages()?.publish(message);
        Ok(json!({"message": "OK", "traceId": id::uuid()}).into())
    }

    fn get_retained(&self, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        let topic = call.text("topic")?;
        check(&cloud, &call, "iot:GetRetainedMessage", &format!("topic/{topic}"))?;
        let Some(message) = cloud.ports.messages()?.retained(topic) else {
            return Err(not_found(format!("no message is retained on topic '{topic}'")));
        };
        let mut reply = json!({
            "topic": &*message.topic,
            "payload": STANDARD.encode(&message.payload),
            "qos": level(message.qos),
            "lastModifiedTime": message.at.millis(),
        });
        let user = message.properties.as_ref().map_or(&[][..], |properties| &properties.user);
        if let (false, Some(members)) = (user.is_empty(), reply.as_object_mut()) {
            let pairs: Vec<Value> =
                user.iter().map(|(name, value)| json!({name.as_str(): value})).collect();
            let pairs = STANDARD.encode(Value::Array(pairs).to_string());
            members.insert("userProperties".to_owned(), pairs.into());
        }
        Ok(reply.into())
    }

    fn list_retained(&self, call: Call) -> Result<Reply, Fault> {
        let cloud = self.cloud()?;
        check(&cloud, &call, "iot:ListRetainedMessages", "*")?;
        let most = bounded(&call, "maxResults", 200)?.unwrap_or(200);
        let token = call.optional_text("nextToken")?;
        let all = cloud.ports.messages()?.all_retained();
        let topic = |message: &Message| message.topic.to_string();
        let (messages, next) = page(all, topic, token, most)?;
        let topics = messages.iter().map(|message| {
            json!({
                "topic": &*message.topic,
                "payloadSize": message.payload.len(),
                "qos": level(message.qos),
                "lastModifiedTime": message.at.millis(),
            })
        });
        Ok(listed(json!({"retainedTopics": topics.collect::<Vec<Value>>()}), next))
    }

    fn get_connection(&self, call: Call) -> Result<Reply, Fault> {
        let (cloud, client_id) = self.client(&call, "iot:GetConnection")?;
        let Some(found) = cloud.ports.messages()?.connection(client_id) else {
            return Err(no_client(client_id));
        };
        let mut reply = Map::new();
        let mut put = |name: &str, value: Value| drop(reply.insert(name.to_owned(), value));
        put("clientId", client_id.into());
        put("connected", found.connected.into());
        put("cleanSession", found.clean_session.into());
        put("keepAliveDuration", found.keep_alive.into());
        if let Some(thing) = &found.thing {
            put("thingName", (**thing).into());
        }
        let since = if found.connected { "connectedSince" } else { "disconnectedSince" };
        put(since, found.since.millis().into());
        if let Some(reason) = found.disconnect_reason {
            put("disconnectReason", reason.into());
        }
        if let (true, Some(source)) = (call.flag("includeSocketInformation")?, found.source) {
            put("sourceIp", source.ip().to_string().into());
            put("sourcePort", source.port().into());
        }
        Ok(Value::Object(reply).into())
    }

    fn delete_connection(&self, call: Call) -> Result<Reply, Fault> {
        let (cloud, client_id) = self.client(&call, "iot:DeleteConnection")?;
        let (clean, prevent) = (call.flag("cleanSession")?, call.flag("preventWillMessage")?);
        if cloud.ports.messages()?.disconnect(client_id, clean, prevent) {
            return Ok(Reply::empty());
        }
        Err(no_client(client_id))
    }

    fn list_subscriptions(&self, call: Call) -> Result<Reply, Fault> {
        let (cloud, client_id) = self.client(&call, "iot:ListSubscriptions")?;
        let Some(found) = cloud.ports.messages()?.connection(client_id) else {
            return Err(no_client(client_id));
        };
        let most = bounded(&call, "maxResults", 200)?.unwrap_or(20);
        let mut all = found.subscriptions;
        all.sort();
        let token = call.optional_text("nextToken")?;
        let (all, next) = page(all, |(filter, _)| filter.clone(), token, most)?;
        let all =
            all.iter().map(|(filter, qos)| json!({"topicFilter": filter, "qos": level(*qos)}));
        Ok(listed(json!({"subscriptions": all.collect::<Vec<Value>>()}), next))
    }

    fn send_direct(&self, call: Call) -> Result<Reply, Fault> {
        let (cloud, client_id) = self.client(&call, "iot:SendDirectMessage")?;
        if call.flag("confirmation")? {
            return Err(Fault::not_implemented("SendDirectMessage with confirmation"));
        }
        let message = publish::message(&call)?;
        let messages = cloud.ports.messages()?;
        if !messages.connection(client_id).is_some_and(|found| found.connected) {
            return Err(no_client(client_id));
        }
        messages.send(client_id, message);
        Ok(json!({"message": "OK", "traceId": id::uuid()}).into())
    }

    fn address(&self, call: &Call, action: &str) -> Result<Address, Fault> {
        let name = call.optional_text("name")?;
        let address = Address::new(call.text("thingName")?, name)?;
        let cloud = self.cloud()?;
        check(&cloud, call, action, &address.resource())?;
        Ok(address)
    }

    fn client<'a>(&self, call: &'a Call, action: &str) -> Result<(Arc<Cloud>, &'a str), Fault> {
        let client_id = call.text("clientId")?;
        if client_id.is_empty() || client_id.len() > 128 || client_id.starts_with('$') {
            return Err(Fault::invalid_input(format!(
                "client id '{client_id}' is not valid: expected 1 to 128 bytes that do not begin with $"
            )));
        }
        let cloud = self.cloud()?;
        check(&cloud, call, action, &format!("client/{client_id}"))?;
        Ok((cloud, client_id))
    }

    fn cloud(&self) -> Result<Arc<Cloud>, Fault> {
        Cloud::held(&self.cloud)
    }
}

fn document(document: &Value) -> Result<Reply, Fault> {
    Ok(Reply::bytes("application/json", document.to_string()))
}

fn listed(mut reply: Value, next: Option<String>) -> Reply {
    if let (Some(next), Some(members)) = (next, reply.as_object_mut()) {
        members.insert("nextToken".to_owned(), next.into());
    }
    reply.into()
}

fn bounded(call: &Call, member: &str, most: usize) -> Result<Option<usize>, Fault> {
    let Some(value) = call.optional_integer(member)? else { return Ok(None) };
    match usize::try_from(value) {
        Ok(value) if (1..=most).contains(&value) => Ok(Some(value)),
        _ => Err(Fault::invalid_input(format!("{member} is {value}; expected 1 to {most}"))),
    }
}

fn level(qos: QoS) -> u8 {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
    }
}

fn no_client(client_id: &str) -> Fault {
    not_found(format!("client '{client_id}' is not connected and has no session"))
}

fn not_found(message: String) -> Fault {
    Fault::new("ResourceNotFoundException", 404, message)
}
