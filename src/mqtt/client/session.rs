//! What a client remembers from one connection to the next.
//!
//! The messages of QoS 1 that the server has not acknowledged, in their order, and
//! the last packet id. For simulations a session can be made deaf to some packets,
//! as if the network had lost them.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use crate::wire::{Packet, PacketId, Publish};

/// What a client remembers from one connection to the next.
#[derive(Debug, Default)]
pub struct Session {
    last_id: u16,
    unacknowledged: VecDeque<Publish>,
    deafness: Option<Deafness>,
}

/// Packets that a client does not hear, as if the network had lost them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deafness {
    /// The packet's name in the standard, such as `PUBACK`.
    pub packet: &'static str,
    /// How many of them are lost.
    pub times: u32,
}

impl Session {
    /// Whether the server has acknowledged everything.
    pub fn is_settled(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Makes the client deaf to packets of one kind for some times.
    pub fn deafen(&mut self, deafness: Deafness) {
        self.deafness = Some(deafness);
    }

    /// Forgets the messages that the server has not acknowledged.
    pub fn forget(&mut self) {
        self.unacknowledged = VecDeque::new();
    }

    /// The messages that the server has not acknowledged, ready to be sent again.
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = Publish> {
        self.unacknowledged.iter().map(|message| Publish { dup: true, ..message.clone() })
    }

    pub(super) fn next_id(&mut self) -> PacketId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let Some(id) = NonZeroU16::new(self.last_id) else { continue };
            if self.unacknowledged.iter().all(|message| message.packet_id != Some(id)) {
                return id;
            }
        }
    }

    /// Keeps a message until it is acknowledged. The oldest gives way if there are
    /// more than any server takes, so that memory stays bounded.
    pub(super) fn keep(&mut self, message: Publish) {
        if self.unacknowledged.len() >= IN_FLIGHT {
            self.unacknowledged.pop_front();
        }
        self.unacknowledged.push_back(message);
    }

    pub(super) fn acknowledge(&mut self, id: PacketId) -> bool {
        let before = self.unacknowledged.len();
        self.unacknowledged.retain(|message| message.packet_id != Some(id));
        let was_awaited = self.unacknowledged.len() < before;
        if self.unacknowledged.is_empty() {
            // An idle client owns no buffer.
            self.unacknowledged = VecDeque::new();
        }
        was_awaited
    }

    pub(super) fn is_deaf_to(&mut self, packet: &Packet) -> bool {
        let Some(deafness) = &mut self.deafness else { return false };
        if deafness.packet != packet.name() {
            return false;
        }
        deafness.times = deafness.times.saturating_sub(1);
        if deafness.times == 0 {
            self.deafness = None;
        }
        true
    }
}

/// How many unacknowledged messages AWS IoT takes from one client.
const IN_FLIGHT: usize = 100;
