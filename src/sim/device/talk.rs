//! One connection of a device: what it asks, what it hears, what it does about it.
//!
//! At most one request to the Jobs service is under way at a time, each with a token
//! and a time limit. What to ask next follows from the state of the update alone, so a
//! reset, a lost answer or a surprising one needs no special case: the device asks how
//! its execution stands, and goes on from there.

use std::time::Duration;

use iotstack_mqtt::client::{Backoff, Client, Heard, Stream};
use iotstack_mqtt::wire::{Publish, QoS, ReasonCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::debug;

use super::{Device, End, Favour, Work, until};
use crate::download::{Block, Fetch, Limits, Origin, Request as Fetching, Step, StreamFetch};
use crate::fault::Fault;
use crate::image::Behaviour;
use crate::jobs::{Answer, Execution, Request, Said, Topics};
use crate::observe::{Did, Timed};
use crate::order::{Order, Source};
use crate::outcome::{Outcome, Reason};
use crate::update::{JobKey, Rules, State, Updater};

/// What a device keeps in mind during one connection.
struct Talk {
    is_subscribed: bool,
    /// Something may be pending.
    has_hint: bool,
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

/// How often a download is tried before it is given up.
const FETCHES: u32 = 8;

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
            must_describe: false,
            asked: None,
            asked_at: now,
            version: None,
            backoff: Backoff::new(pace.backoff, pace.longest_backoff),
            wait_until: None,
            progress_is_told: false,
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
                step = fetched(&mut talk.fetch) => self.fetched(step, updater, talk)?,
                () = until(timer) => self.tick(client, updater, talk).await?,
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

    /// Asks what there is to ask, and does what can be done without asking.
    async fn advance(
        &mut self,
        client: &mut Client<Stream>,
        updater: &mut Updater,
        talk: &mut Talk,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        if !talk.is_subscribed || talk.asked.is_some() {
            return Ok(());
        }
        if talk.wait_until.is_some_and(|moment| moment > Instant::now()) {
            return Ok(());
        }
        talk.wait_until = None;
        let job = updater.job().cloned();
        let describe =
            |with_document| job.clone().map(|job| Request::Describe { job, with_document });
        let request = match updater.state().clone() {
            State::Idle if talk.has_hint => Some(Request::StartNext),
            State::Idle => None,
            _ if talk.must_describe => describe(false),
            State::Downloading { .. } if talk.version.is_none() => describe(true),
            State::Downloading { received, size } => {
                self.fetch(client, updater, talk, received, size).await?;
                None
            }
            State::Rebooting => {
                let progress = talk.version.zip(job).filter(|_| {
                    self.profile.reports_progress
                        && !talk.progress_is_told
                        && !updater.running().is_trial
                });
                let Some((expected_version, job)) = progress else { return Err(End::Reset) };
                talk.progress_is_told = true;
                Some(Request::Progress { job, step: "installed", expected_version })
            }
            // The cloud must still want the image before it is committed.
            State::Testing if talk.version.is_none() => describe(false),
            State::Testing => {
                if updater.running().behaviour == Behaviour::FailsSelfTest {
                    updater.revert(&mut self.flash, "the self test of the new image failed")?;
                    return Err(End::Reset);
                }
                updater.commit(&mut self.flash)?;
                if let Some(injector) = &self.injector
                    && injector.is(Fault::CutBeforeReport)
                    && self.record.boots < 4
                {
                    self.flash.power_off();
                    return Err(End::Reset);
                }
                self.report_shadow(client, updater).await?;
                return Box::pin(self.advance(client, updater, talk, jobs)).await;
            }
            State::Ended(_) if talk.version.is_none() => describe(false),
            State::Ended(outcome) => talk
                .version
                .zip(job)
                .map(|(expected_version, job)| Request::Report { job, outcome, expected_version }),
        };
        match request {
            Some(request) => self.ask(client, talk, request, jobs).await,
            None => Ok(()),
        }
    }

    async fn ask(
        &mut self,
        client: &mut Client<Stream>,
        talk: &mut Talk,
        request: Request,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        self.tokens += 1;
        let token = self.tokens;
        let (topic, body) =
            jobs.write(&request, &token.to_string(), self.profile.step_timeout_minutes);
        let is_report = matches!(request, Request::Report { .. });
        if request == Request::StartNext {
            talk.has_hint = false;
        }
        talk.must_describe = false;
        talk.asked_at = Instant::now();
        let due = talk.asked_at + self.shared.target.pace.patience;
        talk.asked = Some((request, token, due));
        if is_report && self.injector.as_mut().is_some_and(|injector| injector.refuses_report()) {
            self.refused(talk, "refused on purpose");
            return Ok(());
        }
        client.publish(topic, body, QoS::AtLeastOnce).await.map_err(lost)
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
                let is_twice =
                    self.injector.as_ref().is_some_and(|injector| injector.is(Fault::Duplicates));
                if is_twice {
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
                    self.complete(updater)?;
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
        if wanted.is_empty() {
            return Ok(());
        }
        let body = json!({"state": {"reported": wanted}});
        let topic = format!("$aws/things/{}/shadow/update", self.thing);
        client.publish(topic, body.to_string(), QoS::AtLeastOnce).await.map_err(lost)
    }

    fn said(&mut self, said: Said, updater: &mut Updater, talk: &mut Talk) -> Result<(), End> {
        match said {
            Said::Notify => talk.has_hint = true,
            Said::NotifyNext(next) => {
                let next = next.map(|execution| execution.key());
                match updater.job() {
                    // Nothing new: it is what the device works on.
                    Some(job) if next.as_ref() == Some(job) => {}
                    // Another job is next, so this one may be over.
                    Some(_) => {
                        talk.must_describe = true;
                        talk.has_hint = true;
                    }
                    None => talk.has_hint |= next.is_some(),
                }
            }
            Said::Answer { token, answer } => {
                let Some((request, expected, _)) = &talk.asked else { return Ok(()) };
                // Late, repeated or forged: not the answer to what was asked.
                if token != Some(expected.to_string()) {
                    return Ok(());
                }
                let request = request.clone();
                talk.asked = None;
                self.shared.stats.time(Timed::Request, talk.asked_at.elapsed());
                return self.answered(request, answer, updater, talk);
            }
        }
        Ok(())
    }

    fn answered(
        &mut self,
        request: Request,
        answer: Answer,
        updater: &mut Updater,
        talk: &mut Talk,
    ) -> Result<(), End> {
        match (request, answer) {
            (Request::StartNext, Answer::Execution(Some(execution))) => {
                talk.backoff.reset();
                self.accept(*execution, updater, talk)
            }
            (Request::StartNext, Answer::Execution(None)) => Ok(()),
            (Request::Pending, Answer::Pending { any }) => {
                talk.has_hint |= any;
                Ok(())
            }
            (Request::Describe { job, with_document }, Answer::Execution(Some(execution)))
                if execution.key() == job && !execution.status.is_terminal() =>
            {
                talk.backoff.reset();
                talk.version = Some(execution.version_number);
                match with_document {
                    true => self.accept(*execution, updater, talk),
                    false => Ok(()),
                }
            }
            (Request::Describe { .. }, Answer::Execution(_)) => self.gone(updater, talk),
            (Request::Progress { .. }, Answer::Updated) => {
                talk.version = talk.version.map(|version| version + 1);
                Ok(())
            }
            (Request::Report { job, outcome, .. }, Answer::Updated) => {
                self.ended(job, &outcome, updater, talk)
            }
            (request, Answer::Rejected { code, message }) => {
                debug!(thing = %self.thing, %code, %message, ?request, "request was rejected");
                match code.as_str() {
                    "VersionMismatch" => {
                        talk.version = None;
                        self.refused(talk, &code);
                        Ok(())
                    }
                    "ResourceNotFound" | "TerminalStateReached" | "InvalidStateTransition"
                        if request != Request::StartNext && request != Request::Pending =>
                    {
                        self.gone(updater, talk)
                    }
                    _ => {
                        talk.has_hint |= request == Request::StartNext;
                        self.refused(talk, &code);
                        Ok(())
                    }
                }
            }
            // An answer to something else: the request is made again.
            (request, _) => {
                talk.has_hint |= request == Request::StartNext;
                self.refused(talk, "the answer is not one");
                Ok(())
            }
        }
    }

    /// A request was refused: the next one comes later.
    fn refused(&mut self, talk: &mut Talk, why: &str) {
        if let Some((Request::StartNext, ..)) = talk.asked {
            talk.has_hint = true;
        }
        talk.asked = None;
        let chance = self.chance("retry");
        let wait = talk.backoff.next(chance);
        debug!(thing = %self.thing, why, ?wait, "asking again later");
        talk.wait_until = Some(Instant::now() + wait);
    }

    /// Takes on a job execution, or a fresh document for the one at work.
    fn accept(
        &mut self,
        execution: Execution,
        updater: &mut Updater,
        talk: &mut Talk,
    ) -> Result<(), End> {
        let key = execution.key();
        let is_new = updater.job() != Some(&key);
        talk.version = Some(execution.version_number);
        let Some(mut document) = execution.job_document else {
            talk.must_describe = true;
            return Ok(());
        };
        let now = self.now();
        if let Some(injector) = &mut self.injector {
            let running = &updater.running().version;
            talk.brought = injector.document(&mut document, &self.profile.model, running, now);
        }
        let order = Order::read(&document);
        if is_new {
            self.work = Work { began: Some(Instant::now()), ..Work::default() };
            talk.last_progress = 0;
            talk.fetch = None;
            talk.stream = None;
            self.shared.stats.started(1);
            self.shared.stats.busy(1);
            self.tell(Did::Start { job: &key.id });
            let size = order.as_ref().map_or(0, |order| order.size);
            self.ask_outside(&key);
            if let Some(wear) = self.injector.as_mut().and_then(|injector| injector.wear(size)) {
                self.flash.wear(wear);
            }
        }
        let trust = self.own_trust.as_deref().unwrap_or(&self.shared.trust);
        let rules = Rules {
            model: &self.profile.model,
            now,
            trust,
            same_version_is_success: self.profile.same_version_is_success,
        };
        updater.accept(&mut self.flash, key.clone(), order, &rules)?;
        if let State::Ended(outcome) = updater.state()
            && outcome.reason == Reason::Clock
            && self.clock_is_wrong
        {
            // Nothing can be judged before the clock is set.
            self.clock_is_wrong = false;
            updater.reconsider(&mut self.flash)?;
            talk.has_hint = true;
            self.shared.stats.busy(-1);
        }
        Ok(())
    }

    /// Has the image fetched, if that is not being done already.
    async fn fetch(
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
            return self.complete(updater);
        }
        let fault = self.injector.as_mut().and_then(|injector| injector.body(size));
        let mut web = self.shared.web.clone();
        web.source = self.source();
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
                let detail = "the blocks of the stream do not come";
                updater.fail(&mut self.flash, Outcome::new(Reason::Timeout, detail))?;
                return Ok(());
            }
        }
        let (topic, body) = stream.ask();
        talk.stream_due = Instant::now() + stall;
        client.publish(topic, body, QoS::AtMostOnce).await.map_err(lost)
    }

    fn fetched(&mut self, step: Step, updater: &mut Updater, talk: &mut Talk) -> Result<(), End> {
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
                self.complete(updater)?;
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
                if let Some(injector) = &self.injector
                    && self.work.failed_fetches == 1
                {
                    let pace = self.shared.target.pace;
                    if injector.is(Fault::NetworkLoss) {
                        return Err(End::Lost("the network is gone".to_owned()));
                    }
                    if injector.is(Fault::OfflineInDownload) {
                        return Err(End::Offline(pace.stall));
                    }
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
    fn complete(&mut self, updater: &mut Updater) -> Result<(), End> {
        if let Some(began) = self.work.download_began.take() {
            self.shared.stats.time(Timed::Download, began.elapsed());
        }
        let trust = self.own_trust.as_deref().unwrap_or(&self.shared.trust);
        let rules = Rules {
            model: &self.profile.model,
            now: self.now(),
            trust,
            same_version_is_success: self.profile.same_version_is_success,
        };
        updater.complete(&mut self.flash, &rules)?;
        if *updater.state() == State::Rebooting {
            self.tell(Did::Install);
            if self.injector.as_ref().is_some_and(|injector| injector.is(Fault::SwappedImage)) {
                self.flash.tamper(updater.running().slot.other(), 64, b"swapped");
            }
        }
        Ok(())
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

    /// The cloud knows how the update ended.
    fn ended(
        &mut self,
        job: JobKey,
        outcome: &Outcome,
        updater: &mut Updater,
        talk: &mut Talk,
    ) -> Result<(), End> {
        updater.reported(&mut self.flash)?;
        self.note_end(job, Some(outcome), talk);
        Ok(())
    }

    /// The cloud does not want the update any more, or knows its end already.
    fn gone(&mut self, updater: &mut Updater, talk: &mut Talk) -> Result<(), End> {
        let job = updater.job().cloned();
        talk.fetch = None;
        talk.stream = None;
        if let State::Ended(outcome) = updater.state().clone() {
            updater.reported(&mut self.flash)?;
            if let Some(job) = job {
                // Either an earlier report arrived and its answer did not, or the cloud
                // ended the execution by itself; the truth about the device is this.
                self.note_end(job, Some(&outcome), talk);
            }
            return Ok(());
        }
        updater.abandon(&mut self.flash)?;
        if let Some(job) = job {
            self.tell(Did::Abandon { job: &job.id });
            self.note_end(job, None, talk);
        }
        Ok(())
    }

    fn note_end(&mut self, job: JobKey, outcome: Option<&Outcome>, talk: &mut Talk) {
        let took = self.work.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        let at = self.shared.stats.age().as_secs_f64();
        let is_known = self.record.updates.iter().any(|update| update.job == job);
        talk.version = None;
        talk.brought = None;
        talk.has_hint = true;
        talk.progress_is_told = false;
        self.work = Work::default();
        if let Some(injector) = &mut self.injector {
            injector.spend();
            self.flash.heal();
        }
        self.shared.stats.busy(-1);
        if is_known {
            return;
        }
        self.shared.stats.time(Timed::Update, took);
        match outcome {
            None => {
                self.shared.stats.abandoned(1);
                self.record.abandon(job, took.as_secs_f64(), at);
            }
            Some(outcome) => {
                use iotstack_protocol::JobExecutionStatus as Status;
                match outcome.status() {
                    Status::Succeeded => self.shared.stats.succeeded(1),
                    Status::Rejected => self.shared.stats.rejected(1),
                    _ => self.shared.stats.failed(1),
                }
                self.tell(Did::End { job: &job.id, outcome });
                self.record.end(job, outcome, took.as_secs_f64(), at);
            }
        }
    }

    /// The next moment at which something is to be done without being told.
    fn next_moment(&self, talk: &Talk, updater: &Updater) -> Option<Instant> {
        let due = talk.asked.as_ref().map(|(_, _, due)| *due);
        let stream = talk.stream.as_ref().map(|_| talk.stream_due);
        let download = self
            .work
            .download_began
            .filter(|_| matches!(updater.state(), State::Downloading { .. }))
            .map(|began| began + self.shared.target.pace.download + Duration::from_millis(1));
        [
            due,
            talk.wait_until,
            stream,
            download,
            talk.next_telemetry,
            Some(talk.next_poll),
            talk.offline_at,
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
    ) -> Result<(), End> {
        let now = Instant::now();
        let pace = self.shared.target.pace;
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
            talk.has_hint |= *updater.state() == State::Idle;
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

    /// Asks whoever runs the simulation for a fault that a device cannot play alone.
    fn ask_outside(&self, job: &JobKey) {
        let Some(injector) = &self.injector else { return };
        let favour = if injector.is(Fault::Cancelled) {
            Favour::Cancel { thing: self.thing.clone(), job: job.id.clone() }
        } else if injector.is(Fault::Herd) {
            Favour::Herd
        } else if injector.is(Fault::CloudKilled) {
            Favour::RestartCloud
        } else {
            return;
        };
        // Nobody listens when the simulation ends.
        let _ = self.shared.favours.send(favour);
    }

    /// Plays the fault of messages about somebody else's job.
    fn forge(
        &mut self,
        talk: &mut Talk,
        updater: &mut Updater,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        if !self.injector.as_ref().is_some_and(|injector| injector.is(Fault::ForeignJob)) {
            return Ok(());
        }
        let execution = json!({"jobId": "forged", "status": "QUEUED", "versionNumber": 1,
            "executionNumber": 1, "jobDocument": {"version": "1.0"}});
        let forged = [
            ("notify-next", json!({"timestamp": 1, "execution": execution})),
            ("forged/get/accepted", json!({"execution": execution, "clientToken": "forged"})),
            ("forged/update/accepted", json!({"clientToken": "forged"})),
        ];
        for (topic, body) in forged {
            let topic = format!("$aws/things/{}/jobs/{topic}", jobs.thing);
            if let Some(said) = jobs.read(&topic, body.to_string().as_bytes()) {
                self.said(said, updater, talk)?;
            }
        }
        Ok(())
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
