//! How the broker behaves: as AWS IoT, or as the standard has it.
//!
//! The departures of AWS IoT from the MQTT standard are on unless
//! [`Settings::standard_mqtt`] turns all of them off together, which is meant for
//! interoperability suites and for nothing else. What would slow an honest test down (so
//! many messages per second) or keep out clients of this machine (a server name in the
//! handshake) is off unless it is asked for.

use std::time::Duration;

use iotstack_mqtt::topic::{Limits, Matching};
use iotstack_mqtt::wire::QoS;

use crate::limits;

/// How the broker behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Follows the standard where AWS IoT departs from it.
    pub standard_mqtt: bool,
    /// The number of messages per second, in and out, of one connection; what is
    /// above is discarded. AWS IoT allows 100. No limit if absent.
    pub publishes_per_second: Option<u32>,
    /// Lets a client id connect once per second, and a topic have one retained message
    /// per second, as AWS IoT does; what is above is refused.
    pub once_per_second: bool,
    /// Refuses clients that do not name the server they want in the TLS handshake (SNI).
    /// AWS IoT needs the name; whoever connects to an IP address cannot give one.
    pub needs_server_name: bool,
    /// How long a session outlives its connection: the value for MQTT 3.1.1, the
    /// most for MQTT 5. An hour, as in AWS IoT; at most seven days.
    pub session_expiry: Duration,
    /// Answers a subscription that no policy allows with the code 0x80 of MQTT 3.1.1
    /// instead of closing the connection.
    pub answers_refused_subscriptions: bool,
    /// How long a client may take for the TLS handshake and its CONNECT.
    pub greeting_time: Duration,
    /// The most connections at a time.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            standard_mqtt: false,
            publishes_per_second: None,
            once_per_second: false,
            needs_server_name: false,
            session_expiry: Duration::from_secs(3600),
            answers_refused_subscriptions: false,
            greeting_time: Duration::from_secs(20),
            connections: 500_000,
        }
    }
}

impl Settings {
    /// The same with the limits per second that AWS IoT sets for one client.
    #[must_use]
    pub fn with_aws_limits(self) -> Self {
        let publishes_per_second = Some(limits::PUBLISHES_PER_SECOND);
        Settings { publishes_per_second, once_per_second: true, ..self }
    }

    /// Whether the departures of AWS IoT hold.
    pub(crate) fn is_aws(&self) -> bool {
        !self.standard_mqtt
    }

    pub(crate) fn matching(&self) -> Matching {
        if self.standard_mqtt { Matching::Standard } else { Matching::Aws }
    }

    /// The highest QoS that is served.
    pub(crate) fn highest_qos(&self) -> QoS {
        if self.standard_mqtt { QoS::ExactlyOnce } else { QoS::AtLeastOnce }
    }

    pub(crate) fn topic_limits(&self) -> Limits {
        if self.standard_mqtt { Limits::STANDARD } else { Limits::AWS }
    }

    /// The longest that a session may outlive its connection, in seconds.
    pub(crate) fn longest_session(&self) -> u32 {
        let longest = self.session_expiry.min(LONGEST_SESSION);
        u32::try_from(longest.as_secs()).unwrap_or(u32::MAX)
    }
}

const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 3600);
