//! Simulated devices that provision themselves, update and sometimes fail.
//!
//! A device here is a real client of the wire: it connects over mutual TLS, claims
//! its certificate, keeps a shadow, runs its jobs and installs what they bring into a
//! simulated flash that keeps what a real one would keep. It is judged by the wire
//! alone, and runs against a local cloud, any AWS-compatible one and AWS alike.
//!
//! Invariants, absences above all: nothing of the local cloud and nothing of the
//! Jobs service is used in here; every decision comes from a seed; every failure can
//! be asked for; at any moment each device holds an image that may run.

mod boot;
mod cloud;
mod crew;
mod device;
mod dice;
mod download;
mod error;
mod fault;
mod flash;
mod fleet;
mod image;
mod jobs;
mod link;
mod observe;
mod order;
mod outcome;
mod private;
mod profile;
mod report;
mod run;
mod scenario;
mod signer;
mod target;
mod trust;
mod update;
mod version;

pub use boot::{BootError, Booted, TRIALS, boot};
pub use cloud::{Answer, Cloud, JobView, Rollout};
pub use crew::{Workers, work};
pub use device::{DeviceRecord, UpdateRecord};
pub use dice::Dice;
pub use error::{Error, Result};
pub use fault::{Expected, Fault};
pub use flash::{Flash, FlashError, PAGE, Shelf, Slot, Wear};
pub use fleet::{DevicePlan, Fleet, FleetOutcome, TimeSummary};
pub use image::{Behaviour, Header, Recipe, digest, read as read_image};
pub use iotstack_mqtt::client::Address;
pub use link::{Link, Offline};
pub use observe::{Counts, Did, Event, Observer, Silence};
pub use order::{Order, Source};
pub use outcome::{Outcome, Reason};
pub use profile::Profile;
pub use report::{Moment, Report};
pub use run::{run, run_with};
pub use scenario::{Expectation, Facts, Firmware, FirmwareImage, Scenario, Verdict};
pub use signer::Signer;
pub use target::{Claiming, KeyOrigin, KeyPair, Pace, Target};
pub use trust::{Claim, Trust};
pub use update::{JobKey, Rules, State, Updater};
pub use version::compare as compare_versions;
