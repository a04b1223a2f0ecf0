//! What the firmware remembers about its update, over every reset.
//!
//! One record: which job execution is being worked on, how far it has come, how it
//! ended if nobody has acknowledged that yet, and which one was the last. What
//! became of an installed image is not in here but in the bootloader's record, so
//! that there is one truth about it.

use iotstack_protocol::JobId;
use serde::{Deserialize, Serialize};

use crate::order::Order;
use crate::outcome::Outcome;

/// One execution of a job on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobKey {
    /// The job.
    pub id: JobId,
    /// Which execution of it; a retry has a new number.
    pub execution: i64,
}

/// Everything that the firmware remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// What is being worked on.
    pub work: Option<Work>,
    /// The last execution whose end the cloud knows.
    pub last: Option<Finished>,
    /// The highest sequence that was ever committed.
    pub sequence: u64,
}

/// A job execution that is being worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub key: JobKey,
    pub order: Order,
    /// How many bytes are in the slot for certain.
    pub received: u64,
    /// The ETag of the bytes that are in the slot.
    pub tag: Option<String>,
    /// How often the download had to begin again.
    pub restarts: u32,
    /// How it ended, if it did and the cloud has not acknowledged it yet.
    pub outcome: Option<Outcome>,
}

/// A job execution that has ended, and the cloud knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub key: JobKey,
    pub outcome: Outcome,
}
