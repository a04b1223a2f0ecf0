//! Scenario files: which fleet, which firmware, which job, and what must come of it.
//!
//! A scenario says nothing about the cloud it runs against, so the same file is tried
//! on a laptop and run against AWS. Everything has a default but the version of the
//! firmware; a key that does not exist is refused with its place.

mod expect;
mod units;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iotstack_protocol::{FirmwareVersion, JobSettings};
use serde::Deserialize;

pub use expect::{Expectation, Facts, Verdict};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::fleet::DevicePlan;
use crate::image::{Behaviour, Recipe};
use crate::link::{Link, Offline};
use crate::profile::Profile;
use crate::{Error, Result};
use units::{Share, Size, Span};

/// A simulation, described.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Names it in reports.
    pub name: String,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Every device.
    pub devices: Vec<DevicePlan>,
    /// What is rolled out.
    pub firmware: Firmware,
    /// How it is rolled out.
    pub job: JobSettings,
    /// How long everything may take.
    pub timeout: Duration,
    /// What must come of it.
    pub expectations: Vec<Expectation>,
}

/// The firmware of a scenario.
#[derive(Debug, Clone)]
pub struct Firmware {
    /// The version.
    pub version: FirmwareVersion,
    /// What the image is.
    pub image: FirmwareImage,
}

/// What a firmware image is.
#[derive(Debug, Clone)]
pub enum FirmwareImage {
    /// A file.
    File(PathBuf),
    /// One of the simulator's images.
    Made(Recipe),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "unnamed")]
    name: String,
    #[serde(default = "one")]
    seed: u64,
    fleet: WrittenFleet,
    firmware: WrittenFirmware,
    #[serde(default)]
    job: JobSettings,
    #[serde(default = "ten_minutes")]
    timeout: Span,
    #[serde(default)]
    expect: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFleet {
    size: usize,
    #[serde(default = "number")]
    serials: String,
    #[serde(default)]
    profiles: Vec<WrittenProfile>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
struct WrittenProfile {
    name: Option<String>,
    share: Option<f64>,
    model: Option<String>,
    version: Option<FirmwareVersion>,
    bandwidth: Option<Size>,
    latency: Option<Span>,
    offline: Option<WrittenOffline>,
    failure_rate: Option<Share>,
    crash_rate: Option<Share>,
    #[serde(default)]
    faults: Vec<Fault>,
    fault_rate: Option<Share>,
    telemetry: Option<Span>,
    slot_size: Option<Size>,
    #[serde(default)]
    same_version_is_success: bool,
    reports_progress: Option<bool>,
    #[serde(default)]
    keeps_session: bool,
    step_timeout_minutes: Option<u32>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct WrittenOffline {
    every: Span,
    lasts: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFirmware {
    version: FirmwareVersion,
    size: Option<Size>,
    file: Option<PathBuf>,
    model: Option<String>,
    #[serde(default)]
    behaviour: Behaviour,
    sequence: Option<u64>,
}

impl Scenario {
    /// Reads a scenario file.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let written: Written =
            serde_yaml::from_str(text).map_err(|error| Error::Scenario(error.to_string()))?;
        let problem = |what: String| Err(Error::Scenario(what));
        if written.fleet.size == 0 {
            return problem("`fleet.size` is 0: expected at least 1".to_owned());
        }
        if written.fleet.size > LARGEST_FLEET {
            let size = written.fleet.size;
            return problem(format!("`fleet.size` is {size}: expected at most {LARGEST_FLEET}"));
        }
        if !written.fleet.serials.contains("{n}") {
            let serials = &written.fleet.serials;
            return problem(format!("`fleet.serials` is `{serials}`: expected `{{n}}` in it"));
        }
        written.job.validate().map_err(|error| Error::Scenario(format!("`job`: {error}")))?;
        let expectations =
            written.expect.iter().map(|text| text.parse()).collect::<Result<Vec<_>>>()?;
        let firmware = firmware(&written)?;
        Ok(Scenario {
            devices: devices(&written)?,
            name: written.name,
            seed: written.seed,
            firmware,
            job: written.job,
            timeout: written.timeout.0,
            expectations,
        })
    }

    /// The same scenario with everything that is left to chance decided anew.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        if let FirmwareImage::Made(recipe) = &mut self.firmware.image {
            recipe.seed = seed;
        }
        self
    }

    /// How many devices of each profile there are.
    pub fn profiles(&self) -> BTreeMap<&str, usize> {
        let mut profiles = BTreeMap::new();
        for device in &self.devices {
            *profiles.entry(device.profile.name.as_str()).or_default() += 1;
        }
        profiles
    }
}

impl Firmware {
    /// The bytes of the image.
    pub fn bytes(&self) -> Result<bytes::Bytes> {
        match &self.image {
            FirmwareImage::Made(recipe) => recipe.make(),
            FirmwareImage::File(path) => std::fs::read(path)
                .map(Into::into)
                .map_err(|source| Error::File { action: "read", path: path.clone(), source }),
        }
    }
}

fn firmware(written: &Written) -> Result<Firmware> {
    let given = &written.firmware;
    let image = match &given.file {
        Some(_) if given.size.is_some() || !given.behaviour.is_healthy() => {
            let what = "`firmware.file` has its own size and behaviour: expected one or the other";
            return Err(Error::Scenario(what.to_owned()));
        }
        Some(file) => FirmwareImage::File(file.clone()),
        None => FirmwareImage::Made(Recipe {
            model: given.model.clone(),
            seed: written.seed,
            sequence: given.sequence,
            behaviour: given.behaviour,
            ..Recipe::new(
                given.version.as_str(),
                given.size.map_or(64 * 1024, |size| size.0) as usize,
            )
        }),
    };
    Ok(Firmware { version: given.version.clone(), image })
}

/// Gives each device its profile and its fault. Profiles are dealt out in turn by their
/// shares, so that any part of the fleet is a fair picture of it.
fn devices(written: &Written) -> Result<Vec<DevicePlan>> {
    let default = [WrittenProfile::default()];
    let given = match written.fleet.profiles.as_slice() {
        [] => &default[..],
        given => given,
    };
    let shares: Vec<f64> = given.iter().map(|profile| profile.share.unwrap_or(1.0)).collect();
    if let Some(share) = shares.iter().find(|share| !share.is_finite() || **share < 0.0) {
        let what = format!("`fleet.profiles` has the share {share}: expected a number from 0 on");
        return Err(Error::Scenario(what));
    }
    let total: f64 = shares.iter().sum();
    if total <= 0.0 {
        let what = "`fleet.profiles` has no share above 0: expected one at least";
        return Err(Error::Scenario(what.to_owned()));
    }
    let profiles: Vec<Arc<Profile>> =
        given.iter().enumerate().map(|(index, given)| Arc::new(profile(index, given))).collect();
    let mut dealt = vec![0_usize; given.len()];
    let mut devices = Vec::with_capacity(written.fleet.size);
    for number in 0..written.fleet.size {
        // The profile that is furthest behind its share is next.
        let debt = |index: usize| shares[index] / total * (number + 1) as f64 - dealt[index] as f64;
        let index = (0..given.len())
            .max_by(|one, other| debt(*one).total_cmp(&debt(*other)).then(other.cmp(one)))
            .unwrap_or(0);
        let faults = &given[index].faults;
        let rate = given[index].fault_rate.map_or(1.0, |rate| rate.0);
        let has_fault = Dice::new(written.seed).of(number as u64).on("has fault").happens(rate);
        let fault = (!faults.is_empty() && has_fault).then(|| faults[dealt[index] % faults.len()]);
        dealt[index] += 1;
        devices.push(DevicePlan {
            serial: written.fleet.serials.replace("{n}", &(number + 1).to_string()),
            profile: profiles[index].clone(),
            fault,
        });
    }
    Ok(devices)
}

fn profile(index: usize, given: &WrittenProfile) -> Profile {
    let default = Profile::default();
    Profile {
        name: given.name.clone().unwrap_or_else(|| match index {
            0 => default.name.clone(),
            _ => format!("profile-{}", index + 1),
        }),
        model: given.model.clone().unwrap_or(default.model),
        version: given.version.as_ref().map_or(default.version, ToString::to_string),
        link: Link {
            bytes_per_second: given.bandwidth.map(|bandwidth| bandwidth.0.max(1)),
            latency: given.latency.map_or(Duration::ZERO, |latency| latency.0),
            offline: given
                .offline
                .as_ref()
                .map(|offline| Offline { every: offline.every.0, lasts: offline.lasts.0 }),
        },
        failure_rate: given.failure_rate.map_or(0.0, |rate| rate.0),
        crash_rate: given.crash_rate.map_or(0.0, |rate| rate.0),
        telemetry: given.telemetry.map(|every| every.0.max(Duration::from_millis(10))),
        slot_size: given.slot_size.map_or(default.slot_size, |size| size.0),
        same_version_is_success: given.same_version_is_success,
        reports_progress: given.reports_progress.unwrap_or(default.reports_progress),
        keeps_session: given.keeps_session,
        step_timeout_minutes: given.step_timeout_minutes,
    }
}

fn unnamed() -> String {
    "simulation".to_owned()
}

fn one() -> u64 {
    1
}

fn number() -> String {
    "{n}".to_owned()
}

fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}

/// More devices than anybody has addresses for on one machine.
const LARGEST_FLEET: usize = 1_000_000;

#[cfg(test)]
mod tests;
