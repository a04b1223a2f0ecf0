//! Whatever happens because time passes or rights change: one task for all clients.
//!
//! Each session carries the moment at which somebody must look after it: silence of
//! a client, the end of a WebSocket, a will that waits, the end of a session. A walk
//! over these numbers four times a second is cheaper than a timer per connection.
//! Silence is measured in the network's time, the rest on the cloud's clock.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use iotstack_local_kernel::Timestamp;
use iotstack_mqtt::wire::ReasonCode;

use crate::Broker;
use crate::broker::{End, after};
use crate::lifecycle::reason;
use crate::session::Session;

/// Looks after sessions until the broker is gone.
pub(crate) async fn sweep(broker: Weak<Broker>) {
    loop {
        let Some(strong) = broker.upgrade() else { return };
        let (clock, pause) = (strong.clock.clone(), strong.network(PERIOD));
        drop(strong);
        clock.sleep(pause).await;
        let Some(broker) = broker.upgrade() else { return };
        let now = broker.clock.now();
        for session in broker.due(now) {
            look_after(&broker, &session, now);
        }
    }
}

/// Ends connections whose rights are gone, after every change of rights.
pub(crate) async fn judge_again(broker: Weak<Broker>) {
    loop {
        let Some(strong) = broker.upgrade() else { return };
        let changed = strong.rights_changed.clone();
        drop(strong);
        changed.notified().await;
        // Many changes come together when a fleet is provisioned: one look is enough.
        tokio::time::sleep(PERIOD).await;
        let Some(broker) = broker.upgrade() else { return };
        for session in broker.all_sessions() {
            let rights = session.lock().link.as_ref().map(|link| link.rights.clone());
            if rights.is_some_and(|rights| !rights.holds()) {
                let code = Some(ReasonCode::NOT_AUTHORIZED);
                broker.end_any(&session, End::because(reason::FORBIDDEN_ACCESS, code));
            }
        }
    }
}

fn look_after(broker: &Broker, session: &Arc<Session>, now: Timestamp) {
    let mut state = session.lock();
    let is_due = session.deadline.load(Ordering::Relaxed) <= now.millis();
    if let Some(link) = &state.link {
        if !is_due {
            return;
        }
        let orders = link.orders.clone();
        let is_over = link.ends.is_some_and(|ends| ends <= now);
        drop(state);
        let (reason, code) = if is_over {
            (reason::WEBSOCKET_TTL, ReasonCode::ADMINISTRATIVE_ACTION)
        } else {
            (reason::KEEP_ALIVE, ReasonCode::KEEP_ALIVE_TIMEOUT)
        };
        broker.end(session, &orders, End::because(reason, Some(code)));
        return;
    }
    let expires_after = state.expires_after;
    let Some(offline) = &mut state.offline else { return };
    let due = offline.will.take_if(|(_, due)| *due <= now);
    let publisher = offline.publisher.clone();
    let expires = after(offline.since, expires_after);
    let next = offline.will.as_ref().map_or(expires, |(_, due)| expires.min(*due));
    session.deadline.store(next.millis(), Ordering::Relaxed);
    drop(state);
    if let Some((will, _)) = due {
        broker.publish_will(will, publisher, now);
    }
    if next <= now {
        broker.forget(session, Some(now));
    }
}

const PERIOD: Duration = Duration::from_millis(250);
