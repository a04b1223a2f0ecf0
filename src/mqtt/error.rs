//! What can go wrong between two ends that speak MQTT.
//!
//! A malformed packet is the peer's fault, so the message names the packet and
//! the rule; [`Error::reason_code`] gives the MQTT 5 code with which a server
//! says goodbye. Nothing in a message repeats a payload, a password or a key.

use crate::topic::Problem;
use crate::wire::ReasonCode;

/// The result of anything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a packet, a topic, a key or a connection was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A packet breaks the rules of MQTT; its sender can fix it.
    #[error("malformed {packet} packet: {reason}")]
    Malformed {
        /// The name of the packet, such as `PUBLISH`.
        packet: &'static str,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A packet is well formed, but may not be sent in this place.
    #[error("protocol error at {packet}: {reason}")]
    Protocol {
        /// The name of the packet, such as `PUBLISH`.
        packet: &'static str,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A packet is larger than its receiver takes.
    #[error("a packet of {size} bytes is too large: the maximum is {maximum}")]
    TooLarge {
        /// The size of the packet.
        size: usize,
        /// The largest size that is accepted.
        maximum: usize,
    },
    /// A CONNECT asks for a version of MQTT that is not spoken here.
    #[error("protocol `{name}` level {level} is not supported: expected MQTT 3.1.1 or 5")]
    UnsupportedVersion {
        /// The protocol name received; at most its first bytes.
        name: String,
        /// The protocol level received.
        level: u8,
    },
    /// A topic name or a topic filter breaks a rule.
    #[error("{kind} `{value}` is not valid: {problem}")]
    InvalidTopic {
        /// `topic name` or `topic filter`.
        kind: &'static str,
        /// The text received.
        value: String,
        /// The rule that it breaks.
        problem: Problem,
    },
    /// A packet that was to be sent cannot be written; a fault of this program.
    #[error("cannot write a {packet} packet: {reason}")]
    Unwritable {
        /// The name of the packet, such as `SUBACK`.
        packet: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate, key or setting of TLS cannot be used.
    #[error("cannot use {what}: {reason}")]
    Tls {
        /// What was given, such as `the private key`.
        what: &'static str,
        /// Why it cannot be used; never its contents.
        reason: String,
    },
    /// The connection broke.
    #[error("connection failed: {0}")]
    Io(#[from] std::io::Error),
}

impl Error {
    /// The code with which a server of MQTT 5 ends a connection for this reason.
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Error::Malformed { .. } => ReasonCode::MALFORMED_PACKET,
            Error::Protocol { .. } => ReasonCode::PROTOCOL_ERROR,
            Error::TooLarge { .. } => ReasonCode::PACKET_TOO_LARGE,
            Error::UnsupportedVersion { .. } => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            Error::InvalidTopic { kind: "topic filter", .. } => ReasonCode::TOPIC_FILTER_INVALID,
            Error::InvalidTopic { .. } => ReasonCode::TOPIC_NAME_INVALID,
            Error::Unwritable { .. } | Error::Tls { .. } | Error::Io(_) => {
                ReasonCode::UNSPECIFIED_ERROR
            }
        }
    }
}
