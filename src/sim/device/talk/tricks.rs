//! Faults that are played in the middle of a talk: what comes late, what is forged, what
//! somebody else does to the execution meanwhile.
//!
//! Where the cloud can play a part it does, over the wire; only messages that no broker
//! would send are made up here.

use iotstack_mqtt::client::{Client, Stream};
use iotstack_mqtt::wire::{Publish, QoS};
use iotstack_protocol::JobId;
use serde_json::json;
use tokio::time::Instant;

use super::super::clock::Clock;
use super::super::{Device, End, Favour};
use super::{Talk, lost};
use crate::fault::{Fault, Moment};
use crate::jobs::{Request, Topics};
use crate::update::{JobKey, State, Updater};

impl Device {
    /// Asks whoever runs the simulation for a fault that a device cannot play alone.
    pub(super) fn ask_outside(&self, job: &JobKey) {
        let Some(injector) = &self.injector else { return };
        let favour = if injector.is(Fault::Cancelled) {
            self.cancelling(&job.id)
        } else if injector.is(Fault::Herd) {
            Favour::Herd
        } else if injector.is(Fault::CloudKilled) {
            Favour::RestartCloud
        } else {
            return;
        };
        self.ask_favour(favour);
    }

    fn cancelling(&self, job: &JobId) -> Favour {
        Favour::Cancel { thing: self.thing.clone(), job: job.clone() }
    }

    fn ask_favour(&self, favour: Favour) {
        // Nobody listens when the simulation ends.
        let _ = self.shared.favours.send(favour);
    }

    /// The power fails at this moment, if the fault says so.
    pub(super) fn survive(&mut self, at: Moment) -> Result<(), End> {
        match self.injector.as_mut().is_some_and(|injector| injector.cuts_power(at)) {
            true => {
                self.flash.power_off();
                Err(End::Reset)
            }
            false => Ok(()),
        }
    }

    /// Takes a message in its turn, or lets a later one overtake it.
    pub(super) async fn overtake(
        &mut self,
        message: Publish,
        client: &mut Client<Stream>,
        updater: &mut Updater,
        talk: &mut Talk,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        match talk.held.take() {
            None => {
                talk.held = Some(Box::new((message, Instant::now() + self.late())));
                Ok(())
            }
            Some(earlier) => {
                self.message(&message, client, updater, talk, jobs).await?;
                self.message(&earlier.0, client, updater, talk, jobs).await
            }
        }
    }

    /// What is queued, while the device waits for its job to be cancelled.
    pub(super) fn look_at_queue(&mut self, queued: Option<JobId>, talk: &mut Talk) {
        talk.has_hint = false;
        match (self.work.cancelling.clone(), queued) {
            (None, None) => {}
            (None, Some(job)) => {
                self.ask_favour(self.cancelling(&job));
                self.work.cancelling = Some(job);
                self.look_again(talk);
            }
            (Some(cancelled), queued) if queued.as_ref() != Some(&cancelled) => {
                self.note_end(JobKey { id: cancelled, execution: 1 }, None, talk);
            }
            (Some(_), _) => self.look_again(talk),
        }
    }

    fn look_again(&mut self, talk: &mut Talk) {
        if self.injector.as_mut().is_some_and(|injector| injector.may_wait()) {
            talk.must_poll = true;
            talk.wait_until = Some(Instant::now() + self.late());
        } else {
            self.never_cancelled();
            talk.has_hint = true;
        }
    }

    fn never_cancelled(&mut self) {
        self.note_mishap("the execution was never ended by the cloud");
        if let Some(injector) = &mut self.injector {
            injector.spend();
        }
    }

    /// While an image is on trial whose job is to be cancelled: whether to go on waiting.
    pub(super) fn wait_on_trial(&mut self, job: &JobId, talk: &mut Talk) -> bool {
        if self.work.cancelling.is_none() {
            self.ask_favour(self.cancelling(job));
            self.work.cancelling = Some(job.clone());
        }
        if self.injector.as_mut().is_some_and(|injector| injector.may_wait()) {
            // How the execution stands is asked before anything else is done.
            talk.version = None;
            talk.wait_until = Some(Instant::now() + self.late());
            return true;
        }
        self.never_cancelled();
        false
    }

    /// After the device was away: the execution must have timed out meanwhile. If the cloud
    /// has not noticed yet, the device is away once more.
    pub(super) fn stay_away(&mut self) -> Result<(), End> {
        if !self.has_fault(Fault::TimedOut) || self.work.failed_fetches == 0 {
            return Ok(());
        }
        self.work.absences += 1;
        if self.work.absences > LONGEST_ABSENCE {
            self.never_cancelled();
            return Ok(());
        }
        Err(End::Offline(self.shared.target.pace.away))
    }

    /// Has somebody else update the execution, so that the report conflicts with it.
    pub(super) async fn conflict(
        &mut self,
        client: &mut Client<Stream>,
        talk: &mut Talk,
        job: &JobKey,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        self.note_played();
        let (topic, _) = jobs.write(
            &Request::Describe { job: job.clone(), with_document: false },
            "somebody",
            None,
        );
        let Some(start) = topic.strip_suffix("/get") else { return Ok(()) };
        let body = json!({"status": "IN_PROGRESS", "statusDetails": {"step": "seen"},
            "executionNumber": job.execution, "clientToken": "somebody-else"});
        talk.wait_until = Some(Instant::now() + self.late());
        let topic = format!("{start}/update");
        client.publish(topic, body.to_string(), QoS::AtLeastOnce).await.map_err(lost)
    }

    /// Has the shadow wish something of the device.
    pub(super) async fn make_wish(&mut self, client: &mut Client<Stream>) -> Result<(), End> {
        if !self.is_due(Fault::ShadowWish) {
            return Ok(());
        }
        let body = json!({"state": {"desired": {WISH: self.record.boots}}});
        let topic = format!("$aws/things/{}/shadow/update", self.thing);
        client.publish(topic, body.to_string(), QoS::AtLeastOnce).await.map_err(lost)
    }

    /// Notes that the device takes on what was wished.
    pub(super) fn note_wish(&mut self, wanted: &serde_json::Map<String, serde_json::Value>) {
        if self.is_due(Fault::ShadowWish) && wanted.contains_key(WISH) {
            self.note_played();
        }
    }

    /// Judges an order again if a clock that was wrong may have been the reason for its end.
    pub(super) fn judge_again(
        &mut self,
        updater: &mut Updater,
        talk: &mut Talk,
    ) -> Result<(), End> {
        let State::Ended(outcome) = updater.state() else { return Ok(()) };
        if !self.clock.may_be_why(outcome.reason) {
            return Ok(());
        }
        // Nothing can be judged before the clock is set.
        self.clock = Clock::Right;
        updater.reconsider(&mut self.flash)?;
        talk.has_hint = true;
        talk.version = None;
        // One that began in an earlier life of this program was never counted.
        if std::mem::take(&mut self.work).key.is_some() {
            self.shared.stats.busy(-1);
        }
        Ok(())
    }

    /// The clock jumps while the image arrives.
    pub(super) fn let_clock_jump(&mut self) {
        if self.is_due(Fault::ClockJumps) {
            self.note_played();
            self.clock = Clock::Ahead;
        }
    }

    /// Plays the fault of messages about somebody else's job.
    pub(super) fn forge(
        &mut self,
        talk: &mut Talk,
        updater: &mut Updater,
        jobs: Topics<'_>,
    ) -> Result<(), End> {
        if !self.has_fault(Fault::ForeignJob) {
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

/// What the shadow is made to wish.
const WISH: &str = "wish";

/// How often a device is away that waits for its execution to time out.
const LONGEST_ABSENCE: u32 = 4;
