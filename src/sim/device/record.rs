//! What is known about a device when the simulation is over.
//!
//! Plain data for the report. The last lines are found by looking into the flash, so
//! that the verdict does not depend on what the device says about itself.

use iotstack_protocol::JobExecutionStatus;
use serde::{Deserialize, Serialize};

use crate::boot::{BootRecord, read};
use crate::fault::{Expected, Fault};
use crate::flash::Flash;
use crate::image::digest;
use crate::outcome::{Outcome, Reason};
use crate::profile::Profile;
use crate::trust::Trust;
use crate::update::JobKey;
use crate::version::compare;

/// What is known about a device when the simulation is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Its thing name.
    pub thing: String,
    /// The name of its profile.
    pub profile: String,
    /// Its model.
    pub model: String,
    /// The fault that was injected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The version at first.
    pub first_version: String,
    /// The version at the end; nothing if nothing boots.
    pub version: Option<String>,
    /// Whether what would boot at the end is signed, unchanged and not below the floor.
    pub image_is_good: bool,
    /// What became of its updates, in their order.
    pub updates: Vec<UpdateRecord>,
    /// How often it was reset.
    pub boots: u32,
    /// How often it was connected.
    pub connects: u32,
    /// How often a connection was lost or refused.
    pub losses: u32,
    /// What happened while its fault was played and must not, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mishap: Option<String>,
    /// Why it will not run again, if it will not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died: Option<String>,
}

/// One update of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateRecord {
    /// The job and the execution.
    pub job: JobKey,
    /// How it ended.
    pub status: JobExecutionStatus,
    /// The word; nothing if the cloud ended it.
    pub reason: Option<Reason>,
    /// For people.
    pub detail: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// When it ended, in seconds from the beginning of the simulation.
    pub at: f64,
}

impl DeviceRecord {
    pub(crate) fn new(thing: &str, profile: &Profile, fault: Option<Fault>) -> Self {
        DeviceRecord {
            thing: thing.to_owned(),
            profile: profile.name.clone(),
            model: profile.model.clone(),
            fault,
            first_version: profile.version.clone(),
            version: None,
            image_is_good: false,
            updates: Vec::new(),
            boots: 0,
            connects: 0,
            losses: 0,
            mishap: None,
            died: None,
        }
    }

    /// Notes how an update ended.
    pub(crate) fn end(&mut self, job: JobKey, outcome: &Outcome, seconds: f64, at: f64) {
        // The same execution can be reported twice, and is still one update.
        if self.updates.iter().any(|update| update.job == job) {
            return;
        }
        self.updates.push(UpdateRecord {
            job,
            status: outcome.status(),
            reason: Some(outcome.reason),
            detail: outcome.detail.clone(),
            seconds,
            at,
        });
    }

    /// Notes that the cloud ended an update.
    pub(crate) fn abandon(&mut self, job: JobKey, seconds: f64, at: f64) {
        if self.updates.iter().any(|update| update.job == job) {
            return;
        }
        self.updates.push(UpdateRecord {
            job,
            status: JobExecutionStatus::Canceled,
            reason: None,
            detail: "ended by the cloud".to_owned(),
            seconds,
            at,
        });
    }

    /// Looks into the flash.
    pub(crate) fn examine(&mut self, flash: &Flash, trust: &Trust) {
        let Ok(record) = read(flash) else { return };
        let running = running(&record);
        let Some(manifest) = &record.slots[running.index()] else { return };
        self.version = Some(manifest.version.clone());
        let bytes = flash.read_slot(running, manifest.size);
        self.image_is_good = bytes.is_ok_and(|bytes| digest(&bytes) == manifest.sha256)
            && trust.vouches(&manifest.sha256, &manifest.claim).is_ok()
            && compare(&manifest.version, &record.floor).is_ge();
    }

    /// Whether the first update ended as it must with the fault that was injected.
    ///
    /// A device without a fault has nothing to fail at; one with a fault whose update
    /// never ended has not shown that it survives it.
    pub fn is_as_expected(&self) -> bool {
        let Some(fault) = self.fault else { return true };
        if self.mishap.is_some() {
            return false;
        }
        let is_good = |update: &UpdateRecord| update.reason.is_none_or(|why| fault.allows(why));
        match (fault.expected(), self.updates.as_slice()) {
            (Expected::EndedByTheCloud, [first, rest @ ..]) => {
                first.reason.is_none() && rest.iter().all(is_good)
            }
            (Expected::EndedByTheCloud, []) => false,
            (Expected::SucceedsThrice, updates) => {
                updates.len() >= 3
                    && updates
                        .iter()
                        .all(|update| update.reason.is_some_and(|why| fault.allows(why)))
            }
            (expected, updates) => match updates.iter().find_map(|update| update.reason) {
                Some(reason) => fault.allows(reason),
                None => expected == Expected::AsTheCloudDecides,
            },
        }
    }
}

/// The slot that boots next.
fn running(record: &BootRecord) -> crate::flash::Slot {
    record.trial.as_ref().filter(|trial| trial.left > 0).map_or(record.active, |trial| trial.slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(fault: Fault, ends: &[Option<Reason>]) -> bool {
        let mut record = DeviceRecord::new("lamp-1", &Profile::default(), Some(fault));
        for (place, end) in ends.iter().enumerate() {
            let key = JobKey { id: format!("job-{place}").parse().unwrap(), execution: 1 };
            match end {
                Some(reason) => record.end(key, &Outcome::new(*reason, ""), 1.0, 1.0),
                None => record.abandon(key, 1.0, 1.0),
            }
        }
        record.is_as_expected()
    }

    #[test]
    fn what_the_cloud_must_end_is_ended_by_the_cloud_and_followed_by_success() {
        let (good, bad) = (Some(Reason::Accepted), Some(Reason::Timeout));
        for fault in [Fault::TimedOut, Fault::CancelledInQueue, Fault::CancelledOnTrial] {
            assert!(ended(fault, &[None]));
            assert!(ended(fault, &[None, good]));
            assert!(!ended(fault, &[]));
            assert!(!ended(fault, &[good]));
            assert!(!ended(fault, &[None, bad]));
        }
        assert!(ended(Fault::BackToBack, &[good, good, good]));
        assert!(!ended(Fault::BackToBack, &[good, good]));
        assert!(!ended(Fault::BackToBack, &[good, bad, good]));
        assert!(!ended(Fault::BackToBack, &[good, good, good, None]));
    }

    #[test]
    fn a_mishap_is_never_what_is_expected() {
        let mut record = DeviceRecord::new("lamp-1", &Profile::default(), Some(Fault::Nothing));
        let key = JobKey { id: "job".parse().unwrap(), execution: 1 };
        record.end(key, &Outcome::new(Reason::Accepted, ""), 1.0, 1.0);
        assert!(record.is_as_expected());
        record.mishap = Some("a server that must not be trusted was trusted".to_owned());
        assert!(!record.is_as_expected());
    }
}
