//! The flash of a simulated device: two image slots and two records that survive.
//!
//! Everything that a device remembers over a power cut goes through [`Flash`], write
//! by write, and every write is counted. So a test can cut the power at the first
//! write of an update, at the second, and so on to the last, with the write torn or
//! whole, and a user can have a full, read-only or worn-out flash.
//!
//! After a power cut nothing works until [`Flash::power_on`]. Wear levelling and the
//! limits of a real part's page sizes are not simulated.

mod medium;
mod record;

use std::path::Path;

use bytes::Bytes;

pub use medium::Shelf;
pub(crate) use record::{Record, load, save};

use crate::Result;
use medium::Medium;

/// The flash of one device.
pub struct Flash {
    medium: Medium,
    /// How many bytes a slot holds.
    capacity: u64,
    writes: u64,
    is_off: bool,
    wear: Option<Box<Wear>>,
}

/// What is wrong with a flash; nothing by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wear {
    /// The power fails at this write, counted from the moment this was set; 1 is the
    /// next one.
    pub cut_at_write: Option<u64>,
    /// The write at which the power fails is half done, instead of not at all.
    pub is_torn: bool,
    /// So many bytes of a slot can be written; then it is full.
    pub full_after: Option<u64>,
    /// Image slots cannot be written at all.
    pub is_read_only: bool,
    /// Writes to this page of a slot fail.
    pub bad_page: Option<u64>,
    /// Writes to a slot are done, but the flash does not confirm them.
    pub sync_fails: bool,
}

/// Why the flash did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlashError {
    /// The power is off.
    #[error("the power failed")]
    PowerLost,
    /// There is no room.
    #[error("the flash is full: the slot holds {capacity} bytes")]
    Full {
        /// How many bytes a slot holds.
        capacity: u64,
    },
    /// The slot cannot be written.
    #[error("the flash is read-only")]
    ReadOnly,
    /// The page cannot be written.
    #[error("page {page} of the flash is bad")]
    BadPage {
        /// The page, from 0.
        page: u64,
    },
    /// The write may or may not have been done.
    #[error("the flash does not confirm the write")]
    Unconfirmed,
    /// The file behind the flash cannot be used.
    #[error("the file of the flash fails: {0}")]
    Io(String),
}

/// One of the two places for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first one.
    A,
    /// The second one.
    B,
}

impl Slot {
    /// The other slot.
    pub fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// A part of the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    Slot(Slot),
    /// One of the two copies of a record.
    Copy(Record, usize),
}

pub(crate) const AREAS: usize = 6;

impl Area {
    const ALL: [Area; AREAS] = [
        Area::Slot(Slot::A),
        Area::Slot(Slot::B),
        Area::Copy(Record::Boot, 0),
        Area::Copy(Record::Boot, 1),
        Area::Copy(Record::Journal, 0),
        Area::Copy(Record::Journal, 1),
    ];

    fn index(self) -> usize {
        match self {
            Area::Slot(slot) => slot.index(),
            Area::Copy(record, copy) => 2 + 2 * record as usize + copy,
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Area::Slot(Slot::A) => "slot-a",
            Area::Slot(Slot::B) => "slot-b",
            Area::Copy(Record::Boot, 0) => "boot-0",
            Area::Copy(Record::Boot, _) => "boot-1",
            Area::Copy(Record::Journal, 0) => "journal-0",
            Area::Copy(Record::Journal, _) => "journal-1",
        }
    }
}

/// How many bytes are written at once.
pub const PAGE: usize = 4096;

impl Flash {
    /// A new flash in memory, with `capacity` bytes in each slot.
    pub fn in_memory(capacity: u64, shelf: Shelf) -> Self {
        Flash { medium: Medium::memory(shelf), capacity, writes: 0, is_off: false, wear: None }
    }

    /// The flash in a folder; a new one if nothing is there yet.
    pub fn in_folder(folder: &Path, capacity: u64) -> Result<Self> {
        Ok(Flash { medium: Medium::files(folder)?, capacity, writes: 0, is_off: false, wear: None })
    }

    /// Makes the flash fail as described; writes are counted from here on.
    pub fn wear(&mut self, wear: Wear) {
        self.writes = 0;
        self.wear = (wear != Wear::default()).then(|| Box::new(wear));
    }

    /// Takes back what [`Self::wear`] did.
    pub fn heal(&mut self) {
        self.wear = None;
    }

    /// Gives the device power again. A cut happens once.
    pub fn power_on(&mut self) {
        self.is_off = false;
        if let Some(wear) = &mut self.wear {
            wear.cut_at_write = None;
        }
    }

    /// Takes the power away from the device, now.
    pub fn power_off(&mut self) {
        self.is_off = true;
    }

    /// Whether the device has no power.
    pub fn is_off(&self) -> bool {
        self.is_off
    }

    /// How many writes there have been since the flash was opened or worn.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// How many bytes each slot holds.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The first `length` bytes of a slot, or as many as there are.
    pub(crate) fn read_slot(&self, slot: Slot, length: u64) -> Result<Bytes, FlashError> {
        let bytes = self.read(Area::Slot(slot))?;
        let length = bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(bytes.slice(..length))
    }

    /// Erases a slot.
    pub(crate) fn erase_slot(&mut self, slot: Slot) -> Result<(), FlashError> {
        let area = Area::Slot(slot);
        self.check_slot_writes(0, 0)?;
        let kept = self.medium.length(area).map_err(io)? / 2;
        // Erasing is a write like any other: cut in the middle, half of it is left.
        self.count(|medium| medium.truncate(area, kept))?;
        self.medium.truncate(area, 0).map_err(io)
    }

    /// Writes bytes into a slot.
    pub(crate) fn write_slot(
        &mut self,
        slot: Slot,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), FlashError> {
        self.check_slot_writes(offset, bytes.len() as u64)?;
        self.write(Area::Slot(slot), offset, bytes)?;
        match self.wear.as_deref() {
            Some(Wear { sync_fails: true, .. }) => Err(FlashError::Unconfirmed),
            _ => Ok(()),
        }
    }

    /// Says that a slot holds exactly the bytes with this digest.
    pub(crate) fn share_slot(&mut self, slot: Slot, digest: [u8; 32]) {
        self.medium.share(Area::Slot(slot), digest);
    }

    /// Puts an image into a slot at the factory, where nothing fails.
    pub(crate) fn place(&mut self, slot: Slot, image: Bytes) -> Result<(), FlashError> {
        self.medium.place(Area::Slot(slot), image).map_err(io)
    }

    /// Changes bytes of a slot behind the device's back, as an attacker would.
    pub fn tamper(&mut self, slot: Slot, offset: u64, bytes: &[u8]) {
        // An attack that fails is no attack; there is nobody to tell.
        let _ = self.medium.write(Area::Slot(slot), offset, bytes);
    }

    pub(crate) fn read(&self, area: Area) -> Result<Bytes, FlashError> {
        if self.is_off {
            return Err(FlashError::PowerLost);
        }
        self.medium.read(area).map_err(io)
    }

    /// Replaces the content of an area.
    pub(crate) fn replace(&mut self, area: Area, bytes: &[u8]) -> Result<(), FlashError> {
        self.write(area, 0, bytes)?;
        self.medium.truncate(area, bytes.len() as u64).map_err(io)
    }

    fn write(&mut self, area: Area, offset: u64, bytes: &[u8]) -> Result<(), FlashError> {
        self.count(|medium| medium.write(area, offset, &bytes[..bytes.len() / 2]))?;
        self.medium.write(area, offset, bytes).map_err(io)
    }

    /// Counts a write and fails if the power fails at it, with the write half done by
    /// `half` if the wear says so.
    fn count(
        &mut self,
        half: impl FnOnce(&mut Medium) -> std::io::Result<()>,
    ) -> Result<(), FlashError> {
        if self.is_off {
            return Err(FlashError::PowerLost);
        }
        self.writes += 1;
        let Some(wear) = self.wear.as_deref() else { return Ok(()) };
        if wear.cut_at_write != Some(self.writes) {
            return Ok(());
        }
        self.is_off = true;
        if wear.is_torn {
            half(&mut self.medium).map_err(io)?;
        }
        Err(FlashError::PowerLost)
    }

    fn check_slot_writes(&self, offset: u64, length: u64) -> Result<(), FlashError> {
        if self.is_off {
            return Err(FlashError::PowerLost);
        }
        let end = offset.saturating_add(length);
        let full = FlashError::Full { capacity: self.capacity };
        if end > self.capacity {
            return Err(full);
        }
        let Some(wear) = self.wear.as_deref() else { return Ok(()) };
        if wear.is_read_only {
            return Err(FlashError::ReadOnly);
        }
        if wear.full_after.is_some_and(|limit| end > limit) {
            return Err(full);
        }
        match wear.bad_page {
            Some(page)
                if length > 0
                    && (offset / PAGE as u64..=(end - 1) / PAGE as u64).contains(&page) =>
            {
                Err(FlashError::BadPage { page })
            }
            _ => Ok(()),
        }
    }
}

fn io(error: std::io::Error) -> FlashError {
    FlashError::Io(error.to_string())
}

#[cfg(test)]
mod tests;
