//! Faults on demand, for devices that must survive them.
//!
//! A device is tested against a server that does not answer. Which answers are
//! withheld is said for each client id, before or while it is connected. What AWS IoT does
//! not promise, that a message comes once and in its turn, is broken in the same way. A
//! server that ends the connection is [`Broker::kick`](crate::Broker::kick).

/// Which answers one client does not get, and which messages it gets twice or out of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Misbehaviour {
    /// No CONNACK: the connection stands and nothing comes.
    pub withholds_connack: bool,
    /// No PUBACK: the message is taken and not acknowledged.
    pub withholds_puback: bool,
    /// No SUBACK: the subscription is not made.
    pub withholds_suback: bool,
    /// No PINGRESP.
    pub withholds_pingresp: bool,
    /// Each message of QoS 1 comes twice, under two packet ids and without the DUP
    /// flag, as AWS IoT may send it.
    pub redelivers: bool,
    /// Each message of QoS 0 comes twice.
    pub repeats_qos0: bool,
    /// Of every two messages that wait for the client, the second comes first.
    pub swaps_neighbours: bool,
}

impl Misbehaviour {
    /// Whether the client is served as it should be.
    pub fn is_none(self) -> bool {
        self == Misbehaviour::default()
    }

    pub(crate) fn bits(self) -> u8 {
        u8::from(self.withholds_connack)
            | u8::from(self.withholds_puback) << 1
            | u8::from(self.withholds_suback) << 2
            | u8::from(self.withholds_pingresp) << 3
            | u8::from(self.redelivers) << 4
            | u8::from(self.repeats_qos0) << 5
            | u8::from(self.swaps_neighbours) << 6
    }

    pub(crate) fn of_bits(bits: u8) -> Self {
        Misbehaviour {
            withholds_connack: bits & 1 != 0,
            withholds_puback: bits & 2 != 0,
            withholds_suback: bits & 4 != 0,
            withholds_pingresp: bits & 8 != 0,
            redelivers: bits & 16 != 0,
            repeats_qos0: bits & 32 != 0,
            swaps_neighbours: bits & 64 != 0,
        }
    }
}
