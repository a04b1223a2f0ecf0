//! A whole simulation: the fleet comes up, the firmware goes out, the verdict is found.
//!
//! The order of things is here and nowhere else. What goes wrong on the operator's side
//! stops the run with an error; what goes wrong with devices is what the run is for,
//! and ends up in the report.

use std::sync::Arc;
use std::time::Duration;

use iotstack_protocol::{JobExecutionStatus, JobId, JobStatus};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

use crate::cloud::{Cloud, JobView, Rollout};
use crate::crew::{Crew, Workers};
use crate::device::{DeviceRecord, Favour};
use crate::fault::Fault;
use crate::fleet::FleetOutcome;
use crate::observe::{Event, Observer};
use crate::report::{Moment, Report};
use crate::scenario::{Facts, Firmware, Scenario, Verdict};
use crate::target::Target;
use crate::version::compare;
use crate::{Error, Result};

/// Runs a scenario against a cloud, with all devices in this process.
pub async fn run(
    scenario: &Scenario,
    target: Target,
    cloud: &dyn Cloud,
    observer: Arc<dyn Observer>,
) -> Result<Report> {
    run_with(scenario, target, cloud, observer, &Workers::none()).await
}

/// Runs a scenario against a cloud, with its devices spread over worker processes.
pub async fn run_with(
    scenario: &Scenario,
    target: Target,
    cloud: &dyn Cloud,
    observer: Arc<dyn Observer>,
    workers: &Workers,
) -> Result<Report> {
    let firmwares = firmwares(scenario)?;
    let began = Instant::now();
    let end = began + scenario.timeout;
    let phase = |words: &str| observer.hear(&Event::Phase(words));
    let things: Vec<String> =
        scenario.devices.iter().map(|device| target.thing_name(&device.serial)).collect();
    phase("devices start");
    let fleet = Crew::start(&scenario.devices, target, scenario.seed, observer.clone(), workers)?;
    let mut watch = Watch {
        fleet,
        cloud,
        observer: observer.clone(),
        began,
        curve: Vec::new(),
        rollouts: 0,
        has_restarted: false,
        last_told: None,
    };
    watch.until_ready(end).await?;
    let ready_after = began.elapsed();

    let mut following = firmwares.iter();
    let mut firmware = &scenario.firmware;
    let (job, view) = loop {
        phase("firmware is uploaded and signed, and the job is made");
        let rollout = Rollout {
            image: firmware.bytes()?,
            version: firmware.version.clone(),
            settings: scenario.job.clone(),
            things: things.clone(),
        };
        let job = cloud.roll_out(&rollout).await?;
        phase("devices update");
        let view = watch.until_over(&job, end).await?;
        watch.rollouts += 1;
        // Nothing follows a rollout that was stopped.
        let is_completed =
            view.is_some_and(|view| view.is_over() && view.status == JobStatus::Completed);
        match following.next() {
            Some(next) if is_completed => firmware = next,
            _ => break (job, view),
        }
    };
    phase("devices stop");
    let Watch { fleet, curve, .. } = watch;
    let outcome = fleet.stop().await?;
    let version = firmware.version.as_str();
    let facts = facts(scenario, version, &outcome, view.as_ref(), &curve, began.elapsed());
    let mut verdicts: Vec<_> =
        scenario.expectations.iter().map(|expected| expected.judge(&facts)).collect();
    if view.is_none_or(|view| !view.is_over()) {
        // Nobody has to write that down for it to be expected.
        verdicts.push(unfinished(scenario, view.as_ref()));
    }
    Ok(Report {
        scenario: scenario.name.clone(),
        seed: scenario.seed,
        version: firmware.version.to_string(),
        job: Some(job),
        view,
        seconds: began.elapsed().as_secs_f64(),
        ready_after: ready_after.as_secs_f64(),
        facts,
        verdicts,
        curve,
        fleet: outcome,
    })
}

/// A fleet and the cloud it lives in, watched.
struct Watch<'a> {
    fleet: Crew,
    cloud: &'a dyn Cloud,
    observer: Arc<dyn Observer>,
    began: Instant,
    curve: Vec<Moment>,
    /// How many rollouts are over.
    rollouts: u64,
    has_restarted: bool,
    last_told: Option<Instant>,
}

impl Watch<'_> {
    /// Waits until every device is there, dead or ready.
    async fn until_ready(&mut self, end: Instant) -> Result<()> {
        let size = self.fleet.size();
        let mut ticks = ticks(GLANCE);
        loop {
            ticks.tick().await;
            self.fleet.check()?;
            self.note(None);
            let counts = self.fleet.counts();
            if counts.ready + counts.dead >= size {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(Error::Late {
                    what: format!(
                        "connecting of all devices ({} of {size} are ready, {} have a certificate)",
                        counts.ready, counts.provisioned
                    ),
                    seconds: self.began.elapsed().as_secs(),
                });
            }
        }
    }

    /// Waits until nothing more will happen, or the time is up; says how the job stands.
    async fn until_over(&mut self, job: &JobId, end: Instant) -> Result<Option<JobView>> {
        let mut ticks = ticks(GLANCE);
        let mut view: Option<JobView> = None;
        let mut next_look = Instant::now();
        let mut has_seemed_over = false;
        loop {
            ticks.tick().await;
            self.fleet.check()?;
            self.grant_favours().await?;
            let counts = self.fleet.counts();
            let now = Instant::now();
            let ended = counts.succeeded + counts.failed + counts.rejected + counts.abandoned;
            let due = self.fleet.size() * (self.rollouts + 1);
            let seems_over = counts.busy == 0 && ended + counts.dead >= due;
            // The job may lag behind the devices: it is looked at early once, and not at
            // every glance until it is over as well.
            let begins_to_seem_over = seems_over && !has_seemed_over;
            has_seemed_over = seems_over;
            if now >= next_look || begins_to_seem_over {
                next_look = now + LOOK;
                match self.cloud.job(job).await {
                    Ok(found) => view = Some(found),
                    // A cloud that is being restarted comes back.
                    Err(error) => warn!(%error, "the job cannot be looked at"),
                }
                // Retries and late devices: the cloud says when it is over.
                if view.is_some_and(|view| view.is_over()) && counts.busy == 0 {
                    self.note(view);
                    return Ok(view);
                }
            }
            self.note(view);
            if now >= end {
                return Ok(view);
            }
        }
    }

    async fn grant_favours(&mut self) -> Result<()> {
        while let Some(favour) = self.fleet.favour() {
            match favour {
                Favour::Cancel { thing, job } => {
                    // It may have ended by itself meanwhile.
                    if let Err(error) = self.cloud.cancel_execution(&thing, &job).await {
                        warn!(%error, thing, "the execution cannot be cancelled");
                    }
                }
                Favour::Herd => self.fleet.cut(),
                Favour::RestartCloud if !self.has_restarted => {
                    self.has_restarted = true;
                    // Without a cloud there is nothing left to wait for.
                    if !self.cloud.restart().await? {
                        warn!("this cloud cannot be restarted: nothing is played");
                    }
                }
                Favour::RestartCloud => {}
            }
        }
        Ok(())
    }

    /// Adds a moment to the curve. When there are many, every other one goes: a curve
    /// has no more than a thousand.
    fn note(&mut self, view: Option<JobView>) {
        let now = Instant::now();
        if self.last_told.is_none_or(|last| now - last >= TELL) {
            self.last_told = Some(now);
            self.observer.hear(&Event::Numbers(&self.fleet.counts()));
        }
        let at = self.began.elapsed().as_secs_f64();
        let step = self.curve.last().map_or(0.0, |last| at / 400.0 + last.at);
        if !self.curve.is_empty() && at < step {
            return;
        }
        self.curve.push(Moment { at, counts: self.fleet.counts(), job: view });
        if self.curve.len() > 1000 {
            let mut keep = false;
            self.curve.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }
}

/// What is rolled out after the scenario's firmware: nothing, unless a device is to be
/// updated again and again. All devices are, because a job is for all of them. What cannot
/// be rolled out so often is found here, before anything is begun.
fn firmwares(scenario: &Scenario) -> Result<Vec<Firmware>> {
    let is_repeated = scenario.devices.iter().any(|device| device.fault == Some(Fault::BackToBack));
    if !is_repeated {
        return Ok(Vec::new());
    }
    let second = scenario.firmware.later()?;
    let third = second.later()?;
    Ok(vec![second, third])
}

fn facts(
    scenario: &Scenario,
    version: &str,
    outcome: &FleetOutcome,
    view: Option<&JobView>,
    curve: &[Moment],
    took: Duration,
) -> Facts {
    let devices = &outcome.devices;
    let count = |wanted: &dyn Fn(&DeviceRecord) -> bool| {
        devices.iter().filter(|device| wanted(device)).count() as u64
    };
    let ended = |status: JobExecutionStatus| {
        count(&|device| device.updates.last().is_some_and(|update| update.status == status))
    };
    let is_updated = |device: &DeviceRecord| {
        device.version.as_deref().is_some_and(|found| compare(found, version).is_eq())
    };
    let mut facts = Facts {
        devices: scenario.devices.len() as u64,
        succeeded: ended(JobExecutionStatus::Succeeded),
        failed: ended(JobExecutionStatus::Failed),
        rejected: ended(JobExecutionStatus::Rejected),
        canceled: ended(JobExecutionStatus::Canceled),
        untouched: count(&|device| device.updates.is_empty()),
        updated: count(&is_updated),
        provisioned: outcome.counts.provisioned,
        bricked: count(&|device| device.version.is_none() || device.died.is_some()),
        unsigned: count(&|device| !device.image_is_good),
        unexpected: count(&|device| !device.is_as_expected()),
        failed_at_abort: None,
        job: view.map(|view| view.status),
        seconds: took.as_secs_f64(),
        times: Default::default(),
    };
    if facts.job == Some(JobStatus::Canceled) {
        // The first look that found the job stopped; devices that failed after it count
        // against nobody.
        let stopped = curve.iter().find_map(|moment| {
            let job = moment.job.filter(|job| job.status == JobStatus::Canceled)?;
            Some(job.failed + job.rejected + job.timed_out)
        });
        facts.failed_at_abort = stopped.or(Some(facts.failed + facts.rejected));
    }
    for time in &outcome.times {
        for (name, value) in
            [("p50", time.p50), ("p95", time.p95), ("p99", time.p99), ("maximum", time.maximum)]
        {
            facts.times.insert(format!("{name} {}", time.name), value / 1000.0);
        }
    }
    facts
}

/// The verdict on a run whose time was up before the job was over.
fn unfinished(scenario: &Scenario, view: Option<&JobView>) -> Verdict {
    let found = match view {
        None => "the cloud never said how the job stands".to_owned(),
        Some(view) => format!(
            "the job is {} with {} executions queued and {} in progress",
            view.status, view.queued, view.in_progress
        ),
    };
    let seconds = scenario.timeout.as_secs();
    Verdict { expectation: format!("ends within its time of {seconds} s"), is_met: false, found }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// How often the numbers are looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// How often whoever watches is told the numbers.
const TELL: Duration = Duration::from_millis(200);

/// How often the job is looked at.
const LOOK: Duration = Duration::from_secs(1);
