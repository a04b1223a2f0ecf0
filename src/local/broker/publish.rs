//! A message that a client publishes: who may, how large, and where to.
//!
//! A message that is refused ends the connection of MQTT 3.1.1, which has no way to
//! say no. MQTT 5 says it in the PUBACK of a message of QoS 1 and in a DISCONNECT
//! after one of QoS 0.

use iotstack_local_kernel::{Commit, Message, Timestamp};
use iotstack_mqtt::topic;
use iotstack_mqtt::wire::{
    Ack, Packet, Publish, PublishProperties, QoS, ReasonCode, Text, Version,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::broker::End;
use crate::connection::Connection;
use crate::lifecycle::reason;
use crate::limits;
use crate::message::{kernel_qos, properties};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes a PUBLISH.
    pub(crate) fn publish(&mut self, mut packet: Publish, now: Timestamp) -> Option<End> {
        if packet.qos == QoS::ExactlyOnce && self.broker.settings.is_aws() {
            // AWS IoT does not answer QoS 2 in MQTT 3.1.1.
            return match self.version {
                Version::V311 => None,
                Version::V5 => Some(self.broken_rule(ReasonCode::QOS_NOT_SUPPORTED)),
            };
        }
        if let Err(end) = self.resolve_alias(&mut packet) {
            return Some(end);
        }
        if let Some(code) = self.exceeded(&packet) {
            return self.refuse(&packet, code, reason::CLIENT_ERROR);
        }
        if packet.qos == QoS::ExactlyOnce
            && let Some(id) = packet.packet_id
        {
            let mut state = self.session.lock();
            let count = state.unreleased.len();
            let is_new = state.unreleased.insert(id.get());
            drop(state);
            if !is_new {
                return self.acknowledge(&packet, ReasonCode::SUCCESS);
            }
            if count >= usize::from(limits::IN_FLIGHT) {
                return Some(self.broken_rule(ReasonCode::RECEIVE_MAXIMUM_EXCEEDED));
            }
        }
        if !self.rate.admits(self.broker.settings.publishes_per_second, now) {
            return self.drop_surplus(&packet);
        }
        if !self.rights.may_publish(&packet.topic, packet.retain) {
            return self.refuse(&packet, ReasonCode::NOT_AUTHORIZED, reason::AUTH_ERROR);
        }
        // After the rights: who may not publish takes nobody's turn.
        if !self.may_retain_now(&packet, now) {
            return self.drop_surplus(&packet);
        }
        let message = self.message(&packet, now);
        if packet.topic.starts_with('$') && self.broker.settings.is_aws() {
            let publisher = self.rights.publisher().clone();
            return match self.broker.take_reserved(&publisher, &message) {
                true => self.acknowledge(&packet, ReasonCode::SUCCESS),
                false => self.refuse(&packet, ReasonCode::TOPIC_NAME_INVALID, reason::CLIENT_ERROR),
            };
        }
        match self.broker.take(&message, packet.qos) {
            Ok(commit) => self.acknowledge_when_stored(&packet, commit),
            Err(_) => self.refuse(&packet, ReasonCode::QUOTA_EXCEEDED, reason::CLIENT_ERROR),
        }
    }

    /// Says as far as its version of MQTT can that a message is too much.
    fn drop_surplus(&mut self, packet: &Publish) -> Option<End> {
        match (self.version, packet.qos) {
            (Version::V5, QoS::AtLeastOnce) => self.acknowledge(packet, ReasonCode::QUOTA_EXCEEDED),
            _ => None,
        }
    }

    /// Whether a retained message comes no sooner after another one of its topic than it
    /// may, if that is limited.
    fn may_retain_now(&self, packet: &Publish, now: Timestamp) -> bool {
        !packet.retain
            || !self.broker.settings.once_per_second
            || self.broker.turns.retaining.takes(&packet.topic, now)
    }

    fn message(&self, packet: &Publish, now: Timestamp) -> Message {
        let properties = properties(packet.properties.as_deref());
        Message {
            topic: (&*packet.topic).into(),
            payload: packet.payload.clone(),
            qos: kernel_qos(packet.qos),
            retain: packet.retain,
            properties,
            publisher: Some(self.rights.publisher().clone()),
            at: now,
        }
    }

    /// Puts the topic in place that an alias stands for, and remembers new aliases.
    fn resolve_alias(&mut self, packet: &mut Publish) -> Result<(), End> {
        let Some(properties) = &mut packet.properties else { return Ok(()) };
        if !properties.subscription_ids.is_empty() {
            return Err(self.broken_rule(ReasonCode::PROTOCOL_ERROR));
        }
        let Some(alias) = properties.topic_alias.take() else { return Ok(()) };
        let invalid = ReasonCode::TOPIC_ALIAS_INVALID;
        if alias.get() > limits::TOPIC_ALIAS {
            return Err(self.broken_rule(invalid));
        }
        let theirs = &mut self.aliases.theirs;
        theirs.resize(usize::from(limits::TOPIC_ALIAS), None);
        let place = &mut theirs[usize::from(alias.get() - 1)];
        if !packet.topic.is_empty() {
            // The topic of a packet keeps all of its memory alive, so it is copied.
            *place = Some(Text::from(&*packet.topic));
            return Ok(());
        }
        match place {
            Some(topic) => packet.topic = topic.clone(),
            None => return Err(self.broken_rule(invalid)),
        }
        Ok(())
    }

    /// The code with which a message is refused that exceeds a limit.
    fn exceeded(&self, packet: &Publish) -> Option<ReasonCode> {
        let settings = &self.broker.settings;
        if topic::name_size(&packet.topic, settings.topic_limits()).is_err() {
            return Some(ReasonCode::TOPIC_NAME_INVALID);
        }
        let exceeds = packet.payload.len() > limits::PAYLOAD
            || packet.properties.as_deref().is_some_and(exceeds_limits);
        (exceeds && settings.is_aws()).then_some(ReasonCode::QUOTA_EXCEEDED)
    }

    /// Says no to a message.
    fn refuse(&mut self, packet: &Publish, code: ReasonCode, reason: &'static str) -> Option<End> {
        if self.version == Version::V5 && packet.qos != QoS::AtMostOnce {
            if let Some(id) = packet.packet_id {
                self.session.lock().unreleased.remove(&id.get());
            }
            return self.acknowledge(packet, code);
        }
        tracing::debug!(
            client_id = %self.session.client_id,
            topic = %packet.topic,
            %code,
            "a message is refused"
        );
        Some(End::because(reason, Some(code)))
    }

    fn acknowledge(&mut self, packet: &Publish, code: ReasonCode) -> Option<End> {
        let answer = self.acknowledgement(packet, code)?;
        self.answer_in_order(answer, None)
    }

    /// Acknowledges a message once it is stored, if it has to be.
    fn acknowledge_when_stored(&mut self, packet: &Publish, commit: Option<Commit>) -> Option<End> {
        let answer = self.acknowledgement(packet, ReasonCode::SUCCESS)?;
        self.answer_in_order(answer, commit)
    }

    fn acknowledgement(&self, packet: &Publish, code: ReasonCode) -> Option<Packet> {
        let id = packet.packet_id?;
        if self.session.misbehaviour().withholds_puback {
            return None;
        }
        Some(match packet.qos {
            QoS::ExactlyOnce => Packet::PubRec(Ack::new(id, code)),
            _ => Packet::PubAck(Ack::new(id, code)),
        })
    }
}

fn exceeds_limits(properties: &PublishProperties) -> bool {
    let user: usize =
        properties.user_properties.iter().map(|(name, value)| name.len() + value.len()).sum();
    let length = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.len());
    user > limits::USER_PROPERTIES
        || length(&properties.content_type) > limits::CONTENT_TYPE
        || properties.correlation_data.as_ref().map_or(0, |data| data.len())
            > limits::CORRELATION_DATA
        || properties.message_expiry.is_some_and(|seconds| seconds.get() > limits::MESSAGE_EXPIRY)
}
