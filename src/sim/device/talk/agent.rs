//! The jobs agent: what to ask the Jobs service next, and what its answers mean.
//!
//! What to ask follows from the state of the update alone. An answer that is late,
//! repeated, forged or about another job changes nothing; one that surprises makes the
//! device ask how its execution stands. An execution that the cloud has ended is given
//! up, whatever had been done for it.

use std::time::Duration;

use iotstack_mqtt::client::{Client, Stream};
use iotstack_mqtt::wire::QoS;
use iotstack_protocol::JobExecutionStatus;
use tokio::time::Instant;
use tracing::debug;

use super::super::{Device, End, Work};
use super::{Talk, lost};
use crate::fault::{Fault, Moment};
use crate::image::Behaviour;
use crate::jobs::{Answer, Execution, Request, Said, Topics};
use crate::observe::{Did, Timed};
use crate::order::Order;
use crate::outcome::Outcome;
use crate::update::{JobKey, Rules, State, Updater};

impl Device {
    /// Asks what there is to ask, and does what can be done without asking.
    pub(super) async fn advance(
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
            State::Idle if self.has_fault(Fault::CancelledInQueue) => {
                (talk.has_hint || talk.must_poll).then_some(Request::Pending)
            }
            State::Idle if talk.has_hint => Some(Request::StartNext),
            State::Idle if talk.must_poll => Some(Request::Pending),
            State::Idle => None,
            _ if talk.must_describe => describe(false),
            State::Downloading { .. } if talk.version.is_none() => describe(true),
            State::Downloading { received, size } => {
                self.fetch(client, updater, talk, received, size).await?;
                None
            }
            State::Rebooting => {
                self.survive(Moment::Installed)?;
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
            State::Testing
                if self.has_fault(Fault::CancelledOnTrial)
                    && job.as_ref().is_some_and(|job| self.wait_on_trial(&job.id, talk)) =>
            {
                None
            }
            State::Testing => {
                self.survive(Moment::OnTrial)?;
                if updater.running().behaviour == Behaviour::FailsSelfTest {
                    updater.revert(&mut self.flash, "the self test of the new image failed")?;
                    return Err(End::Reset);
                }
                updater.commit(&mut self.flash)?;
                self.survive(Moment::Committed)?;
                self.report_shadow(client, updater).await?;
                return Box::pin(self.advance(client, updater, talk, jobs)).await;
            }
            State::Ended(_) if talk.version.is_none() => describe(false),
            State::Ended(_) if self.is_due(Fault::Conflict) => {
                if let Some(job) = &job {
                    Box::pin(self.conflict(client, talk, job, jobs)).await?;
                }
                None
            }
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
        let step_timeout = match self.has_fault(Fault::TimedOut) {
            true => Some(1),
            false => self.profile.step_timeout_minutes,
        };
        let (topic, body) = jobs.write(&request, &token.to_string(), step_timeout);
        let is_report = matches!(request, Request::Report { .. });
        if request == Request::StartNext {
            talk.has_hint = false;
        }
        talk.must_poll &= request != Request::Pending;
        talk.must_describe = false;
        talk.asked_at = Instant::now();
        let due = talk.asked_at + self.shared.target.pace.patience;
        talk.asked = Some((request, token, due));
        if is_report && self.injector.as_mut().is_some_and(|injector| injector.refuses_report()) {
            self.refused(talk, "refused on purpose");
            return self.survive(Moment::Refused);
        }
        client.publish(topic, body, QoS::AtLeastOnce).await.map_err(lost)
    }

    pub(super) fn said(
        &mut self,
        said: Said,
        updater: &mut Updater,
        talk: &mut Talk,
    ) -> Result<(), End> {
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
            (Request::Pending, Answer::Pending { queued, .. })
                if self.has_fault(Fault::CancelledInQueue) =>
            {
                self.look_at_queue(queued, talk);
                Ok(())
            }
            (Request::Pending, Answer::Pending { any, .. }) => {
                talk.has_hint |= any;
                Ok(())
            }
            (Request::Describe { job, with_document }, Answer::Execution(Some(execution)))
                if execution.key() == job && !execution.status.is_terminal() =>
            {
                talk.backoff.reset();
                talk.version = Some(execution.version_number);
                self.stay_away()?;
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
    pub(super) fn refused(&mut self, talk: &mut Talk, why: &str) {
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
        // A power cut may have taken the journal's knowledge of it, but not ours.
        let is_new = self.work.key.as_ref() != Some(&key) && updater.job() != Some(&key);
        talk.version = Some(execution.version_number);
        let Some(mut document) = execution.job_document else {
            talk.must_describe = true;
            return Ok(());
        };
        let now = self.clock.now();
        if let Some(injector) = &mut self.injector {
            let running = &updater.running().version;
            talk.brought = injector.document(&mut document, &self.profile.model, running, now);
        }
        let order = Order::read(&document);
        let latest = self.injector.as_ref().and_then(|injector| injector.latest_sequence());
        if let Some(latest) = latest {
            updater.remember_sequence(&mut self.flash, latest)?;
        }
        if is_new {
            let began = Some(Instant::now());
            self.work = Work { key: Some(key.clone()), began, ..Work::default() };
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
            now: self.clock.now(),
            trust,
            same_version_is_success: self.profile.same_version_is_success,
        };
        updater.accept(&mut self.flash, key.clone(), order, &rules)?;
        self.judge_again(updater, talk)
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

    pub(super) fn note_end(&mut self, job: JobKey, outcome: Option<&Outcome>, talk: &mut Talk) {
        let took = self.work.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        let at = self.shared.stats.age().as_secs_f64();
        // One that began in an earlier life of this program was never counted.
        let was_counted = self.work.key.is_some();
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
        if was_counted {
            self.shared.stats.busy(-1);
        }
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
                match outcome.status() {
                    JobExecutionStatus::Succeeded => self.shared.stats.succeeded(1),
                    JobExecutionStatus::Rejected => self.shared.stats.rejected(1),
                    _ => self.shared.stats.failed(1),
                }
                self.tell(Did::End { job: &job.id, outcome });
                self.record.end(job, outcome, took.as_secs_f64(), at);
            }
        }
    }
}
