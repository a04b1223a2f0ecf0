//! Packets to bytes and back.
//!
//! The codec is a library's; it is hidden here, together with the rules that it does
//! not keep. Reading gives an [`Error`] for whatever bytes come, and never panics:
//! [`fuzz`] is the way in for a fuzzer. A [`Reader`] owns no buffer while its
//! connection is idle, and a [`Writer`] puts many packets into one write.
//!
//! ```
//! use iotstack_mqtt::wire::{Packet, Publish, Version, LARGEST_PACKET, decode, encode};
//! let packet = Packet::Publish(Publish::new("lamp/state", "on"));
//! let mut bytes = bytes::BytesMut::new();
//! encode(&packet, Version::V311, LARGEST_PACKET, &mut bytes)?;
//! assert_eq!(decode(bytes, Version::V311)?, packet);
//! # Ok::<(), iotstack_mqtt::Error>(())
//! ```

mod check;
mod fuzzing;
mod packet;
mod reason;
mod stream;
mod v311;
mod v5;

use bytes::{BufMut, BytesMut};

pub use fuzzing::fuzz;
pub use packet::{
    Ack, AckProperties, Auth, ConnAck, ConnAckProperties, Connect, ConnectProperties, Disconnect,
    DisconnectProperties, Packet, PacketId, Publish, PublishProperties, QoS, RetainHandling,
    SubAck, Subscribe, Subscription, Unsubscribe, UserProperties, Version, Will,
};
pub use reason::ReasonCode;
pub use stream::{Reader, Writer};

use crate::{Error, Result};

/// Text that shares the memory of the packet it was read from.
pub type Text = bytestring::ByteString;

/// The largest packet that MQTT can describe, header included.
pub const LARGEST_PACKET: usize = 268_435_460;

/// Reads one whole packet.
///
/// `version` is the one of the connection; a CONNECT brings its own.
pub fn decode(frame: BytesMut, version: Version) -> Result<Packet> {
    let first = *frame.first().ok_or(EMPTY)?;
    let header = match frame_length(&frame)? {
        Some(frame_of) if frame_of.total() == frame.len() => frame_of.header,
        _ => {
            let packet = check::NAMES[usize::from(first >> 4)];
            return Err(Error::Malformed { packet, reason: "its length is not the one it tells" });
        }
    };
    match check::raw(first, &frame[header..], version)? {
        Version::V311 => v311::decode(first, header, frame),
        Version::V5 => v5::decode(first, header, frame),
    }
}

/// Writes `packet` behind what `out` holds already.
///
/// A packet of more than `maximum` bytes is refused with [`Error::TooLarge`], and
/// `out` is then as it was.
pub fn encode(packet: &Packet, version: Version, maximum: usize, out: &mut BytesMut) -> Result<()> {
    let before = out.len();
    let floor = size_at_least(packet);
    if floor > maximum.min(LARGEST_PACKET) {
        return Err(Error::TooLarge { size: floor, maximum: maximum.min(LARGEST_PACKET) });
    }
    let written = match packet {
        Packet::PingReq => {
            out.put_slice(&[0xC0, 0]);
            Ok(())
        }
        Packet::PingResp => {
            out.put_slice(&[0xD0, 0]);
            Ok(())
        }
        Packet::PubAck(ack) if ack.reason == ReasonCode::SUCCESS && ack.properties.is_none() => {
            out.put_slice(&[0x40, 2]);
            out.put_u16(ack.packet_id.get());
            Ok(())
        }
        _ => match version {
            Version::V311 => v311::encode(packet, out),
            Version::V5 => v5::encode(packet, out),
        },
    };
    let size = out.len() - before;
    let written = match written {
        Ok(()) if size > maximum => Err(Error::TooLarge { size, maximum }),
        written => written,
    };
    if written.is_err() {
        out.truncate(before);
    }
    written
}

/// The lengths of the packet that begins some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    header: usize,
    body: usize,
}

impl Frame {
    pub(crate) fn total(self) -> usize {
        self.header + self.body
    }
}

/// The lengths of the packet that begins `bytes`, once enough of them are there.
pub(crate) fn frame_length(bytes: &[u8]) -> Result<Option<Frame>> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let length = variable_length(rest, check::NAMES[usize::from(first >> 4)])?;
    Ok(length.map(|(count, body)| Frame { header: 1 + count, body }))
}

/// A length of one to four bytes: how many they are, and what they say. Nothing if
/// `bytes` ends before it does.
fn variable_length(bytes: &[u8], packet: &'static str) -> Result<Option<(usize, usize)>> {
    let mut length = 0usize;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 1, length)));
        }
    }
    if bytes.len() < 4 {
        return Ok(None);
    }
    Err(Error::Malformed { packet, reason: "a length has more than four bytes" })
}

/// The bytes that `packet` needs at least. The codec must never be given more
/// than the largest packet, because it counts on that.
fn size_at_least(packet: &Packet) -> usize {
    let user = |properties: &UserProperties| -> usize {
        properties.iter().map(|(name, value)| name.len() + value.len()).sum()
    };
    let publish = |properties: &Option<Box<PublishProperties>>| {
        properties.as_ref().map_or(0, |properties| user(&properties.user_properties))
    };
    match packet {
        Packet::Publish(message) => {
            2 + message.topic.len() + message.payload.len() + publish(&message.properties)
        }
        Packet::Connect(connect) => {
            let will = connect.will.as_ref();
            user(&connect.properties.user_properties)
                + will.map_or(0, |will| will.payload.len() + publish(&will.properties))
        }
        Packet::ConnAck(answer) => user(&answer.properties.user_properties),
        Packet::Subscribe(subscribe) => {
            subscribe.filters.iter().map(|each| each.filter.len()).sum::<usize>()
                + user(&subscribe.user_properties)
        }
        Packet::Unsubscribe(unsubscribe) => {
            unsubscribe.filters.iter().map(|filter| filter.len()).sum::<usize>()
                + user(&unsubscribe.user_properties)
        }
        Packet::SubAck(answer) | Packet::UnsubAck(answer) => answer.reasons.len(),
        _ => 0,
    }
}

const EMPTY: Error = Error::Malformed { packet: "control", reason: "it is empty" };

#[cfg(test)]
mod tests;
