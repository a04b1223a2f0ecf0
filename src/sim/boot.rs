//! The bootloader: which image runs after a reset.
//!
//! It believes nothing that was found out before the reset. The image that is about
//! to run is hashed and its signature verified again, because somebody may have
//! changed it in between. A new image boots on trial, a few times at most; if it has
//! not been committed by then, the one before it runs again, for good. Versions
//! below the floor never run.
//!
//! All that it remembers is one record, so that a trial begins, a commit moves the
//! floor, or a rollback happens completely or not at all.

use iotstack_protocol::jobs::Sha256Digest;
use serde::{Deserialize, Serialize};

use crate::flash::{Flash, FlashError, Record, Slot, load, save};
use crate::image::{self, Behaviour};
use crate::trust::{Claim, Trust};
use crate::update::JobKey;
use crate::version::compare;

/// How often a new image may boot before it must have been committed.
pub const TRIALS: u8 = 3;

/// What the bootloader remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootRecord {
    /// The slot that boots unless there is a trial.
    pub active: Slot,
    /// A new image on trial.
    pub trial: Option<Trial>,
    /// The lowest version that may run.
    pub floor: String,
    /// What the slots hold; nothing for a slot that must not boot.
    pub slots: [Option<Manifest>; 2],
    /// The last image that did not pass its trial.
    pub reverted: Option<Reverted>,
}

/// A new image on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub slot: Slot,
    /// How often it may still be booted.
    pub left: u8,
}

/// An image that did not pass its trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reverted {
    /// The execution that had brought it.
    pub job: Option<JobKey>,
    pub why: String,
}

/// What is in a slot, as it was verified when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub version: String,
    pub size: u64,
    pub sha256: Sha256Digest,
    pub claim: Claim,
    /// The execution that brought it; none for the factory's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    #[serde(default, skip_serializing_if = "Behaviour::is_healthy")]
    pub behaviour: Behaviour,
}

/// What runs after a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booted {
    /// Where the image is.
    pub slot: Slot,
    /// Its version.
    pub version: String,
    /// What it does.
    pub behaviour: Behaviour,
    /// Whether it is on trial.
    pub is_trial: bool,
    /// The digest of the image.
    pub sha256: Sha256Digest,
}

/// Why nothing runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// The flash fails, or has no power.
    #[error(transparent)]
    Flash(#[from] FlashError),
    /// Neither slot holds an image that may run.
    #[error("neither slot holds an image that may run: {reason}")]
    NothingToBoot {
        /// What is wrong with them.
        reason: String,
    },
}

/// Puts the first image into a new device.
pub(crate) fn manufacture(
    flash: &mut Flash,
    image: bytes::Bytes,
    manifest: Manifest,
) -> Result<(), FlashError> {
    let digest = manifest.sha256.0;
    let record = BootRecord {
        active: Slot::A,
        trial: None,
        floor: manifest.version.clone(),
        slots: [Some(manifest), None],
        reverted: None,
    };
    flash.place(Slot::A, image)?;
    flash.share_slot(Slot::A, digest);
    save(flash, Record::Boot, &record)
}

/// Chooses the image that runs.
pub fn boot(flash: &mut Flash, trust: &Trust) -> Result<Booted, BootError> {
    let Some(mut record) = load::<BootRecord>(flash, Record::Boot)? else {
        return Err(BootError::NothingToBoot { reason: "there is no boot record".to_owned() });
    };
    if let Some(booted) = try_trial(flash, trust, &mut record)? {
        return Ok(booted);
    }
    let active = record.active;
    let mut reason = match check(flash, trust, &record, active)? {
        Ok(booted) => return Ok(booted),
        Err(reason) => format!("slot {active:?}: {reason}"),
    };
    // The image that should run has been damaged. The other one is better than none,
    // if it may run at all.
    let other = active.other();
    match check(flash, trust, &record, other)? {
        Ok(booted) => {
            record.active = other;
            record.slots[active.index()] = None;
            save(flash, Record::Boot, &record)?;
            Ok(booted)
        }
        Err(found) => {
            reason.push_str(&format!("; slot {other:?}: {found}"));
            Err(BootError::NothingToBoot { reason })
        }
    }
}

/// Puts the image of a slot on trial from the next reset on.
pub(crate) fn begin_trial(
    flash: &mut Flash,
    slot: Slot,
    manifest: Manifest,
) -> Result<(), FlashError> {
    let mut record = read(flash)?;
    record.slots[slot.index()] = Some(manifest);
    record.trial = Some(Trial { slot, left: TRIALS });
    record.reverted = None;
    save(flash, Record::Boot, &record)
}

/// Makes the image on trial the one that boots, and moves the floor up to it.
pub(crate) fn commit(flash: &mut Flash) -> Result<(), FlashError> {
    let mut record = read(flash)?;
    let Some(trial) = record.trial.take() else { return Ok(()) };
    record.active = trial.slot;
    if let Some(manifest) = &record.slots[trial.slot.index()]
        && compare(&manifest.version, &record.floor).is_gt()
    {
        record.floor = manifest.version.clone();
    }
    save(flash, Record::Boot, &record)
}

/// Ends the trial: the image before it runs from the next reset on.
pub(crate) fn revert(flash: &mut Flash, why: &str) -> Result<(), FlashError> {
    let mut record = read(flash)?;
    end_trial(&mut record, why);
    save(flash, Record::Boot, &record)
}

/// Forgets what a slot holds, before something else is written there.
pub(crate) fn forget(flash: &mut Flash, slot: Slot) -> Result<(), FlashError> {
    let mut record = read(flash)?;
    if record.slots[slot.index()].is_none() && record.trial.is_none() {
        return Ok(());
    }
    record.slots[slot.index()] = None;
    record.trial = None;
    save(flash, Record::Boot, &record)
}

/// What the bootloader remembers now.
pub(crate) fn read(flash: &Flash) -> Result<BootRecord, FlashError> {
    load(flash, Record::Boot)?.ok_or_else(|| FlashError::Io("there is no boot record".to_owned()))
}

/// Boots the image on trial, if there is one and it may still be tried.
fn try_trial(
    flash: &mut Flash,
    trust: &Trust,
    record: &mut BootRecord,
) -> Result<Option<Booted>, BootError> {
    let Some(trial) = &mut record.trial else { return Ok(None) };
    let slot = trial.slot;
    let why = if trial.left == 0 {
        "the new image was booted as often as allowed and was never committed".to_owned()
    } else {
        // Counted before it runs, so that an image that crashes cannot run for ever.
        trial.left -= 1;
        save(flash, Record::Boot, record)?;
        match check(flash, trust, record, slot)? {
            Ok(booted) => return Ok(Some(Booted { is_trial: true, ..booted })),
            Err(reason) => format!("the new image may not run: {reason}"),
        }
    };
    end_trial(record, &why);
    save(flash, Record::Boot, record)?;
    Ok(None)
}

fn end_trial(record: &mut BootRecord, why: &str) {
    let Some(trial) = record.trial.take() else { return };
    if let Some(manifest) = record.slots[trial.slot.index()].take() {
        record.reverted = Some(Reverted { job: manifest.job, why: why.to_owned() });
    }
}

/// Whether the image of a slot may run; if not, why.
fn check(
    flash: &Flash,
    trust: &Trust,
    record: &BootRecord,
    slot: Slot,
) -> Result<Result<Booted, String>, FlashError> {
    let Some(manifest) = &record.slots[slot.index()] else {
        return Ok(Err("it holds no image".to_owned()));
    };
    if compare(&manifest.version, &record.floor).is_lt() {
        let (found, floor) = (&manifest.version, &record.floor);
        return Ok(Err(format!("version {found} is below the floor {floor}")));
    }
    let bytes = flash.read_slot(slot, manifest.size)?;
    if image::digest(&bytes) != manifest.sha256 {
        return Ok(Err("its bytes have changed".to_owned()));
    }
    // A bootloader has no clock that it could trust, so the time that the signature
    // was made for is judged when the image is installed, and not again.
    if let Err(outcome) = trust.vouches(&manifest.sha256, &manifest.claim) {
        return Ok(Err(outcome.detail));
    }
    Ok(Ok(Booted {
        slot,
        version: manifest.version.clone(),
        behaviour: manifest.behaviour,
        is_trial: false,
        sha256: manifest.sha256,
    }))
}
