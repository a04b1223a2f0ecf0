//! Filters that a client subscribes to and gives up.
//!
//! A filter that exceeds a limit is refused by its code in the SUBACK. One that no
//! policy allows ends a connection of MQTT 3.1.1, unless the settings prefer the
//! code. Retained messages follow the SUBACK; AWS IoT sends none for filters with
//! wildcards and for shared subscriptions.

use std::num::NonZeroU32;
use std::sync::Arc;

use iotstack_local_kernel::{Message, Timestamp};
use iotstack_mqtt::topic::{self, Shared, has_wildcard};
use iotstack_mqtt::wire::{
    Packet, QoS, ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, Unsubscribe, Version,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::broker::End;
use crate::connection::{Connection, granted};
use crate::lifecycle::{About, reason};
use crate::message::{Delivery, Routed};
use crate::session::{Options, Subscribed};
use crate::{limits, stored};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes a SUBSCRIBE.
    pub(crate) fn subscribe(&mut self, packet: Subscribe, now: Timestamp) -> Option<End> {
        if self.session.misbehaviour().withholds_suback {
            return None;
        }
        let is_aws = self.broker.settings.is_aws();
        if is_aws && packet.subscription_id.is_some() {
            let code = ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
            return Some(self.broken_rule(code));
        }
        if is_aws && packet.filters.iter().any(|each| each.qos == QoS::ExactlyOnce) {
            // AWS IoT does not answer QoS 2 in MQTT 3.1.1.
            return match self.version {
                Version::V311 => None,
                Version::V5 => Some(self.broken_rule(ReasonCode::QOS_NOT_SUPPORTED)),
            };
        }
        let has_too_many = is_aws && packet.filters.len() > limits::FILTERS;
        let mut reasons = Vec::with_capacity(packet.filters.len());
        let mut made = Vec::new();
        for wanted in &packet.filters {
            let outcome = match has_too_many {
                true => Err(ReasonCode::QUOTA_EXCEEDED),
                false => self.subscribe_to(wanted, packet.subscription_id),
            };
            if outcome == Err(ReasonCode::NOT_AUTHORIZED)
                && self.version == Version::V311
                && !self.broker.settings.answers_refused_subscriptions
            {
                self.tell_subscriptions("subscribed", &made, now);
                return Some(End::because(reason::AUTH_ERROR, None));
            }
            reasons.push(match outcome {
                Ok(is_new) => {
                    made.push((wanted, is_new));
                    granted(wanted.qos.min(self.broker.settings.highest_qos()))
                }
                Err(code) => code,
            });
        }
        self.tell_subscriptions("subscribed", &made, now);
        let answer =
            Packet::SubAck(SubAck { packet_id: packet.packet_id, reasons, properties: None });
        let retained = made
            .iter()
            .flat_map(|(wanted, is_new)| {
                self.retained(wanted, packet.subscription_id, *is_new, now)
            })
            .collect();
        self.answer_when_stored(answer, !made.is_empty(), retained)
    }

    /// Takes an UNSUBSCRIBE.
    pub(crate) fn unsubscribe(&mut self, packet: Unsubscribe, now: Timestamp) -> Option<End> {
        let mut reasons = Vec::with_capacity(packet.filters.len());
        let mut given_up = Vec::new();
        for filter in &packet.filters {
            let mut state = self.session.lock();
            let known = state.subscriptions.iter().position(|each| *each.filter == **filter);
            if let Some(place) = known {
                state.subscriptions.remove(place);
            }
            drop(state);
            reasons.push(match known {
                Some(_) => {
                    self.broker.subscriptions.remove(&self.session, filter);
                    given_up.push(&**filter);
                    ReasonCode::SUCCESS
                }
                None => ReasonCode::NO_SUBSCRIPTION_EXISTED,
            });
        }
        self.tell_filters("unsubscribed", &given_up, now);
        let answer =
            Packet::UnsubAck(SubAck { packet_id: packet.packet_id, reasons, properties: None });
        self.answer_when_stored(answer, !given_up.is_empty(), Vec::new())
    }

    /// Makes one subscription; true if the filter is new.
    fn subscribe_to(
        &self,
        wanted: &Subscription,
        id: Option<NonZeroU32>,
    ) -> Result<bool, ReasonCode> {
        let settings = &self.broker.settings;
        let shared = Shared::parse(&wanted.filter);
        let has_long_name = shared.is_some_and(|each| each.group.len() > limits::SHARE_NAME);
        if topic::filter_size(&wanted.filter, settings.topic_limits()).is_err() || has_long_name {
            return Err(ReasonCode::TOPIC_FILTER_INVALID);
        }
        if !self.rights.may_subscribe(&wanted.filter) {
            return Err(ReasonCode::NOT_AUTHORIZED);
        }
        let most = match settings.is_aws() {
            true => limits::SUBSCRIPTIONS,
            false => limits::STANDARD_SUBSCRIPTIONS,
        };
        let options = Options {
            qos: wanted.qos.min(settings.highest_qos()),
            id,
            no_local: wanted.no_local,
            retain_as_published: wanted.retain_as_published,
        };
        let mut state = self.session.lock();
        // Whoever has taken over from this connection has its filters as well.
        if state.link_of(&self.orders).is_none() {
            return Err(ReasonCode::UNSPECIFIED_ERROR);
        }
        let count = state.subscriptions.len();
        let known = state.subscriptions.iter_mut().find(|each| *each.filter == *wanted.filter);
        let is_new = known.is_none();
        match known {
            Some(known) => known.options = options,
            None if count >= most => return Err(ReasonCode::QUOTA_EXCEEDED),
            None => {
                let filter: Arc<str> = Arc::from(&*wanted.filter);
                state.subscriptions.push(Subscribed { filter, options });
            }
        }
        drop(state);
        if self.broker.subscriptions.add(&self.session, &wanted.filter, options).is_err() {
            let mut state = self.session.lock();
            state.subscriptions.retain(|each| *each.filter != *wanted.filter);
            return Err(ReasonCode::QUOTA_EXCEEDED);
        }
        // The session may have ended in the meantime, and with it its filters.
        if !self.still_subscribes(wanted) {
            self.broker.subscriptions.remove(&self.session, &wanted.filter);
        }
        Ok(is_new)
    }

    fn still_subscribes(&self, wanted: &Subscription) -> bool {
        let state = self.session.lock();
        state.subscriptions.iter().any(|each| *each.filter == *wanted.filter)
    }

    /// Answers after the filters are stored, if the session outlives the connection,
    /// and sends the retained messages after the answer.
    fn answer_when_stored(
        &mut self,
        answer: Packet,
        has_changed: bool,
        retained: Vec<Delivery>,
    ) -> Option<End> {
        let save = || stored::save(&self.broker.store, &self.session);
        let Some(commit) = has_changed.then(save).flatten() else {
            let end = self.push(&answer);
            for delivery in retained {
                self.session.deliver(delivery, &mut None);
            }
            return end;
        };
        let (session, orders) = (self.session.clone(), self.orders.clone());
        commit.then(move || {
            session.answer(&orders, answer);
            for delivery in retained {
                session.deliver(delivery, &mut None);
            }
        });
        None
    }

    /// The retained messages that a subscription brings.
    fn retained(
        &self,
        wanted: &Subscription,
        id: Option<NonZeroU32>,
        is_new: bool,
        now: Timestamp,
    ) -> Vec<Delivery> {
        let settings = &self.broker.settings;
        let is_wanted = match wanted.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        let is_served = !wanted.filter.starts_with("$share/")
            && (settings.standard_mqtt || !has_wildcard(&wanted.filter));
        if !is_wanted || !is_served {
            return Vec::new();
        }
        let kept = self.broker.retained.matching(&wanted.filter, settings.matching(), now);
        let deliver = |(message, qos): &(Message, QoS)| {
            let qos = (*qos).min(wanted.qos).min(settings.highest_qos());
            let mut delivery = Delivery::new(Routed::new(message, qos), qos, true);
            delivery.subscription_ids = id.map(|id| [id].into());
            delivery
        };
        kept.iter().map(deliver).collect()
    }

    fn tell_subscriptions(
        &self,
        kind: &'static str,
        made: &[(&Subscription, bool)],
        now: Timestamp,
    ) {
        let filters: Vec<&str> = made.iter().map(|(wanted, _)| &*wanted.filter).collect();
        self.tell_filters(kind, &filters, now);
    }

    fn tell_filters(&self, kind: &'static str, filters: &[&str], now: Timestamp) {
        if filters.is_empty() {
            return;
        }
        let mut state = self.session.lock();
        let link = state.link_of(&self.orders);
        let event = link.and_then(|link| About::link(link).subscriptions(kind, filters, now));
        drop(state);
        self.broker.publish_event(event);
    }
}
