//! Reason codes: one number for what happened, in every acknowledgement.
//!
//! MQTT 5 has one table for all packets. MQTT 3.1.1 has its own few return codes
//! in CONNACK and SUBACK; reading and writing translate them, so that the code
//! above sees one table only. A CONNACK code of 3.1.1 that has no translation,
//! such as the 7 with which AWS IoT refuses the unauthorised, is kept as it is.

use std::fmt;

/// What happened, as MQTT 5 counts it. Codes from 0x80 are failures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonCode(pub u8);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $words:literal;)*) => {
        impl ReasonCode {
            $($(#[$doc])* pub const $name: ReasonCode = ReasonCode($value);)*

            /// The code in words, for messages and logs.
            pub fn words(self) -> &'static str {
                match self.0 {
                    $($value => $words,)*
                    _ => "unknown reason",
                }
            }
        }
    };
}

codes! {
    /// Done; also QoS 0 granted and a normal goodbye.
    SUCCESS = 0x00, "success";
    /// QoS 1 granted.
    GRANTED_QOS_1 = 0x01, "qos 1 granted";
    /// QoS 2 granted.
    GRANTED_QOS_2 = 0x02, "qos 2 granted";
    /// A goodbye that asks for the will to be published.
    DISCONNECT_WITH_WILL = 0x04, "disconnect with will message";
    /// The code in place of 5 with which AWS IoT refuses a CONNECT of MQTT 3.1.1.
    AWS_NOT_AUTHORIZED_V311 = 0x07, "not authorized";
    /// Accepted, but nobody listens.
    NO_MATCHING_SUBSCRIBERS = 0x10, "no matching subscribers";
    /// There was nothing to unsubscribe from.
    NO_SUBSCRIPTION_EXISTED = 0x11, "no subscription existed";
    /// Something failed that has no code of its own.
    UNSPECIFIED_ERROR = 0x80, "unspecified error";
    /// The packet could not be read.
    MALFORMED_PACKET = 0x81, "malformed packet";
    /// The packet may not be sent in this place.
    PROTOCOL_ERROR = 0x82, "protocol error";
    /// Valid, and not accepted here.
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83, "implementation specific error";
    /// The version of MQTT is not spoken here.
    UNSUPPORTED_PROTOCOL_VERSION = 0x84, "unsupported protocol version";
    /// The client id is not accepted.
    CLIENT_IDENTIFIER_NOT_VALID = 0x85, "client identifier not valid";
    /// User name or password are not accepted.
    BAD_USER_NAME_OR_PASSWORD = 0x86, "bad user name or password";
    /// No policy allows it.
    NOT_AUTHORIZED = 0x87, "not authorized";
    /// The server is not there.
    SERVER_UNAVAILABLE = 0x88, "server unavailable";
    /// The server has too much to do.
    SERVER_BUSY = 0x89, "server busy";
    /// The server goes away.
    SERVER_SHUTTING_DOWN = 0x8B, "server shutting down";
    /// The authentication method is not known.
    BAD_AUTHENTICATION_METHOD = 0x8C, "bad authentication method";
    /// Nothing was heard for one and a half keep-alive intervals.
    KEEP_ALIVE_TIMEOUT = 0x8D, "keep alive timeout";
    /// Another connection uses the same client id.
    SESSION_TAKEN_OVER = 0x8E, "session taken over";
    /// The topic filter is well formed, and not accepted here.
    TOPIC_FILTER_INVALID = 0x8F, "topic filter invalid";
    /// The topic name is well formed, and not accepted here.
    TOPIC_NAME_INVALID = 0x90, "topic name invalid";
    /// The packet identifier is in use.
    PACKET_IDENTIFIER_IN_USE = 0x91, "packet identifier in use";
    /// The packet identifier is not known.
    PACKET_IDENTIFIER_NOT_FOUND = 0x92, "packet identifier not found";
    /// More unacknowledged messages than were agreed on.
    RECEIVE_MAXIMUM_EXCEEDED = 0x93, "receive maximum exceeded";
    /// The topic alias is not known or too large.
    TOPIC_ALIAS_INVALID = 0x94, "topic alias invalid";
    /// The packet is larger than was agreed on.
    PACKET_TOO_LARGE = 0x95, "packet too large";
    /// Too many messages in a second.
    MESSAGE_RATE_TOO_HIGH = 0x96, "message rate too high";
    /// A limit has been reached.
    QUOTA_EXCEEDED = 0x97, "quota exceeded";
    /// Somebody with the right to do so closed the connection.
    ADMINISTRATIVE_ACTION = 0x98, "administrative action";
    /// The payload is not what its format says.
    PAYLOAD_FORMAT_INVALID = 0x99, "payload format invalid";
    /// Retained messages are not served.
    RETAIN_NOT_SUPPORTED = 0x9A, "retain not supported";
    /// The QoS is not served.
    QOS_NOT_SUPPORTED = 0x9B, "qos not supported";
    /// Shared subscriptions are not served, or not in this form.
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E, "shared subscriptions not supported";
    /// Too many connections in a second.
    CONNECTION_RATE_EXCEEDED = 0x9F, "connection rate exceeded";
    /// The connection has been open for as long as is allowed.
    MAXIMUM_CONNECT_TIME = 0xA0, "maximum connect time";
    /// Subscription identifiers are not served.
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1, "subscription identifiers not supported";
    /// Wildcards in filters are not served.
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2, "wildcard subscriptions not supported";
}

impl ReasonCode {
    /// Whether the code tells of a failure.
    pub fn is_failure(self) -> bool {
        self.0 >= 0x80
    }

    /// The return code of a CONNACK of MQTT 3.1.1.
    pub(super) fn to_v311_connack(self) -> u8 {
        match self.0 {
            code @ 0..0x80 => code,
            0x84 => 1,
            0x85 => 2,
            0x86 => 4,
            0x87 | 0x8A | 0x8C => 5,
            _ => 3,
        }
    }

    /// What a return code of a CONNACK of MQTT 3.1.1 means.
    pub(super) fn from_v311_connack(code: u8) -> Self {
        match code {
            1 => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            2 => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            3 => ReasonCode::SERVER_UNAVAILABLE,
            4 => ReasonCode::BAD_USER_NAME_OR_PASSWORD,
            5 => ReasonCode::NOT_AUTHORIZED,
            code => ReasonCode(code),
        }
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X} ({})", self.0, self.words())
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
