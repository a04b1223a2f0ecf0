//! MQTT 3.1.1 and 5 as AWS IoT speaks them, for both ends of a connection.
//!
//! The local cloud's broker and the simulated devices share this crate and nothing
//! else, so a device is judged by the wire alone. [`wire`] turns packets into bytes
//! and back, [`topic`] knows topic names and filters, [`tls`] makes the settings of
//! mutual TLS from certificates and keys.
//!
//! Invariants, absences above all: bytes from outside never cause a panic; an idle
//! connection owns no buffer; no clock is read and no session is kept by `wire`,
//! `topic` and `tls`; no secret shows in a message, a log or Debug output.

mod error;

pub mod client;
pub mod tls;
pub mod topic;
pub mod wire;

pub use error::{Error, Result};
