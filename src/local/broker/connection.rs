//! One connection, from its accepted CONNECT to its end.
//!
//! A connection is one task that does whatever is possible and then sleeps: it
//! reads the packets that are there, writes answers and messages together, and is
//! woken by its socket or by its session. It has no timer; the sweeper looks after
//! silence. What packets mean stands in `publish` and `subscribe`.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use iotstack_local_kernel::{Commit, Rights, Timestamp};
use iotstack_mqtt::Error;
use iotstack_mqtt::wire::{
    Ack, Disconnect, Packet, Publish, QoS, Reader, ReasonCode, Text, Version, Writer,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::broker::End;
use crate::lifecycle::reason;
use crate::message::Delivery;
use crate::rate::Rate;
use crate::session::{Orders, Session};
use crate::{Broker, limits};

/// A connection at work.
pub(crate) struct Connection<S> {
    pub(crate) broker: Arc<Broker>,
    pub(crate) session: Arc<Session>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) rights: Arc<dyn Rights>,
    pub(crate) stream: Box<S>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) version: Version,
    /// The largest packet that the client takes.
    pub(crate) largest_out: usize,
    /// Milliseconds of silence after which the client is lost; none if never.
    pub(crate) patience: Option<i64>,
    /// When the connection ends, whatever happens.
    pub(crate) until: i64,
    pub(crate) aliases: Aliases,
    pub(crate) rate: Rate,
    /// Whether the session was agreed to end with the connection, which the client
    /// may not change when it says goodbye.
    pub(crate) ends_session: bool,
    /// Answers to messages that are not stored yet, and those that must follow them.
    pub(crate) unconfirmed: VecDeque<(Option<Commit>, Packet)>,
}

/// Topic aliases, each way. Empty for clients that use none.
#[derive(Default)]
pub(crate) struct Aliases {
    pub(crate) theirs: Vec<Option<Text>>,
    pub(crate) ours: Vec<Text>,
    /// The largest alias that the client takes.
    pub(crate) most: u16,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Serves the client until the connection ends.
    pub(crate) async fn run(mut self) {
        self.heard(self.broker.clock.now());
        let end = poll_fn(|cx| self.poll(cx)).await;
        // Whoever gave the order has done everything but the goodbye.
        let code = self.orders.farewell().or(end.farewell);
        self.broker.end(&self.session, &self.orders, end);
        let goodbye = Box::pin(self.say_goodbye(code));
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    pub(crate) fn push(&mut self, packet: &Packet) -> Option<End> {
        match self.writer.push(packet, self.version, self.largest_out) {
            Ok(()) => None,
            // A message that the client said it cannot take is not for it.
            Err(Error::TooLarge { size, .. }) => {
                tracing::debug!(client_id = %self.session.client_id, size, "a packet is too large");
                None
            }
            Err(error) => {
                tracing::warn!(client_id = %self.session.client_id, %error, "an answer is lost");
                Some(End::because("SERVER_ERROR", Some(ReasonCode::UNSPECIFIED_ERROR)))
            }
        }
    }

    /// Answers a message, after `commit` and after the answers to earlier messages, as
    /// MQTT wants them in order.
    pub(crate) fn answer_in_order(
        &mut self,
        answer: Packet,
        commit: Option<Commit>,
    ) -> Option<End> {
        if commit.is_none() && self.unconfirmed.is_empty() {
            return self.push(&answer);
        }
        self.unconfirmed.push_back((commit, answer));
        None
    }

    /// Writes the answers whose messages are stored.
    fn confirm(&mut self, cx: &mut Context<'_>) -> Option<End> {
        while let Some((commit, _)) = self.unconfirmed.front_mut() {
            let outcome = match commit.as_mut().map(|commit| commit.poll_stored(cx)) {
                Some(Poll::Pending) => return None,
                Some(Poll::Ready(outcome)) => outcome,
                None => Ok(()),
            };
            let Some((_, answer)) = self.unconfirmed.pop_front() else { break };
            match outcome {
                Ok(()) => {
                    if let Some(end) = self.push(&answer) {
                        return Some(end);
                    }
                }
                // Without an answer the client sends it again.
                Err(error) => tracing::error!(%error, "an answer is withheld"),
            }
        }
        None
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Some(code) = self.orders.farewell() {
                return Poll::Ready(End::because(reason::SERVER_INITIATED, Some(code)));
            }
            let mut waits_for_client = false;
            while !self.writer.is_full() {
                match self.poll_packet(cx) {
                    Poll::Ready(None) => {}
                    Poll::Ready(Some(end)) => return Poll::Ready(end),
                    Poll::Pending => {
                        waits_for_client = true;
                        break;
                    }
                }
            }
            if let Some(end) = self.confirm(cx).or_else(|| self.fill()) {
                return Poll::Ready(end);
            }
            match self.writer.poll_flush(cx, Pin::new(&mut *self.stream)) {
                Poll::Ready(Ok(())) if !waits_for_client => continue,
                Poll::Ready(Ok(())) | Poll::Pending => {}
                Poll::Ready(Err(_)) => {
                    return Poll::Ready(End::because(reason::CONNECTION_LOST, None));
                }
            }
            let may_sleep = self.session.park(&self.orders, cx.waker());
            // A full writer waits for the socket, whatever else there is to do; an
            // order to close is obeyed at once.
            if (may_sleep || self.writer.is_full()) && self.orders.farewell().is_none() {
                return Poll::Pending;
            }
        }
    }

    /// Reads and handles one packet.
    fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        if self.unconfirmed.len() >= usize::from(limits::IN_FLIGHT) {
            if let Some(end) = self.confirm(cx) {
                return Poll::Ready(Some(end));
            }
            // The disk wakes the task that is ahead of it.
            if self.unconfirmed.len() >= usize::from(limits::IN_FLIGHT) {
                return Poll::Pending;
            }
        }
        let stream = Pin::new(&mut *self.stream);
        let read = match self.reader.poll_read(cx, stream, self.version, limits::PACKET) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(read) => read,
        };
        Poll::Ready(match read {
            Ok(Some(packet)) => {
                let now = self.broker.clock.now();
                self.heard(now);
                self.handle(packet, now)
            }
            Ok(None) | Err(Error::Io(_)) => Some(End::because(reason::CONNECTION_LOST, None)),
            Err(error) => {
                tracing::debug!(client_id = %self.session.client_id, %error, "a client broke a rule");
                Some(self.broken_rule(error.reason_code()))
            }
        })
    }

    fn handle(&mut self, packet: Packet, now: Timestamp) -> Option<End> {
        match packet {
            Packet::Publish(publish) => self.publish(publish, now),
            Packet::PubAck(ack) => {
                self.session.acknowledge(ack.packet_id);
                None
            }
            Packet::Subscribe(subscribe) => self.subscribe(subscribe, now),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe, now),
            Packet::PingReq if self.session.misbehaviour().withholds_pingresp => None,
            Packet::PingReq => {
                if self.broker.settings.is_aws() {
                    let before = now.millis() - self.broker.retry_after();
                    self.session.retry(Timestamp(before), now);
                }
                self.push(&Packet::PingResp)
            }
            Packet::Disconnect(goodbye) => Some(self.goodbye(&goodbye)),
            Packet::PubRel(ack) if self.broker.settings.standard_mqtt => {
                self.session.lock().unreleased.remove(&ack.packet_id.get());
                self.push(&Packet::PubComp(Ack::success(ack.packet_id)))
            }
            Packet::PubRec(ack) if self.broker.settings.standard_mqtt => {
                if ack.reason.is_failure() {
                    self.session.acknowledge(ack.packet_id);
                    return None;
                }
                self.session.received(ack.packet_id);
                self.push(&Packet::PubRel(Ack::success(ack.packet_id)))
            }
            Packet::PubComp(ack) if self.broker.settings.standard_mqtt => {
                self.session.acknowledge(ack.packet_id);
                None
            }
            _ => Some(self.broken_rule(ReasonCode::PROTOCOL_ERROR)),
        }
    }

    /// The client says goodbye.
    fn goodbye(&mut self, goodbye: &Disconnect) -> End {
        let mut end = End {
            reason: reason::CLIENT_INITIATED,
            by_client: true,
            publishes_will: goodbye.reason == ReasonCode::DISCONNECT_WITH_WILL,
            forgets_session: false,
            farewell: None,
        };
        let expiry = goodbye.properties.as_ref().and_then(|each| each.session_expiry);
        match expiry {
            Some(0) => end.forgets_session = true,
            Some(_) if self.ends_session => return self.broken_rule(ReasonCode::PROTOCOL_ERROR),
            Some(seconds) => {
                let longest = self.broker.settings.longest_session();
                self.session.lock().expires_after = seconds.min(longest);
            }
            None => {}
        }
        end
    }

    /// The end of a connection whose client broke a rule of MQTT.
    pub(crate) fn broken_rule(&self, code: ReasonCode) -> End {
        // AWS IoT has no code of its own for a packet that is too large.
        let code = match code {
            ReasonCode::PACKET_TOO_LARGE if self.broker.settings.is_aws() => {
                ReasonCode::QUOTA_EXCEEDED
            }
            code => code,
        };
        End::because(reason::CLIENT_ERROR, Some(code))
    }

    /// Writes what the session has for the client.
    fn fill(&mut self) -> Option<End> {
        while !self.writer.is_full() {
            let now = self.broker.clock.now();
            let outgoing = self.session.outgoing(&self.orders, BATCH, now);
            if outgoing.is_empty() {
                return None;
            }
            for answer in &outgoing.answers {
                if let Some(end) = self.push(answer) {
                    return Some(end);
                }
            }
            for (delivery, id) in outgoing.messages {
                if let Some(end) = self.send(&delivery, id, now) {
                    return Some(end);
                }
            }
        }
        None
    }

    fn send(
        &mut self,
        delivery: &Delivery,
        id: Option<std::num::NonZeroU16>,
        now: Timestamp,
    ) -> Option<End> {
        let message = &delivery.message;
        let is_for_client = (delivery.is_direct || self.rights.may_receive(&message.topic))
            && (id.is_some() || self.rate.admits(self.broker.settings.publishes_per_second, now));
        let fits = message.weight() + HEADER <= self.largest_out;
        if !is_for_client || !fits {
            if let Some(id) = id {
                self.session.acknowledge(id);
            }
            return None;
        }
        let mut packet = Publish {
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            qos: delivery.qos,
            retain: delivery.retain,
            dup: delivery.again.is_some(),
            packet_id: id,
            properties: None,
        };
        if self.version == Version::V5 {
            packet.properties = message.properties(now);
            if let Some(ids) = &delivery.subscription_ids {
                packet.properties.get_or_insert_default().subscription_ids = ids.to_vec();
            }
            self.alias(&mut packet);
        }
        match self.writer.push(&Packet::Publish(packet), self.version, self.largest_out) {
            Ok(()) => None,
            Err(error) => {
                tracing::debug!(client_id = %self.session.client_id, %error, "a message is dropped");
                if let Some(id) = id {
                    self.session.acknowledge(id);
                }
                // The client may not know an alias that was lost with the message.
                self.aliases.ours.clear();
                self.aliases.most = 0;
                None
            }
        }
    }

    /// Puts a number in place of a topic that the client has seen.
    fn alias(&mut self, packet: &mut Publish) {
        let known = self.aliases.ours.iter().position(|topic| *topic == packet.topic);
        let place = match known {
            Some(place) => place,
            None if self.aliases.ours.len() < usize::from(self.aliases.most) => {
                self.aliases.ours.push(packet.topic.clone());
                self.aliases.ours.len() - 1
            }
            None => return,
        };
        let alias = u16::try_from(place + 1).ok().and_then(std::num::NonZeroU16::new);
        packet.properties.get_or_insert_default().topic_alias = alias;
        if known.is_some() {
            packet.topic = Text::new();
        }
    }

    /// Notes that the client is alive.
    fn heard(&self, now: Timestamp) {
        let deadline = self.patience.map_or(i64::MAX, |patience| now.millis() + patience);
        self.session.deadline.store(deadline.min(self.until), Ordering::Relaxed);
    }

    /// Tells a client of MQTT 5 why the connection ends, and closes it.
    async fn say_goodbye(&mut self, code: Option<ReasonCode>) {
        let reason = code.filter(|_| self.version == Version::V5);
        if let Some(reason) = reason {
            let goodbye = Packet::Disconnect(Disconnect::new(reason));
            let _ = self.writer.push(&goodbye, self.version, self.largest_out);
        }
        let _ = self.writer.flush(&mut *self.stream).await;
        let _ = self.stream.shutdown().await;
        if reason.is_some() {
            // A socket that is closed with unread bytes takes back what was written
            // last, so the client would never learn the reason.
            let mut unread = [0; 1024];
            while matches!(self.stream.read(&mut unread).await, Ok(1..)) {}
        }
    }
}

/// How many messages are taken from the session at a time.
const BATCH: usize = 64;

/// What a PUBLISH has beside topic, payload and properties, at most.
const HEADER: usize = 10;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// A code of a subscription that was granted.
pub(crate) fn granted(qos: QoS) -> ReasonCode {
    ReasonCode(qos as u8)
}
