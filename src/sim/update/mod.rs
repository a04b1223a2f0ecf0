//! An update on a device, from the order to the acknowledged report: one enum of
//! states and the steps between them.
//!
//! No clock, no socket, no waiting: whoever drives it brings the bytes and the time.
//! Every step leaves the flash so that the power may fail at any write of it; after
//! the reset [`Updater::wake`] finds out from the two records where it was. A device
//! ends each job execution with one outcome, which is kept until the cloud has
//! acknowledged it.
//!
//! What is checked, in this order: before a byte is fetched, the document (expiry,
//! sequence, size, version, floor, and the signature over the declared digest); when
//! all bytes are there, the digest, the signature and the signed header (model,
//! version, length, expiry, sequence, base); at every boot, digest, signature and
//! floor again.

mod journal;
mod verify;

use iotstack_protocol::jobs::Sha256Digest;

pub use journal::JobKey;
pub(crate) use journal::{Finished, Journal, Work};

use crate::boot::{self, Booted};
use crate::flash::{Flash, FlashError, PAGE, Record, load, save};
use crate::order::Order;
use crate::outcome::{Outcome, Reason};
use crate::trust::Trust;

/// Where an update stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is nothing to do.
    Idle,
    /// The image is being fetched into the slot that does not run.
    Downloading {
        /// How many bytes are there.
        received: u64,
        /// How many there will be.
        size: u64,
    },
    /// The device must reset: another image is to run.
    Rebooting,
    /// The new image runs on trial.
    Testing,
    /// It is over, and the cloud does not know it yet.
    Ended(Outcome),
}

/// What a device goes by when it judges an order.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What kind of device it is.
    pub model: &'a str,
    /// What its clock says, in seconds since 1970.
    pub now: u64,
    /// Whom it believes.
    pub trust: &'a Trust,
    /// Whether an order for the running version is a success without any work.
    pub same_version_is_success: bool,
}

/// The update of one device.
pub struct Updater {
    journal: Journal,
    state: State,
    running: Booted,
    /// Bytes that do not fill a page yet; gone when the power fails.
    page: Vec<u8>,
}

/// After so many pages the journal says how far the download has come.
const PAGES_PER_CHECKPOINT: u64 = 16;

/// How often a download may begin again because the image changed underway.
const RESTARTS: u32 = 5;

impl Updater {
    /// Finds out where the update was when the device was reset.
    pub fn wake(flash: &mut Flash, running: Booted) -> Result<Self, FlashError> {
        let journal: Journal = load(flash, Record::Journal)?.unwrap_or_default();
        let mut updater = Updater { journal, state: State::Idle, running, page: Vec::new() };
        updater.state = updater.find_state(flash)?;
        if updater.state == State::Testing && !updater.is_ours(flash)? {
            updater.revert(flash, "the job that brought the image is gone")?;
        }
        if let State::Ended(outcome) = updater.state.clone() {
            updater.end(flash, outcome)?;
        }
        Ok(updater)
    }

    /// Where the update stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What runs.
    pub fn running(&self) -> &Booted {
        &self.running
    }

    /// The job execution that is being worked on.
    pub fn job(&self) -> Option<&JobKey> {
        self.journal.work.as_ref().map(|work| &work.key)
    }

    /// What is to be installed.
    pub fn order(&self) -> Option<&Order> {
        self.journal.work.as_ref().map(|work| &work.order)
    }

    /// How many bytes are in the slot, and the ETag of the image that they are from.
    pub fn resume_point(&self) -> (u64, Option<&str>) {
        let work = self.journal.work.as_ref();
        work.map_or((0, None), |work| (work.received, work.tag.as_deref()))
    }

    /// Takes on a job execution, or the same one again with a fresh document.
    ///
    /// An execution whose end is known is not done twice: its outcome is told again.
    pub fn accept(
        &mut self,
        flash: &mut Flash,
        key: JobKey,
        order: Result<Order, Outcome>,
        rules: &Rules<'_>,
    ) -> Result<&State, FlashError> {
        if let Some(Finished { key: last, outcome }) = &self.journal.last
            && *last == key
        {
            let outcome = outcome.clone();
            self.journal.work = Some(Work::ended(key, outcome.clone()));
            self.state = State::Ended(outcome);
            return Ok(&self.state);
        }
        if !matches!(self.state, State::Idle | State::Downloading { .. })
            && self.job().is_some_and(|job| *job != key)
        {
            // What has been begun comes to its end first.
            return Ok(&self.state);
        }
        match &mut self.journal.work {
            Some(work) if work.key == key => match (&self.state, order) {
                (State::Downloading { .. }, Ok(order)) if work.order.is_same_image(&order) => {
                    // Only the URL is new.
                    work.order = order;
                }
                (State::Downloading { .. }, order) => self.begin(flash, key, order, rules)?,
                _ => {}
            },
            _ => self.begin(flash, key, order, rules)?,
        }
        Ok(&self.state)
    }

    /// Bytes begin to arrive: those of the image with this ETag, from `at` on.
    ///
    /// Starts again from nothing, and says `false`, if they do not continue what is
    /// there: two images must never be spliced.
    pub fn start_body(
        &mut self,
        flash: &mut Flash,
        at: u64,
        tag: Option<&str>,
    ) -> Result<bool, FlashError> {
        self.page = Vec::new();
        let Some(work) = &mut self.journal.work else { return Ok(false) };
        // Without an ETag nobody can say that two parts are of one image.
        let continues =
            at == work.received && (at == 0 || (tag.is_some() && work.tag.as_deref() == tag));
        if !continues {
            self.restart(flash)?;
            if at != 0 {
                return Ok(false);
            }
        }
        let State::Downloading { received, .. } = self.state else { return Ok(false) };
        let Some(work) = &mut self.journal.work else { return Ok(false) };
        work.tag = tag.map(str::to_owned);
        if received > 0 {
            return Ok(true);
        }
        // Nothing of what is in the slot may be taken for an image from here on.
        let slot = self.running.slot.other();
        boot::forget(flash, slot)?;
        let erased = flash.erase_slot(slot);
        self.stored(flash, erased)?;
        Ok(matches!(self.state, State::Downloading { .. }))
    }

    /// Throws away what has arrived and begins again, a few times at most.
    pub fn restart(&mut self, flash: &mut Flash) -> Result<(), FlashError> {
        self.page = Vec::new();
        let Some(work) = &mut self.journal.work else { return Ok(()) };
        work.restarts += 1;
        work.received = 0;
        work.tag = None;
        let size = work.order.size;
        if work.restarts > RESTARTS {
            let detail = format!("the image changed {RESTARTS} times while it was downloaded");
            return self.end(flash, Outcome::new(Reason::Download, detail));
        }
        self.state = State::Downloading { received: 0, size };
        save(flash, Record::Journal, &self.journal)
    }

    /// Stores bytes that have arrived.
    ///
    /// More than were declared are not stored: the update ends.
    pub fn take(&mut self, flash: &mut Flash, mut bytes: &[u8]) -> Result<(), FlashError> {
        let State::Downloading { received, size } = self.state else { return Ok(()) };
        if received + self.page.len() as u64 + bytes.len() as u64 > size {
            let detail = format!("the server sends more than the {size} bytes declared");
            return self.end(flash, Outcome::new(Reason::Size, detail));
        }
        while !bytes.is_empty() && matches!(self.state, State::Downloading { .. }) {
            let room = (PAGE - self.page.len()).min(bytes.len());
            self.page.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            if self.page.len() == PAGE {
                self.write_page(flash)?;
            }
        }
        Ok(())
    }

    /// How many bytes have arrived, with those that are not in the slot yet.
    pub fn arrived(&self) -> u64 {
        match self.state {
            State::Downloading { received, .. } => received + self.page.len() as u64,
            _ => 0,
        }
    }

    /// All bytes have been sent: verifies them and puts the image on trial.
    pub fn complete(&mut self, flash: &mut Flash, rules: &Rules<'_>) -> Result<(), FlashError> {
        if !self.page.is_empty() {
            self.write_page(flash)?;
        }
        self.page = Vec::new();
        let State::Downloading { received, size } = self.state else { return Ok(()) };
        let Some(work) = self.journal.work.clone() else { return Ok(()) };
        if received < size {
            let detail = format!("the image ends after {received} of the {size} bytes declared");
            return self.end(flash, Outcome::new(Reason::Checksum, detail));
        }
        let slot = self.running.slot.other();
        let bytes = match flash.read_slot(slot, size) {
            Ok(bytes) => bytes,
            Err(error) => return self.stored(flash, Err(error)),
        };
        let floor = boot::read(flash)?.floor;
        let judged =
            verify::image(&bytes, &work, &self.running, &floor, self.journal.sequence, rules);
        match judged {
            Err(outcome) => self.end(flash, outcome),
            Ok(manifest) => {
                flash.share_slot(slot, manifest.sha256.0);
                boot::begin_trial(flash, slot, manifest)?;
                self.state = State::Rebooting;
                Ok(())
            }
        }
    }

    /// The new image has tested itself: it is the one that boots from now on.
    pub fn commit(&mut self, flash: &mut Flash) -> Result<(), FlashError> {
        if self.state != State::Testing {
            return Ok(());
        }
        boot::commit(flash)?;
        self.running.is_trial = false;
        self.note_sequence(flash)?;
        self.end(flash, accepted(&self.running))
    }

    /// The new image does not work: the one before it is to run again.
    pub fn revert(&mut self, flash: &mut Flash, why: &str) -> Result<(), FlashError> {
        boot::revert(flash, why)?;
        self.state = State::Rebooting;
        Ok(())
    }

    /// Ends the update with an outcome that was found outside.
    pub fn fail(&mut self, flash: &mut Flash, outcome: Outcome) -> Result<(), FlashError> {
        match self.state {
            State::Downloading { .. } => self.end(flash, outcome),
            _ => Ok(()),
        }
    }

    /// Forgets an outcome that was found with a wrong clock and that nobody has been told,
    /// so that the order can be judged again.
    pub fn reconsider(&mut self, flash: &mut Flash) -> Result<(), FlashError> {
        if !matches!(self.state, State::Ended(_)) {
            return Ok(());
        }
        self.journal.work = None;
        self.state = State::Idle;
        save(flash, Record::Journal, &self.journal)
    }

    /// Takes this for the sequence of the latest image that was installed, if it is later.
    pub(crate) fn remember_sequence(
        &mut self,
        flash: &mut Flash,
        sequence: u64,
    ) -> Result<(), FlashError> {
        self.journal.sequence = self.journal.sequence.max(sequence);
        save(flash, Record::Journal, &self.journal)
    }

    /// The cloud has acknowledged the report.
    pub fn reported(&mut self, flash: &mut Flash) -> Result<(), FlashError> {
        let State::Ended(outcome) = &self.state else { return Ok(()) };
        if let Some(work) = self.journal.work.take() {
            self.journal.last = Some(Finished { key: work.key, outcome: outcome.clone() });
        }
        self.state = State::Idle;
        save(flash, Record::Journal, &self.journal)
    }

    /// The execution is none of the device's business any more: it was cancelled, or
    /// has timed out. Whatever has been done for it is thrown away; an image that is
    /// on trial does not stay.
    pub fn abandon(&mut self, flash: &mut Flash) -> Result<(), FlashError> {
        self.page = Vec::new();
        let is_committed = matches!(&self.state, State::Ended(_) | State::Idle);
        self.journal.work = None;
        save(flash, Record::Journal, &self.journal)?;
        if self.running.is_trial {
            return self.revert(flash, "the job was cancelled before the image was committed");
        }
        if !is_committed {
            let forgotten = boot::forget(flash, self.running.slot.other());
            self.state = State::Idle;
            return forgotten;
        }
        self.state = State::Idle;
        Ok(())
    }

    fn find_state(&self, flash: &Flash) -> Result<State, FlashError> {
        let record = boot::read(flash)?;
        let Some(work) = &self.journal.work else {
            // An image on trial whose job has been abandoned must not stay.
            return Ok(if self.running.is_trial { State::Testing } else { State::Idle });
        };
        if let Some(outcome) = &work.outcome {
            return Ok(State::Ended(outcome.clone()));
        }
        if self.running.is_trial {
            return Ok(State::Testing);
        }
        if let Some(reverted) = &record.reverted
            && reverted.job.as_ref() == Some(&work.key)
        {
            return Ok(State::Ended(Outcome::new(Reason::RolledBack, reverted.why.clone())));
        }
        let running = record.slots[self.running.slot.index()].as_ref();
        if running.is_some_and(|manifest| manifest.job.as_ref() == Some(&work.key)) {
            // Committed, and the power failed before the journal knew.
            return Ok(State::Ended(accepted(&self.running)));
        }
        Ok(State::Downloading { received: work.received, size: work.order.size })
    }

    /// Whether the image on trial was brought by the job that is being worked on.
    fn is_ours(&self, flash: &Flash) -> Result<bool, FlashError> {
        let record = boot::read(flash)?;
        let manifest = record.slots[self.running.slot.index()].as_ref();
        let bringer = manifest.and_then(|manifest| manifest.job.as_ref());
        Ok(bringer.is_some() && bringer == self.job())
    }

    fn begin(
        &mut self,
        flash: &mut Flash,
        key: JobKey,
        order: Result<Order, Outcome>,
        rules: &Rules<'_>,
    ) -> Result<(), FlashError> {
        let order = match order {
            Ok(order) => order,
            Err(outcome) => {
                self.journal.work = Some(Work::ended(key, outcome.clone()));
                return self.end(flash, outcome);
            }
        };
        let floor = boot::read(flash)?.floor;
        let size = order.size;
        let judged = verify::order(
            &order,
            &self.running,
            &floor,
            self.journal.sequence,
            flash.capacity(),
            rules,
        );
        self.page = Vec::new();
        self.journal.work = Some(Work::new(key, order));
        if let Err(outcome) = judged {
            return self.end(flash, outcome);
        }
        self.state = State::Downloading { received: 0, size };
        save(flash, Record::Journal, &self.journal)
    }

    fn write_page(&mut self, flash: &mut Flash) -> Result<(), FlashError> {
        let State::Downloading { received, size } = self.state else { return Ok(()) };
        let page = std::mem::take(&mut self.page);
        let written = flash.write_slot(self.running.slot.other(), received, &page);
        let received = received + page.len() as u64;
        self.page = page;
        self.page.clear();
        self.stored(flash, written)?;
        if !matches!(self.state, State::Downloading { .. }) {
            return Ok(());
        }
        self.state = State::Downloading { received, size };
        if let Some(work) = &mut self.journal.work {
            work.received = received;
            if received.is_multiple_of(PAGES_PER_CHECKPOINT * PAGE as u64) {
                save(flash, Record::Journal, &self.journal)?;
            }
        }
        Ok(())
    }

    /// Ends the update if the flash failed in a way that leaves the device alive.
    fn stored(
        &mut self,
        flash: &mut Flash,
        result: Result<(), FlashError>,
    ) -> Result<(), FlashError> {
        match result {
            Ok(()) => Ok(()),
            Err(FlashError::PowerLost) => Err(FlashError::PowerLost),
            Err(error) => self.end(flash, Outcome::new(Reason::Storage, error.to_string())),
        }
    }

    fn end(&mut self, flash: &mut Flash, outcome: Outcome) -> Result<(), FlashError> {
        self.page = Vec::new();
        if let Some(work) = &mut self.journal.work {
            work.outcome = Some(outcome.clone());
        }
        self.state = State::Ended(outcome);
        save(flash, Record::Journal, &self.journal)
    }

    fn note_sequence(&mut self, flash: &Flash) -> Result<(), FlashError> {
        let record = boot::read(flash)?;
        let manifest = record.slots[self.running.slot.index()].as_ref();
        if let Some(sequence) = manifest.and_then(|manifest| manifest.sequence) {
            self.journal.sequence = self.journal.sequence.max(sequence);
        }
        Ok(())
    }
}

impl Work {
    fn new(key: JobKey, order: Order) -> Self {
        Work { key, order, received: 0, tag: None, restarts: 0, outcome: None }
    }

    /// An execution that ends before it begins.
    fn ended(key: JobKey, outcome: Outcome) -> Self {
        let order = Order {
            version: None,
            source: crate::order::Source::Url(String::new()),
            size: 0,
            sha256: None::<Sha256Digest>,
            claim: crate::trust::Claim::default(),
            expires: None,
            sequence: None,
        };
        Work { outcome: Some(outcome), ..Work::new(key, order) }
    }
}

fn accepted(running: &Booted) -> Outcome {
    Outcome::new(Reason::Accepted, format!("accepted v{}", running.version))
}

#[cfg(test)]
mod tests;
