//! What a device and the cloud say to each other, as plain data.
//!
//! The contract of an over-the-air update: the names that AWS IoT accepts, the
//! reserved topics, the job document a device receives, the settings of a job,
//! the signature file that AWS Signer writes, and the events that AWS IoT
//! publishes about jobs. Whoever describes infrastructure, serves it or
//! simulates a device shares these types, so that none of them can disagree.
//!
//! Invariants, absences above all: no sockets, no clock, no randomness, no MQTT
//! packets, no cryptography. A value of a type in here has been checked against
//! the limits of AWS IoT; inside the house no one checks it again.
//!
//! ```
//! use iotstack_protocol::{ThingName, topic::ThingTopics};
//!
//! let thing: ThingName = "lamp-1".parse()?;
//! assert_eq!(
//!     ThingTopics::of(&thing).jobs_notify_next().as_str(),
//!     "$aws/things/lamp-1/jobs/notify-next",
//! );
//! # Ok::<(), iotstack_protocol::Error>(())
//! ```

mod error;
mod word;

pub mod event;
pub mod jobs;
pub mod name;
pub mod placeholder;
pub mod signing;
pub mod status;
pub mod text;
pub mod topic;

pub use error::{Error, Problem, Result};
pub use event::EventType;
pub use jobs::{JobDocument, JobSettings};
pub use name::{
    BillingGroupName, CertificateName, FirmwareVersion, JobId, SigningProfileName, ThingGroupName,
    ThingName, ThingTypeName,
};
pub use placeholder::ObjectVersion;
pub use signing::DetachedSignature;
pub use status::{JobExecutionStatus, JobStatus, TargetSelection};
pub use topic::{TopicFilter, TopicName};
