//! What happens without a request: due work, things that change groups, metrics.
//!
//! One task walks from wake-up to wake-up on the cloud's clock, so that a clock that
//! runs fast or is stepped over a week lets every minute of a rollout happen. Only
//! after a restart the time that nobody was there is skipped: a rollout goes on at its
//! rate and does not catch up.

use std::sync::{Arc, Weak};

use iotstack_jobs::Time;
use iotstack_local_kernel::{Clock, Cloud, CloudEvent, Timestamp};
use iotstack_protocol::JobExecutionStatus;

use crate::members::Moved;
use crate::outbox::metric;
use crate::service::Jobs;

/// Hears which things change their groups or are deleted.
pub(crate) fn hear(cloud: &Arc<Cloud>, jobs: &Arc<Jobs>) {
    let jobs = Arc::downgrade(jobs);
    cloud.bus.hear(move |event| {
        let (thing, deleted) = match event {
            CloudEvent::MembershipChanged { thing, .. } => (thing, false),
            CloudEvent::ThingChanged { thing, exists: false } => (thing, true),
            _ => return,
        };
        if let Some(jobs) = jobs.upgrade() {
            jobs.note_moved(thing, deleted);
        }
    });
}

/// Drives the service until it ends.
pub(crate) async fn drive(jobs: Weak<Jobs>, clock: Clock) {
    if let Some(jobs) = jobs.upgrade()
        && jobs.advance(jobs.now()).await.is_err()
    {
        return;
    }
    let mut sampled = clock.now();
    loop {
        let (next, woken) = {
            let Some(jobs) = jobs.upgrade() else { return };
            jobs.move_things().await;
            jobs.catch_up().await;
            let sample_at = Timestamp(sampled.0 + SAMPLE);
            if clock.now() >= sample_at {
                sampled = clock.now();
                jobs.sample();
            }
            let waits = !jobs.lock_entered().is_empty();
            let due = jobs.plan().0.map(timestamp);
            let sample = waits.then_some(Timestamp(sampled.0 + SAMPLE));
            let next = match (due, sample) {
                (Some(due), Some(sample)) => Some(due.min(sample)),
                (due, sample) => due.or(sample),
            };
            (next, jobs.woken.clone())
        };
        match next {
            Some(next) => tokio::select! {
                () = woken.notified() => {}
                () = clock.sleep_until(next) => {}
            },
            None => woken.notified().await,
        }
    }
}

impl Jobs {
    /// Remembers that a thing has changed its groups, or is gone.
    pub(crate) fn note_moved(&self, thing: &Arc<str>, deleted: bool) {
        let mut moved = self.moved.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *moved.entry(thing.clone()).or_default() |= deleted;
        drop(moved);
        self.woken.notify_one();
    }

    /// Tells the engine about things that have changed their groups.
    async fn move_things(&self) {
        loop {
            let next = {
                let mut moved = self.moved.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                moved.pop_first()
            };
            let Some((thing, deleted)) = next else { return };
            let Ok(cloud) = self.cloud() else { return };
            let Ok(registry) = cloud.ports.registry() else { return };
            // Somebody may have made a thing of that name again.
            let exists = registry.thing(&thing).is_some();
            let groups = Moved { groups: registry.groups_of(&thing) };
            let moved = self.act(|turn| {
                let (now, out) = (turn.now, &mut turn.effects);
                if deleted {
                    turn.engine.thing_deleted(&thing, now, out);
                }
                if exists {
                    turn.engine.thing_moved(&thing, &groups, now, out);
                }
                Ok(())
            });
            if moved.await.is_err() {
                return;
            }
        }
    }

    /// Does what has fallen due, one wake-up after the other.
    async fn catch_up(&self) {
        loop {
            let (due, last) = self.plan();
            let Some(due) = due.filter(|due| *due <= self.now()) else { return };
            if self.advance(due.max(last)).await.is_err() {
                return;
            }
        }
    }

    /// Puts the metrics of jobs whose executions have changed.
    fn sample(&self) {
        let entered = std::mem::take(&mut *self.lock_entered());
        let Ok(cloud) = self.cloud() else { return };
        let Ok(metrics) = cloud.ports.metrics() else { return };
        for (job, entered) in entered {
            let Ok((counts, _)) = self.read(|engine, _| engine.job_metrics(&job)) else { continue };
            for status in JobExecutionStatus::ALL {
                let Some((count, total)) = metric(*status) else { continue };
                let (new, all) = (entered[*status as usize], counts.of(*status));
                let dimensions = [("JobId", &*job)];
                metrics.put(NAMESPACE, count, &dimensions, f64::from(new), "Count");
                metrics.put(NAMESPACE, total, &dimensions, f64::from(all), "Count");
            }
        }
    }

    /// Counts a request about a job that was refused, if there is such a job.
    pub(crate) fn count_error(&self, job: &str, by_client: bool) {
        // Devices may name what they like, but must not fill the metrics with it.
        if self.read(|engine, _| engine.document_source(job).map(drop)).is_err() {
            return;
        }
        let Ok(cloud) = self.cloud() else { return };
        let Ok(metrics) = cloud.ports.metrics() else { return };
        let name = if by_client { "ClientErrorCount" } else { "ServerErrorCount" };
        metrics.put(NAMESPACE, name, &[("JobId", job)], 1.0, "Count");
    }

    fn lock_entered(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::BTreeMap<Arc<str>, [u32; 8]>> {
        self.entered.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The wake-up of the engine as a time of the cloud.
pub(crate) fn timestamp(time: Time) -> Timestamp {
    Timestamp(i64::try_from(time.0).unwrap_or(i64::MAX))
}

const NAMESPACE: &str = "AWS/IoT";
/// How many milliseconds lie between two samples.
const SAMPLE: i64 = 10_000;
