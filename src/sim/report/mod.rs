//! What a run was like: as data, for machines that judge it, and as a page for people.
//!
//! JSON holds everything. JUnit holds the expectations and the faults, each a test
//! case, so that a pipeline shows them as what they are. The page is one file without
//! anything from outside, and can be sent to somebody.

mod chart;
mod html;
mod junit;

use std::collections::BTreeMap;

use iotstack_protocol::JobId;
use serde::Serialize;

use crate::cloud::JobView;
use crate::fleet::FleetOutcome;
use crate::observe::Counts;
use crate::scenario::{Facts, Verdict};
use crate::{Error, Result};

/// What a run was like.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The name of the scenario.
    pub scenario: String,
    /// The seed: the same one gives the same run.
    pub seed: u64,
    /// The version that was rolled out.
    pub version: String,
    /// The job.
    pub job: Option<JobId>,
    /// How the job stood at the end, as the cloud says.
    pub view: Option<JobView>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// After how long all devices were there, in seconds.
    pub ready_after: f64,
    /// What is known.
    pub facts: Facts,
    /// What was expected, and whether it was so.
    pub verdicts: Vec<Verdict>,
    /// How the numbers went.
    pub curve: Vec<Moment>,
    /// The devices.
    pub fleet: FleetOutcome,
}

/// The numbers of one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Moment {
    /// When, in seconds from the beginning.
    pub at: f64,
    /// The numbers.
    pub counts: Counts,
    /// The job, when it was last looked at.
    pub job: Option<JobView>,
}

impl Report {
    /// Whether every expectation was met.
    pub fn is_passed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.is_met)
    }

    /// Everything, as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Report(error.to_string()))
    }

    /// Expectations and faults as test cases, in the XML that pipelines read.
    pub fn to_junit(&self) -> String {
        junit::write(self)
    }

    /// A page for people, complete in itself.
    pub fn to_html(&self) -> Result<String> {
        html::write(self)
    }

    /// How the devices with each fault ended: fault, how many, how many as they must.
    fn faults(&self) -> Vec<FaultRow> {
        let mut rows: BTreeMap<&str, FaultRow> = BTreeMap::new();
        for device in &self.fleet.devices {
            let Some(fault) = device.fault else { continue };
            let is_as_expected = device.is_as_expected();
            let end = device.updates.first().map_or_else(
                || "no update".to_owned(),
                |update| match update.reason {
                    Some(reason) => format!("{} ({reason})", update.status),
                    None => update.status.to_string(),
                },
            );
            let row = rows.entry(fault.id()).or_insert_with(|| FaultRow {
                id: fault.id(),
                words: fault.words(),
                devices: 0,
                as_expected: 0,
                ends: Vec::new(),
            });
            row.devices += 1;
            row.as_expected += u64::from(is_as_expected);
            if !row.ends.contains(&end) {
                row.ends.push(end);
            }
        }
        rows.into_values().collect()
    }
}

/// How the devices with one fault ended.
#[derive(Debug, Serialize)]
struct FaultRow {
    id: &'static str,
    words: &'static str,
    devices: u64,
    as_expected: u64,
    ends: Vec<String>,
}

#[cfg(test)]
mod tests;
