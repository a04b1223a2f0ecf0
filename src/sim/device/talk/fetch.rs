//! Bringing the image in: from a URL or a stream into the slot that does not run.
//!
//! A download that breaks is resumed a few times with growing waits, within a limit for
//! all of it that also holds over lost connections. A URL that has expired makes the
//! device ask for a fresh document. What has arrived is judged by the update alone.

use std::time::Duration;

use iotstack_mqtt::client::{Backoff, Client, Stream};
use iotstack_mqtt::wire::QoS;
use tokio::time::Instant;

use super::super::{Device, End};
use super::{Talk, lost};
use crate::download::{Fetch, Limits, Origin, Request as Fetching, Step, StreamFetch, Web};
use crate::fault::Fault;
use crate::observe::{Did, Timed};
use crate::order::Source;
use crate::outcome::{Outcome, Reason};
use crate::update::{Rules, State, Updater};

impl Device {
    /// Has the image fetched, if that is not being done already.
    pub(super) async fn fetch(
        &mut self,
        client: &mut Client<Stream>,
        updater: &mut Updater,
        talk: &mut Talk,
        received: u64,
        size: u64,
    ) -> Result<(), End> {
        if talk.fetch.is_some() {
            return Ok(());
        }
        let pace = self.shared.target.pace;
        let began = *self.work.download_began.get_or_insert_with(Instant::now);
        if began.elapsed() > pace.download {
            let detail = format!("the image did not arrive within {} s", pace.download.as_secs());
            updater.fail(&mut self.flash, Outcome::new(Reason::Timeout, detail))?;
            return Ok(());
        }
        let Some(order) = updater.order() else { return Ok(()) };
        let origin = match (&talk.brought, &order.source) {
            (Some(bytes), _) => Origin::Here(bytes.clone()),
            (None, Source::Url(url)) => Origin::Url(url.clone()),
            (None, Source::Stream { name, file }) => {
                let (name, file) = (name.clone(), *file);
                return self.fetch_stream(client, updater, talk, &name, file, size).await;
            }
        };
        let tag = updater.resume_point().1.map(str::to_owned);
        if received == size {
            // Everything was there when the power failed.
            return self.complete(updater, talk);
        }
        let fault = self.injector.as_mut().and_then(|injector| injector.body(size));
        let mut web = self.shared.web.clone();
        web.source = self.source;
        let origin = match origin {
            Origin::Url(url) => Origin::Url(Box::pin(self.detour(url, size, &mut web)).await),
            here => here,
        };
        let request = Fetching {
            origin,
            at: received,
            tag,
            size,
            limits: Limits { stall: pace.stall, minimum_rate: pace.minimum_rate },
            link: self.profile.link,
            fault,
        };
        talk.fetch = Some(Box::new(Fetch::start(web, request)));
        Ok(())
    }

    /// Where the device is led in place of the image's server, if the fault says so.
    async fn detour(&mut self, url: String, size: u64, web: &mut Web) -> String {
        let Some(injector) = &mut self.injector else { return url };
        match injector.origin(&url, web, size).await {
            Ok(None) => url,
            Ok(Some(origin)) => {
                if let Some(tls) = &origin.tls {
                    web.tls = tls.clone();
                }
                origin.url.clone()
            }
            Err(error) => {
                self.note_mishap(&error.to_string());
                url
            }
        }
    }

    async fn fetch_stream(
        &mut self,
        client: &mut Client<Stream>,
        updater: &mut Updater,
        talk: &mut Talk,
        name: &str,
        file: u8,
        size: u64,
    ) -> Result<(), End> {
        let stall = self.shared.target.pace.stall;
        let Ok(thing) = self.thing.parse() else { return Ok(()) };
        if talk.stream.is_none() {
            let at = updater.resume_point().0;
            let stream = StreamFetch::new(&thing, name, file, size, at);
            // The file of a stream has no ETag; its digest is judged at the end.
            updater.start_body(&mut self.flash, stream.position(), Some(name))?;
            if !talk.stream_is_subscribed {
                let filters = stream.filters();
                client.subscribe(&[&filters[0], &filters[1]]).await.map_err(lost)?;
                talk.stream_is_subscribed = true;
            }
            talk.stream = Some(Box::new(stream));
            talk.stream_due = Instant::now();
        }
        let Some(stream) = &mut talk.stream else { return Ok(()) };
        let is_late = talk.stream_due <= Instant::now();
        if stream.is_waiting() && !is_late {
            return Ok(());
        }
        if stream.is_waiting() {
            self.work.failed_fetches += 1;
            if self.work.failed_fetches > FETCHES {
                talk.stream = None;
                let detail = "the blocks of the stream do not come";
                updater.fail(&mut self.flash, Outcome::new(Reason::Timeout, detail))?;
                return Ok(());
            }
        }
        let (topic, body) = stream.ask();
        talk.stream_due = Instant::now() + stall;
        client.publish(topic, body, QoS::AtMostOnce).await.map_err(lost)
    }

    pub(super) fn fetched(
        &mut self,
        step: Step,
        updater: &mut Updater,
        talk: &mut Talk,
    ) -> Result<(), End> {
        match step {
            Step::Begins { at, tag } => {
                if !updater.start_body(&mut self.flash, at, tag.as_deref())? {
                    talk.fetch = None;
                }
            }
            Step::Bytes(bytes) => {
                self.shared.stats.bytes(bytes.len() as i64);
                updater.take(&mut self.flash, &bytes)?;
                self.note_progress(updater, talk);
                if !matches!(updater.state(), State::Downloading { .. }) {
                    talk.fetch = None;
                }
            }
            Step::Ends => {
                talk.fetch = None;
                self.complete(updater, talk)?;
            }
            Step::UrlExpired => {
                talk.fetch = None;
                talk.version = None;
                self.failed_fetch(updater, talk, "the URL has expired", Reason::Download)?;
            }
            Step::Changed => {
                talk.fetch = None;
                updater.restart(&mut self.flash)?;
            }
            Step::Lost(reason) => {
                talk.fetch = None;
                self.failed_fetch(updater, talk, &reason, Reason::Timeout)?;
                let fault = self.injector.as_ref().and_then(|injector| injector.active());
                let pace = self.shared.target.pace;
                match (fault, self.work.failed_fetches) {
                    (Some(Fault::NetworkLoss | Fault::KeptSession | Fault::LostSession), 1)
                    | (Some(Fault::Intermittent), 1 | 3) => {
                        return Err(End::Lost("the network is gone".to_owned()));
                    }
                    (Some(Fault::Intermittent), 2) => return Err(End::Offline(pace.stall)),
                    (Some(Fault::TimedOut), 1) => return Err(End::Offline(pace.away)),
                    (Some(Fault::SecondClient), 1) => talk.is_rivalled = true,
                    _ => {}
                }
            }
            Step::Fails(outcome) => {
                talk.fetch = None;
                updater.fail(&mut self.flash, outcome)?;
            }
        }
        Ok(())
    }

    fn failed_fetch(
        &mut self,
        updater: &mut Updater,
        talk: &mut Talk,
        why: &str,
        reason: Reason,
    ) -> Result<(), End> {
        self.work.failed_fetches += 1;
        if self.work.failed_fetches > FETCHES {
            let detail = format!("{why}; given up after {FETCHES} attempts");
            updater.fail(&mut self.flash, Outcome::new(reason, detail))?;
            return Ok(());
        }
        let chance = self.chance("fetch");
        let pace = self.shared.target.pace;
        let mut backoff = Backoff::new(pace.backoff, pace.longest_backoff);
        let mut wait = Duration::ZERO;
        for _ in 0..self.work.failed_fetches {
            wait = backoff.next(chance);
        }
        talk.wait_until = Some(Instant::now() + wait);
        Ok(())
    }

    /// All bytes have been sent.
    pub(super) fn complete(&mut self, updater: &mut Updater, talk: &mut Talk) -> Result<(), End> {
        self.let_clock_jump();
        if let Some(began) = self.work.download_began.take() {
            self.shared.stats.time(Timed::Download, began.elapsed());
        }
        let trust = self.own_trust.as_deref().unwrap_or(&self.shared.trust);
        let rules = Rules {
            model: &self.profile.model,
            now: self.clock.now(),
            trust,
            same_version_is_success: self.profile.same_version_is_success,
        };
        updater.complete(&mut self.flash, &rules)?;
        if *updater.state() == State::Rebooting {
            self.tell(Did::Install);
            if self.has_fault(Fault::SwappedImage) {
                self.flash.tamper(updater.running().slot.other(), 64, b"swapped");
            }
        }
        self.judge_again(updater, talk)
    }

    fn note_progress(&self, updater: &Updater, talk: &mut Talk) {
        let State::Downloading { size, .. } = updater.state() else { return };
        let received = updater.arrived();
        // Ten steps are enough for whoever watches.
        if received >= talk.last_progress + size / 10 {
            talk.last_progress = received;
            self.tell(Did::Download { received, size: *size });
        }
    }
}

/// How often a download is tried before it is given up.
const FETCHES: u32 = 8;
