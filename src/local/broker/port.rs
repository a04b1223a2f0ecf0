//! What the rest of the cloud may ask of the broker.
//!
//! A message that comes from a client by another way (HTTP, a topic rule that
//! republishes) names its publisher: on a reserved topic it reaches the service
//! behind it, as if it had come over MQTT. A message of the cloud itself names
//! nobody and goes to subscribers alone, so that a service that answers on its own
//! topics never hears itself.

use std::sync::Arc;

use iotstack_local_kernel::Message;
use iotstack_local_kernel::ports::{ConnectionInfo, Messages};
use iotstack_mqtt::wire::ReasonCode;

use crate::Broker;
use crate::broker::End;
use crate::lifecycle::reason;
use crate::message::{Delivery, Routed, kernel_qos, wire_qos};

impl Messages for Broker {
    fn publish(&self, message: Message) {
        if message.topic.starts_with("$aws/")
            && let Some(publisher) = &message.publisher
            && self.take_reserved(publisher, &message)
        {
            return;
        }
        if self.take(&message, wire_qos(message.qos)).is_err() {
            tracing::warn!(topic = %message.topic, "a message is dropped: too many are retained");
        }
    }

    fn send(&self, client_id: &str, message: Message) {
        let Some(session) = self.session(client_id) else { return };
        let qos = wire_qos(message.qos);
        let delivery = Delivery::new(Routed::new(&message, qos), qos, false);
        session.deliver(Delivery { is_direct: true, ..delivery }, &mut None);
    }

    fn retained(&self, topic: &str) -> Option<Message> {
        self.retained.of(topic, self.clock.now()).map(|(message, _)| message)
    }

    fn all_retained(&self) -> Vec<Message> {
        self.retained.all(self.clock.now())
    }

    fn connection(&self, client_id: &str) -> Option<ConnectionInfo> {
        let session = self.session(client_id)?;
        let state = session.lock();
        let subscriptions = state
            .subscriptions
            .iter()
            .map(|each| (each.filter.to_string(), kernel_qos(each.options.qos)))
            .collect();
        Some(match (&state.link, &state.offline) {
            (Some(link), _) => {
                let publisher = link.rights.publisher();
                ConnectionInfo {
                    connected: true,
                    principal: publisher.principal.clone(),
                    thing: publisher.thing.clone(),
                    since: link.since,
                    disconnect_reason: None,
                    source: Some(link.source),
                    keep_alive: link.keep_alive,
                    clean_session: link.clean_session,
                    subscriptions,
                }
            }
            (None, Some(offline)) => {
                let publisher = offline.publisher.as_ref();
                ConnectionInfo {
                    connected: false,
                    principal: publisher
                        .map_or_else(|| Arc::from(""), |publisher| publisher.principal.clone()),
                    thing: publisher.and_then(|publisher| publisher.thing.clone()),
                    since: offline.since,
                    disconnect_reason: Some(offline.reason),
                    source: None,
                    keep_alive: offline.keep_alive,
                    clean_session: false,
                    subscriptions,
                }
            }
            (None, None) => return None,
        })
    }

    fn disconnect(&self, client_id: &str, clean_session: bool, prevent_will: bool) -> bool {
        let Some(session) = self.session(client_id) else { return false };
        let end = End {
            reason: reason::API_INITIATED,
            by_client: false,
            publishes_will: !prevent_will,
            forgets_session: clean_session,
            farewell: Some(ReasonCode::ADMINISTRATIVE_ACTION),
        };
        let ended = self.end_any(&session, end);
        // A session that is only kept is forgotten as well.
        ended || (clean_session && self.forget(&session, None))
    }
}
