//! Scenario files: which fleet, which firmware, which job, and what must come of it.
//!
//! A scenario says nothing about the cloud it runs against, so the same file is tried
//! on a laptop and run against AWS. Everything has a default but the version of the
//! firmware; a key that does not exist is refused with its place.

mod expect;
mod units;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iotstack_protocol::{FirmwareVersion, JobSettings, ThingName};
use serde::Deserialize;

pub use expect::{Expectation, Facts, Verdict};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::fleet::DevicePlan;
use crate::image::{Behaviour, MAGIC, Recipe};
use crate::link::{Link, Offline};
use crate::profile::Profile;
use crate::{Error, Result};
use units::{Share, Size, Span, Weight, Whole};

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
    /// How it is rolled out; as the cloud does it by itself if nothing is said.
    pub job: Option<JobSettings>,
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
#[serde(deny_unknown_fields, expecting = "a scenario, with `fleet` and `firmware`")]
struct Written {
    #[serde(default = "unnamed")]
    name: String,
    #[serde(default = "one")]
    seed: Whole<0, { u64::MAX }>,
    fleet: WrittenFleet,
    firmware: WrittenFirmware,
    job: Option<JobSettings>,
    #[serde(default = "ten_minutes")]
    timeout: Span,
    #[serde(default)]
    expect: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a fleet, such as `{size: 200}`")]
struct WrittenFleet {
    size: Whole<1, LARGEST_FLEET>,
    #[serde(default = "number")]
    serials: String,
    #[serde(default)]
    profiles: Vec<WrittenProfile>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields, expecting = "a profile, such as `{name: indoor, share: 90%}`")]
struct WrittenProfile {
    name: Option<String>,
    share: Option<Weight>,
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
    step_timeout_minutes: Option<Whole<1, LONGEST_STEP>>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields, expecting = "a pattern, such as `{every: 10 min, lasts: 30 s}`")]
struct WrittenOffline {
    every: Span,
    lasts: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "firmware, such as `{version: 1.1.0, size: 64 KiB}`")]
struct WrittenFirmware {
    version: FirmwareVersion,
    size: Option<Size>,
    file: Option<PathBuf>,
    model: Option<String>,
    #[serde(default)]
    behaviour: Behaviour,
    sequence: Option<Whole<0, { u64::MAX }>>,
}

impl Scenario {
    /// Reads a scenario file.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let written: Written =
            serde_yaml::from_str(text).map_err(|error| Error::Scenario(error.to_string()))?;
        check_serials(&written.fleet.serials)?;
        if written.timeout.0.is_zero() {
            return Err(Error::Scenario("`timeout` is 0: expected a time above 0".to_owned()));
        }
        if let Some(job) = &written.job {
            job.validate().map_err(|error| Error::Scenario(format!("`job`: {error}")))?;
        }
        let expectations =
            written.expect.iter().map(|text| text.parse()).collect::<Result<Vec<_>>>()?;
        let firmware = firmware(&written)?;
        Ok(Scenario {
            devices: devices(&written)?,
            name: written.name,
            seed: written.seed.0,
            firmware,
            job: written.job,
            timeout: written.timeout.0,
            expectations,
        })
    }

    /// The same scenario with its files looked for in the folder that it lies in.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        if let FirmwareImage::File(file) = &mut self.firmware.image {
            *file = folder.join(&*file);
        }
        self
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
    /// Looks whether the image can be had, before anything is begun.
    pub fn check(&self) -> Result<()> {
        let FirmwareImage::File(path) = &self.image else { return Ok(()) };
        let problem = |what: String| {
            Err(Error::Scenario(format!("`firmware.file` is `{}`: {what}", path.display())))
        };
        match std::fs::File::open(path).and_then(|file| file.metadata()) {
            Err(error) => problem(format!("it cannot be read: {error}")),
            Ok(found) if !found.is_file() => problem("expected a file".to_owned()),
            Ok(found) if !(1..=LARGEST_IMAGE).contains(&found.len()) => {
                problem(format!("it has {} bytes: expected 1 to {LARGEST_IMAGE}", found.len()))
            }
            Ok(_) => Ok(()),
        }
    }

    /// The same firmware in a version that is a little later.
    pub(crate) fn later(&self) -> Result<Self> {
        let fault = Fault::BackToBack;
        let version: FirmwareVersion = after(self.version.as_str()).parse().map_err(|error| {
            let given = &self.version;
            let what = format!(
                "{error}; `firmware.version` leads to it from `{given}`: expected one that can \
                 grow, because the fault {fault} needs three versions"
            );
            Error::invalid("version of the next update", what)
        })?;
        let mut image = self.image.clone();
        match &mut image {
            FirmwareImage::Made(recipe) => recipe.version = version.to_string(),
            FirmwareImage::File(path) => {
                if says_its_version(path)? {
                    let path = path.display();
                    return Err(Error::Scenario(format!(
                        "`firmware.file` is `{path}`, which says its version itself: expected \
                         another file or none, because the fault {fault} needs three versions"
                    )));
                }
            }
        }
        Ok(Firmware { version, image })
    }

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
        None if given.size.is_some_and(|size| size.0 > LARGEST_IMAGE) => {
            let size = given.size.map_or(0, |size| size.0);
            let what = format!("`firmware.size` is {size}: expected at most {LARGEST_IMAGE} bytes");
            return Err(Error::Scenario(what));
        }
        None => FirmwareImage::Made(Recipe {
            model: given.model.clone(),
            seed: written.seed.0,
            sequence: given.sequence.map(|sequence| sequence.0),
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
    let shares: Vec<f64> =
        given.iter().map(|profile| profile.share.map_or(1.0, |share| share.0)).collect();
    let total: f64 = shares.iter().sum();
    if total <= 0.0 {
        let what = "`fleet.profiles` has no share above 0: expected one at least";
        return Err(Error::Scenario(what.to_owned()));
    }
    let profiles = given.iter().enumerate();
    let profiles: Vec<Arc<Profile>> = profiles
        .map(|(index, given)| profile(index, given).map(Arc::new))
        .collect::<Result<_>>()?;
    let size = written.fleet.size.0 as usize;
    let mut dealt = vec![0_usize; given.len()];
    let mut devices = Vec::with_capacity(size);
    for number in 0..size {
        // The profile that is furthest behind its share is next.
        let debt = |index: usize| shares[index] / total * (number + 1) as f64 - dealt[index] as f64;
        let index = (0..given.len())
            .max_by(|one, other| debt(*one).total_cmp(&debt(*other)).then(other.cmp(one)))
            .unwrap_or(0);
        let faults = &given[index].faults;
        let rate = given[index].fault_rate.map_or(1.0, |rate| rate.0);
        let has_fault = Dice::new(written.seed.0).of(number as u64).on("has fault").happens(rate);
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

/// A serial number ends the name of a thing, which AWS IoT is particular about.
fn check_serials(serials: &str) -> Result<()> {
    let problem = |what: &str| {
        Err(Error::Scenario(format!("`fleet.serials` is `{serials}`: expected {what}")))
    };
    if !serials.contains("{n}") {
        return problem("`{n}` in it");
    }
    let longest = serials.replace("{n}", &LARGEST_FLEET.to_string());
    if longest.len() > LONGEST_SERIAL || longest.parse::<ThingName>().is_err() {
        return problem(&format!(
            "`{{n}}` and at most {LONGEST_SERIAL} of the characters a-z, A-Z, 0-9, `:`, `_` and `-`"
        ));
    }
    Ok(())
}

fn profile(index: usize, given: &WrittenProfile) -> Result<Profile> {
    let default = Profile::default();
    let problem = |what: String| Err(Error::Scenario(format!("`fleet.profiles[{index}].{what}")));
    if let Some(WrittenOffline { every, lasts }) = &given.offline
        && (every.0.is_zero() || lasts.0.is_zero())
    {
        return problem("offline` has a time of 0: expected times above 0".to_owned());
    }
    let slot_size = given.slot_size.map_or(default.slot_size, |size| size.0);
    if !(SMALLEST_SLOT..=LARGEST_IMAGE).contains(&slot_size) {
        return problem(format!(
            "slot_size` is {slot_size}: expected {SMALLEST_SLOT} to {LARGEST_IMAGE} bytes"
        ));
    }
    Ok(Profile {
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
        slot_size,
        same_version_is_success: given.same_version_is_success,
        reports_progress: given.reports_progress.unwrap_or(default.reports_progress),
        keeps_session: given.keeps_session,
        // At most 10,080.
        step_timeout_minutes: given.step_timeout_minutes.map(|minutes| minutes.0 as u32),
    })
}

/// Whether a file is an image of the simulator's, whose header holds the version.
fn says_its_version(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start))
        .map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
    Ok(start == MAGIC)
}

/// A version that comes after another one: the number at its end grows, or a number comes
/// to its end. What names a build is left out.
fn after(version: &str) -> String {
    let counted = version.split_once('+').map_or(version, |(counted, _)| counted);
    let start = counted.rfind(['.', '-', '~', '_', ':']).map_or(0, |mark| mark + 1);
    match counted[start..].parse::<u64>().ok().and_then(|number| number.checked_add(1)) {
        Some(number) => format!("{}{number}", &counted[..start]),
        None => format!("{counted}.1"),
    }
}

fn unnamed() -> String {
    "simulation".to_owned()
}

fn one() -> Whole<0, { u64::MAX }> {
    Whole(1)
}

fn number() -> String {
    "{n}".to_owned()
}

fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}

/// More devices than anybody has addresses for on one machine.
const LARGEST_FLEET: u64 = 1_000_000;

/// An image is in memory as a whole: 1 GiB.
const LARGEST_IMAGE: u64 = 1 << 30;

/// Enough for the image that a device comes with, whatever its model is called.
const SMALLEST_SLOT: u64 = 8192;

/// The name of a thing has 128 characters, and the fleet's name is among them.
const LONGEST_SERIAL: usize = 80;

/// The longest step timeout that AWS IoT takes, in minutes.
const LONGEST_STEP: u64 = 10_080;

#[cfg(test)]
mod tests;
