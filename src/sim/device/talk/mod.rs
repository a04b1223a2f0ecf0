//! One connection of a device: what it asks, what it hears, what it does about it.
//!
//! At most one request to the Jobs service is under way at a time, each with a token
//! and a time limit. What to ask next follows from the state of the update alone, so a
//! reset, a lost answer or a surprising one needs no special case: the device asks how
//! its execution stands, and goes on from there.

mod agent;
mod fetch;
mod tricks;

use std::time::Duration;

use iotstack_mqtt::client::{Backoff, Client, Heard, Stream};
use iotstack_mqtt::wire::{Publish, QoS, ReasonCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Device, End, until};
use crate::download::{Block, Fetch, Step, StreamFetch};
use crate::fault::Fault;
use crate::jobs::{Request, Topics};
use crate::outcome::{Outcome, Reason};
use crate::update::{State, Updater};

/// What a device keeps in mind during one connection.
struct Talk {
    is_subscribed: bool,
    /// Something may be pending.
    has_hint: bool,
    /// It is time to ask whether something is pending, in case a notification was lost.
    must_poll: bool,
    /// The job of the update must be looked at again.
    must_describe: bool,
    /// The request under way: its token and when its answer is due.
    asked: Option<(Request, u64, Instant)>,
    asked_at: Instant,
    /// The version of the execution, once the cloud has said it on this connection.
    version: Option<i64>,
    backoff: Backoff,
    /// Nothing is asked before.
    wait_until: Option<Instant>,
    progress_is_told: bool,
    /// A message that others overtake, and until when.
    held: Option<Box<(Publish, Instant)>>,
    /// Another client with the device's name comes now.
    is_rivalled: bool,
    /// An image that a fault has brought along.
    brought: Option<bytes::Bytes>,
    fetch: Option<Box<Fetch>>,
    stream: Option<Box<StreamFetch>>,
    stream_is_subscribed: bool,
    stream_due: Instant,
    next_telemetry: Option<Instant>,
    next_poll: Instant,
    offline_at: Option<Instant>,
    herds: u32,
    last_progress: u64,
}

impl Device {
    /// Talks until the connection is of no use any more.
    pub(super) async fn talk(&mut self, mut client: Client<Stream>, updater: &mut Updater) -> End {
        let mut talk = self.new_talk();
        let end = self.converse(&mut client, updater, &mut talk).await;
        drop(talk);
        match end {
            Ok(()) | Err(End::Over) => {
                self.session = client.close().await;
                End::Over
            }
            Err(end) => {
                // Acknowledgements are lost with a reset, as on a real device.
                self.session = client.into_session();
                if matches!(end, End::Reset | End::Flash(_)) {
                    self.session.forget();
                }
                end
            }
        }
    }

    fn new_talk(&mut self) -> Talk {
        let now = Instant::now();
        let pace = self.shared.target.pace;
        let spread = |chance: f64, time: Duration| now + time.mul_f64(0.5 + chance / 2.0);
        let telemetry = self.shared.target.telemetry_topic.as_ref().and(self.profile.telemetry);
        let (poll, beat, gap) = (self.chance("poll"), self.chance("telemetry"), self.chance("off"));
        Talk {
            is_subscribed: false,
            has_hint: true,
            must_poll: false,
            must_describe: false,
            asked: None,
            asked_at: now,
            version: None,
            backoff: Backoff::new(pace.backoff, pace.longest_backoff),
            wait_until: None,
            progress_is_told: false,
            held: None,
            // The second client may not have been let in on an earlier connection.
            is_rivalled: self.is_due(Fault::SecondClient) && self.work.failed_fetches > 0,
            brought: None,
            fetch: None,
            stream: None,
            stream_is_subscribed: false,
            stream_due: now,
            next_telemetry: telemetry.map(|every| now + every.mul_f64(beat)),
            next_poll: spread(poll, pace.poll),
            offline_at: self.profile.link.offline.map(|offline| spread(gap, offline.every)),
            herds: self.control.borrow().herds,
            last_progress: 0,
        }
    }

    async fn converse(
        &mut self,
        client: &mut Client<Stream>,
        updater: &mut Updater,
        talk: &mut Talk,
    ) -> Result<(), End> {
        let thing = self.thing.clone();
        let jobs = Topics { thing: &thing };
        if client.is_resumed() && self.has_been_ready {
            talk.is_subscribed = true;
            self.ready(client, updater).await?;
        } else {
            let delta = format!("$aws/things/{}/shadow/update/delta", self.thing);
            let filters = jobs.filters();
            let mut filters: Vec<&str> = filters.iter().map(String::as_str).collect();
            filters.push(&delta);
            client.subscribe(&filters).await.map_err(lost)?;
        }
        loop {
            // Whoever waits to be kicked hears nothing else, not even that it is subscribed.
            if talk.is_subscribed && std::mem::take(&mut talk.is_rivalled) {
                Box::pin(self.be_kicked(client)).await?;
            }
            self.advance(client, updater, talk, jobs).await?;
            let timer = self.next_moment(talk, updater);
            tokio::select! {
                biased;
                changed = self.control.changed() => {
                    let control = *self.control.borrow_and_update();
                    if control.is_over || changed.is_err() {
                        return Ok(());
                    }
                    if control.herds != talk.herds {
                        return Err(End::Lost("all connections were cut at once".to_owned()));
                    }
                }
                heard = client.next() => {
                    let heard = heard.map_err(lost)?;
                    self.hear(heard, client, updater, talk, jobs).await?;
                }
                step = fetched(&mut talk.fetch) => {
                    self.fetched(step, updater, talk)?;
                }
                () = until(timer) => self.tick(client, updater, talk, jobs).await?,
            }
        }
    }

    /// The subscriptions stand: the device is there.
    async fn ready(&mut self, client: &mut Client<Stream>, updater: &Updater) -> Result<(), End> {
        if !self.has_been_ready {
            self.has_been_ready = true;
            self.shared.stats.ready(1);
        }
        self.report_shadow(client, updater).await
    }

    /// Reports what runs, if the shadow does not say so already.
    async fn report_shadow(
        &mut self,
        client: &mut Client<Stream>,
        updater: &Updater,
    ) -> Result<(), End> {
        let running = updater.running();
        if running.is_trial || self.reported_version.as_deref() == Some(&running.version) {
            return Ok(());
        }
        let body = json!({"state": {"reported": {
            "model": self.profile.model,
            "firmware": {"version": running.version, "sha256": running.sha256.to_string()},
        }}});
        self.reported_version = Some(running.version.clone());
        let topic = format!("$aws/things/{}/shadow/update", self.thing);
        client.publish(topic, body.to_string(), QoS::AtLeastOnce).await.map_err(lost)
    }

    async fn hear(
        &mut self,
        heard: Heard,
        client: &mut Client<Stream>,
        updater: &mut Updater,
        talk: &mut Talk,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        match heard {
            Heard::Subscribed(reasons) => {
                let refused = reasons.iter().find(|reason| reason.0 >= 0x80);
                if let Some(ReasonCode(code)) = refused {
                    return Err(End::Lost(format!("a subscription was refused: {code:#x}")));
                }
                if !talk.is_subscribed {
                    talk.is_subscribed = true;
                    self.forge(talk, updater, jobs)?;
                    self.make_wish(client).await?;
                    self.ready(client, updater).await?;
                }
                Ok(())
            }
            Heard::Acknowledged(reason) if reason.0 >= 0x80 => {
                self.refused(talk, reason.words());
                Ok(())
            }
            Heard::Acknowledged(_) | Heard::Unsubscribed => Ok(()),
            Heard::Message(message) => {
                if self.has_fault(Fault::Reordered) {
                    return Box::pin(self.overtake(message, client, updater, talk, jobs)).await;
                }
                if self.has_fault(Fault::Duplicates) {
                    self.message(&message, client, updater, talk, jobs).await?;
                }
                self.message(&message, client, updater, talk, jobs).await
            }
        }
    }

    async fn message(
        &mut self,
        message: &Publish,
        client: &mut Client<Stream>,
        updater: &mut Updater,
        talk: &mut Talk,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        if let Some(said) = jobs.read(&message.topic, &message.payload) {
            return self.said(said, updater, talk);
        }
        if message.topic.ends_with("/shadow/update/delta") {
            return self.delta(&message.payload, client).await;
        }
        let Some(stream) = &mut talk.stream else { return Ok(()) };
        match stream.hear(&message.topic, &message.payload) {
            None | Some(Block::Nothing) => Ok(()),
            Some(Block::Refused(words)) => {
                talk.stream = None;
                let detail = format!("the stream was refused: {words}");
                updater.fail(&mut self.flash, Outcome::new(Reason::Download, detail))?;
                Ok(())
            }
            Some(Block::Bytes(bytes)) => {
                talk.stream_due = Instant::now() + self.shared.target.pace.stall;
                let is_done = stream.is_done();
                self.shared.stats.bytes(bytes.len() as i64);
                updater.take(&mut self.flash, &bytes)?;
                if is_done {
                    talk.stream = None;
                    self.complete(updater, talk)?;
                }
                Ok(())
            }
        }
    }

    /// Takes on what the cloud wants: a device of the simulator can be anything.
    async fn delta(&mut self, payload: &[u8], client: &mut Client<Stream>) -> Result<(), End> {
        let Ok(delta) = serde_json::from_slice::<Value>(payload) else { return Ok(()) };
        let Some(Value::Object(mut wanted)) = delta.get("state").cloned() else { return Ok(()) };
        // What runs is changed by a job, never by a wish.
        wanted.remove("firmware");
        wanted.remove("model");
        self.note_wish(&wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let body = json!({"state": {"reported": wanted}});
        let topic = format!("$aws/things/{}/shadow/update", self.thing);
        client.publish(topic, body.to_string(), QoS::AtLeastOnce).await.map_err(lost)
    }

    /// The next moment at which something is to be done without being told.
    fn next_moment(&self, talk: &Talk, updater: &Updater) -> Option<Instant> {
        let is_downloading = matches!(updater.state(), State::Downloading { .. });
        let stream = talk.stream.as_ref().filter(|_| is_downloading).map(|_| talk.stream_due);
        // A moment that has passed and cannot be used yet would be met again and again.
        let asking = match &talk.asked {
            Some((_, _, due)) => Some(*due),
            None if !talk.is_subscribed => None,
            None => talk.wait_until.or(stream),
        };
        let download = self
            .work
            .download_began
            .filter(|_| is_downloading)
            .map(|began| began + self.shared.target.pace.download + Duration::from_millis(1));
        [
            asking,
            download,
            talk.next_telemetry,
            Some(talk.next_poll),
            talk.offline_at,
            talk.held.as_ref().map(|held| held.1),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    async fn tick(
        &mut self,
        client: &mut Client<Stream>,
        updater: &mut Updater,
        talk: &mut Talk,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        let now = Instant::now();
        let pace = self.shared.target.pace;
        if let Some(held) = talk.held.take_if(|held| held.1 <= now) {
            // Boxed, as all that happens rarely: an idle device keeps no room for it.
            Box::pin(self.message(&held.0, client, updater, talk, jobs)).await?;
        }
        if talk.asked.as_ref().is_some_and(|(_, _, due)| *due <= now) {
            self.refused(talk, "no answer in time");
        }
        if self.work.download_began.is_some_and(|began| now > began + pace.download) {
            talk.fetch = None;
            talk.stream = None;
            let detail = format!("the image did not arrive within {} s", pace.download.as_secs());
            updater.fail(&mut self.flash, Outcome::new(Reason::Timeout, detail))?;
            self.work.download_began = None;
        }
        if talk.next_poll <= now {
            let chance = self.chance("poll");
            talk.next_poll = now + pace.poll.mul_f64(0.5 + chance / 2.0);
            talk.must_poll = true;
        }
        if talk.offline_at.is_some_and(|moment| moment <= now)
            && let Some(offline) = self.profile.link.offline
        {
            return Err(End::Offline(offline.lasts));
        }
        if talk.next_telemetry.is_some_and(|moment| moment <= now)
            && let Some(every) = self.profile.telemetry
        {
            talk.next_telemetry = Some(now + every);
            self.send_telemetry(client, updater).await?;
        }
        Ok(())
    }

    async fn send_telemetry(
        &mut self,
        client: &mut Client<Stream>,
        updater: &Updater,
    ) -> Result<(), End> {
        let Some(topic) = &self.shared.target.telemetry_topic else { return Ok(()) };
        let topic = topic.replace("{thing}", &self.thing);
        let temperature = 20.0 + 5.0 * self.chance("temperature");
        let body = json!({
            "thing": self.thing,
            "model": self.profile.model,
            "firmware": updater.running().version,
            "temperature": (temperature * 10.0).round() / 10.0,
            "boots": self.record.boots,
        });
        self.shared.stats.telemetry(1);
        client.publish(topic, body.to_string(), QoS::AtMostOnce).await.map_err(lost)
    }
}

/// The next step of a fetch; never, if nothing is being fetched.
async fn fetched(fetch: &mut Option<Box<Fetch>>) -> Step {
    match fetch {
        Some(fetch) => fetch.next().await,
        None => std::future::pending().await,
    }
}

fn lost(error: iotstack_mqtt::client::Error) -> End {
    End::Lost(error.to_string())
}
