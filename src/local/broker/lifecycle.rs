//! Lifecycle events: what AWS IoT tells about connections and subscriptions.
//!
//! Events are ordinary messages on `$aws/events/…`, so topic rules and clients with
//! the right policy hear them. A client id that holds `+` or `#` has none, because
//! it cannot be part of a topic.

use std::net::IpAddr;

use iotstack_local_kernel::{Message, Publisher, Refused, Timestamp};
use serde_json::{Map, Value, json};

use crate::session::Link;

/// Why a connection ended, in AWS's words.
pub(crate) mod reason {
    /// A publish or subscribe that no policy allows.
    pub(crate) const AUTH_ERROR: &str = "AUTH_ERROR";
    /// The client said goodbye.
    pub(crate) const CLIENT_INITIATED: &str = "CLIENT_INITIATED_DISCONNECT";
    /// The client broke a rule of MQTT.
    pub(crate) const CLIENT_ERROR: &str = "CLIENT_ERROR";
    /// The connection broke.
    pub(crate) const CONNECTION_LOST: &str = "CONNECTION_LOST";
    /// Another connection uses the client id.
    pub(crate) const DUPLICATE_CLIENT_ID: &str = "DUPLICATE_CLIENTID";
    /// The client may not be connected any longer.
    pub(crate) const FORBIDDEN_ACCESS: &str = "FORBIDDEN_ACCESS";
    /// Nothing was heard for too long.
    pub(crate) const KEEP_ALIVE: &str = "MQTT_KEEP_ALIVE_TIMEOUT";
    /// The server goes away.
    pub(crate) const SERVER_INITIATED: &str = "SERVER_INITIATED_DISCONNECT";
    /// Somebody asked for it through the API.
    pub(crate) const API_INITIATED: &str = "API_INITIATED_DISCONNECT";
    /// A WebSocket was open for as long as is allowed.
    pub(crate) const WEBSOCKET_TTL: &str = "WEBSOCKET_TTL_EXPIRATION";
}

/// What all events of one connection have in common.
pub(crate) struct About<'a> {
    pub(crate) publisher: &'a Publisher,
    pub(crate) identifier: &'a str,
    pub(crate) version_number: u64,
}

impl<'a> About<'a> {
    pub(crate) fn link(link: &'a Link) -> Self {
        About {
            publisher: link.rights.publisher(),
            identifier: &link.identifier,
            version_number: link.version_number,
        }
    }

    /// `connected`.
    pub(crate) fn connected(&self, at: Timestamp) -> Option<Message> {
        let mut event = self.event("connected", at);
        event.insert("ipAddress".to_owned(), json!(self.publisher.source.to_string()));
        event.insert("versionNumber".to_owned(), json!(self.version_number));
        message("presence/connected", &self.publisher.client_id, event, at)
    }

    /// `disconnected`, with the reason.
    pub(crate) fn disconnected(
        &self,
        by_client: bool,
        reason: &'static str,
        at: Timestamp,
    ) -> Option<Message> {
        let mut event = self.event("disconnected", at);
        event.insert("clientInitiatedDisconnect".to_owned(), json!(by_client));
        event.insert("disconnectReason".to_owned(), json!(reason));
        event.insert("versionNumber".to_owned(), json!(self.version_number));
        message("presence/disconnected", &self.publisher.client_id, event, at)
    }

    /// `subscribed` or `unsubscribed`, with the filters.
    pub(crate) fn subscriptions(
        &self,
        kind: &'static str,
        filters: &[&str],
        at: Timestamp,
    ) -> Option<Message> {
        let mut event = self.event(kind, at);
        event.insert("topics".to_owned(), json!(filters));
        let topic = if kind == "subscribed" {
            "subscriptions/subscribed"
        } else {
            "subscriptions/unsubscribed"
        };
        message(topic, &self.publisher.client_id, event, at)
    }

    fn event(&self, kind: &'static str, at: Timestamp) -> Map<String, Value> {
        let mut event = Map::new();
        event.insert("clientId".to_owned(), json!(*self.publisher.client_id));
        // The thing is named only where it is not the client id that says it.
        if let Some(thing) = &self.publisher.thing
            && *thing != self.publisher.client_id
        {
            event.insert("thingName".to_owned(), json!(**thing));
        }
        event.insert("timestamp".to_owned(), json!(at.millis()));
        event.insert("eventType".to_owned(), json!(kind));
        event.insert("sessionIdentifier".to_owned(), json!(self.identifier));
        event.insert("principalIdentifier".to_owned(), json!(*self.publisher.principal));
        event
    }
}

/// `connect_failed`, for a client that was refused.
pub(crate) fn connect_failed(
    client_id: &str,
    refused: Refused,
    identifier: &str,
    source: IpAddr,
    at: Timestamp,
) -> Option<Message> {
    let failure = match refused {
        Refused::NotAuthorized => "AUTHORIZATION_FAILED",
        Refused::NotAuthenticated => "AUTHENTICATION_FAILED",
        Refused::Malformed => "CLIENT_ERROR",
    };
    let mut event = Map::new();
    event.insert("clientId".to_owned(), json!(client_id));
    event.insert("timestamp".to_owned(), json!(at.millis()));
    event.insert("eventType".to_owned(), json!("connect_failed"));
    event.insert("sessionIdentifier".to_owned(), json!(identifier));
    event.insert("ipAddress".to_owned(), json!(source.to_string()));
    event.insert("connectFailureReason".to_owned(), json!(failure));
    message("presence/connect_failed", client_id, event, at)
}

/// The event as a message, unless the client id cannot be part of a topic.
fn message(
    kind: &'static str,
    client_id: &str,
    event: Map<String, Value>,
    at: Timestamp,
) -> Option<Message> {
    if client_id.contains(['+', '#']) {
        return None;
    }
    let topic = format!("$aws/events/{kind}/{client_id}");
    Some(Message::new(topic, Value::Object(event).to_string(), at))
}
