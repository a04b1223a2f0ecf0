//! Faults on the way to the broker: who else answers, and who else comes as this device.
//!
//! All of them are real connections. What the device meets in place of its broker must be
//! refused, or be no hindrance; what is tried with its certificate must be refused by the
//! broker. If it is not, the device notes a mishap, and its fault has not ended as it must.

use std::time::Duration;

use iotstack_mqtt::client::{Client, Dial, Error as ClientError, Heard, Options, Session, Stream};
use iotstack_mqtt::wire::{QoS, ReasonCode};
use rustls::Error as TlsError;
use tokio::time::{sleep, timeout};

use super::{Device, End};
use crate::fault::{Fault, Guise};
use crate::{Error, Result};

impl Device {
    /// The way to the broker; to somebody in its place, if the fault says so.
    pub(super) async fn way(&mut self) -> Result<Dial> {
        let broker = self.dial(self.identity.as_ref());
        let Some(guise) = self.injector.as_deref().and_then(|injector| injector.guise()) else {
            return Ok(broker);
        };
        let name = broker.server_name.clone().unwrap_or_else(|| broker.address.host.clone());
        let trusted = broker.tls.clone();
        let mut way = broker.clone();
        let Some(injector) = self.injector.as_deref_mut() else { return Ok(broker) };
        let (relay, tls) = injector.relay(guise, &name, broker).await?;
        way.address.host = relay.address.ip().to_string();
        way.address.port = relay.address.port();
        way.server_name = Some(name);
        way.tls = match guise {
            // Nobody is told whom to trust: the stranger must fail by what is known.
            Guise::Unknown => trusted.or(Some(tls)),
            _ => Some(tls),
        };
        if way.source.is_some_and(|source| !source.is_loopback()) {
            way.source = None;
        }
        let faces = relay.faces;
        if guise.is_impostor() {
            return Err(self.meet_impostor(way).await);
        }
        let has_played = injector.has_played();
        injector.note_played();
        if !has_played {
            // Each face once, and the device stays with the last of them.
            for _ in 1..faces {
                if let Err(error) = way.connect().await {
                    self.note_mishap(&format!("a good server was refused: {error}"));
                }
            }
        }
        Ok(way)
    }

    /// Connects to a server that must not be trusted. Either way there is no connection.
    async fn meet_impostor(&mut self, way: Dial) -> Error {
        let met = way.connect().await;
        self.note_played();
        match met {
            Ok(_) => {
                self.note_mishap("a server that must not be trusted was trusted");
                self.broker_failed(ClientError::Closed)
            }
            Err(error) => {
                if !is_distrust(&error) {
                    self.note_mishap(&format!("the wrong server was not refused: {error}"));
                }
                self.broker_failed(error)
            }
        }
    }

    /// Plays what comes before a connection: others who come as this device.
    pub(super) async fn suffer(&mut self) -> Result<()> {
        if self.is_due(Fault::ForeignCertificate) {
            self.come_as_another().await?;
            self.note_played();
        } else if self.is_due(Fault::ForeignTopics) {
            self.reach_for_topics_of_others().await?;
            self.note_played();
        } else if self.is_due(Fault::LostSession) && self.work.failed_fetches > 0 {
            // A session that is taken over and ended has expired for good.
            drop(self.come_twice(true).await?);
        } else {
            return Ok(());
        }
        // AWS IoT lets a client id in once in a second.
        sleep(self.late()).await;
        Ok(())
    }

    /// How late something comes that comes late: more than a second, but for a test.
    pub(super) fn late(&self) -> Duration {
        self.shared.target.pace.patience / 16
    }

    /// Comes with this device's certificate under another thing's name.
    async fn come_as_another(&mut self) -> Result<()> {
        let options = Options { client_id: self.stranger(), ..self.options() };
        let stream = self.dial(self.identity.as_ref()).connect().await;
        let stream = stream.map_err(|source| self.broker_failed(source))?;
        match Client::open(stream, &options, Session::default()).await {
            Ok(client) => {
                client.close().await;
                self.note_mishap("the broker let the certificate of another thing in");
                Ok(())
            }
            Err((ClientError::NoAnswer { .. }, _)) => {
                self.note_mishap("the broker did not refuse the certificate of another thing");
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    /// Subscribes to what belongs to other things, and publishes there.
    async fn reach_for_topics_of_others(&mut self) -> Result<()> {
        let others = format!("$aws/things/{}/jobs", self.stranger());
        // One at a time, because AWS IoT ends the connection at the first refusal.
        for filter in [format!("{others}/notify-next"), "#".to_owned()] {
            let mut client = self.come_twice(true).await?;
            let asked = client.subscribe(&[&filter]).await;
            self.note_answer(asked, &mut client, "listen to").await;
            drop(client);
            sleep(self.late()).await;
        }
        let mut client = self.come_twice(true).await?;
        let asked = client.publish(format!("{others}/get"), "{}", QoS::AtLeastOnce).await;
        self.note_answer(asked, &mut client, "speak for").await;
        Ok(())
    }

    /// Notes whether the broker lets the device do what it must not.
    async fn note_answer(
        &mut self,
        asked: Result<(), ClientError>,
        client: &mut Client<Stream>,
        deed: &str,
    ) {
        let answer = async {
            asked?;
            loop {
                match client.next().await? {
                    Heard::Subscribed(reasons) => return Ok::<_, ClientError>(reasons),
                    Heard::Acknowledged(reason) => return Ok(vec![reason]),
                    _ => {}
                }
            }
        };
        let is_granted = match answer.await {
            Ok(reasons) => reasons.iter().any(|reason: &ReasonCode| reason.0 < 0x80),
            // AWS IoT ends the connection; others may say nothing.
            Err(_) => false,
        };
        if is_granted {
            self.note_mishap(&format!("the broker let the device {deed} other things"));
        }
    }

    /// Has a second client with the device's name kick the device off its connection.
    pub(super) async fn be_kicked(&mut self, client: &mut Client<Stream>) -> Result<(), End> {
        sleep(self.late()).await;
        let second = self.come_twice(true).await.map_err(|error| End::Lost(error.to_string()))?;
        self.note_played();
        let kicked = async {
            loop {
                if let Err(error) = client.next().await {
                    return error;
                }
            }
        };
        let kicked = timeout(self.shared.target.pace.patience, kicked).await;
        second.close().await;
        match kicked {
            Ok(error) => Err(End::Lost(error.to_string())),
            Err(_) => {
                self.note_mishap("the broker served two clients with one name");
                Ok(())
            }
        }
    }

    /// Notes how the broker went on with the session after the network was gone.
    pub(super) fn note_session(&mut self, is_resumed: bool) {
        let is_kept = self.is_due(Fault::KeptSession);
        let is_tried = is_kept || self.is_due(Fault::LostSession);
        if !is_tried || self.work.failed_fetches == 0 {
            return;
        }
        self.note_played();
        match (is_kept, is_resumed) {
            (true, false) => self.note_mishap("the broker has not kept the session"),
            (false, true) => self.note_mishap("the broker has kept a session that was ended"),
            _ => {}
        }
    }

    /// A second connection as this device.
    async fn come_twice(&self, clean_session: bool) -> Result<Client<Stream>> {
        let options = Options { clean_session, ..self.options() };
        let stream = self.dial(self.identity.as_ref()).connect().await;
        let stream = stream.map_err(|source| self.broker_failed(source))?;
        Client::open(stream, &options, Session::default())
            .await
            .map_err(|(error, _)| self.broker_failed(error))
    }

    /// The name of a thing that does not exist.
    fn stranger(&self) -> String {
        format!("{}-stranger", self.thing)
    }

    /// Notes that the device has met what it was to meet.
    pub(super) fn note_played(&mut self) {
        if let Some(injector) = &mut self.injector {
            injector.note_played();
        }
    }

    /// Notes what must not happen; the first thing is what counts.
    pub(super) fn note_mishap(&mut self, words: &str) {
        tracing::debug!(thing = %self.thing, words, "a fault did not end as it must");
        self.record.mishap.get_or_insert_with(|| words.to_owned());
    }

    /// At the end of the device's life: a fault that never happened was not survived.
    pub(super) fn note_unplayed(&mut self) {
        let Some(injector) = &self.injector else { return };
        if injector.fault().is_on_the_wire() && !injector.has_played() {
            self.note_mishap("the fault was never met");
        }
    }
}

/// Whether TLS refused the server because of its certificate.
fn is_distrust(error: &ClientError) -> bool {
    let ClientError::Tls { source, .. } = error else { return false };
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(inner, Some(TlsError::InvalidCertificate(_)))
}
