//! What a packet must keep before the codec reads it.
//!
//! The codec behind this module is lenient where the standard is not: it takes
//! reserved bits, a PINGREQ with a body, bytes after the end of a CONNECT,
//! wildcards in topic names and NUL in texts. Those rules are kept here, on the
//! raw bytes and on the texts that came out.

use super::{Text, Version, variable_length};
use crate::topic;
use crate::{Error, Result};

/// The kinds of packets, by the upper half of their first byte.
pub(super) const NAMES: [&str; 16] = [
    "reserved",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];

/// Judges the first byte, before the rest of a packet is there.
pub(super) fn first_byte(first: u8) -> Result<()> {
    let kind = first >> 4;
    let malformed = |reason| Err(Error::Malformed { packet: NAMES[usize::from(kind)], reason });
    match (kind, first & 0x0F) {
        (0, _) => malformed("packet type 0 is reserved"),
        (3, flags) if flags & 0b0110 == 0b0110 => malformed("qos 3 does not exist"),
        (3, flags) if flags & 0b1110 == 0b1000 => malformed("dup is set at qos 0"),
        (3, _) | (6 | 8 | 10, 0b0010) => Ok(()),
        (6 | 8 | 10, _) => malformed("its reserved flags are not 0010"),
        (_, 0) => Ok(()),
        _ => malformed("its reserved flags are not 0000"),
    }
}

/// Judges the raw packet and tells the version to read it with: the one of the
/// connection, or the one that a CONNECT asks for.
pub(super) fn raw(first: u8, body: &[u8], version: Version) -> Result<Version> {
    first_byte(first)?;
    let kind = first >> 4;
    let malformed = |reason| Err(Error::Malformed { packet: NAMES[usize::from(kind)], reason });
    match kind {
        1 => return connect(body),
        8 if version == Version::V311 => subscribe_v311(body)?,
        12 | 13 if !body.is_empty() => return malformed("it has a body"),
        14 if version == Version::V311 && !body.is_empty() => return malformed("it has a body"),
        15 if version == Version::V311 => return malformed("it does not exist in MQTT 3.1.1"),
        _ => {}
    }
    Ok(version)
}

/// Judges a text that a packet of the kind `packet` holds.
pub(super) fn text(packet: &'static str, text: &Text) -> Result<()> {
    if text.as_bytes().contains(&0) {
        return Err(Error::Malformed { packet, reason: "a text holds a NUL character" });
    }
    Ok(())
}

/// Judges a topic that messages are published to.
pub(super) fn topic_name(name: &Text) -> Result<()> {
    topic::name_syntax(name).map_err(|problem| Error::InvalidTopic {
        kind: "topic name",
        value: shortened(name),
        problem,
    })
}

/// Judges a topic filter.
pub(super) fn topic_filter(filter: &Text) -> Result<()> {
    topic::filter_syntax(filter).map_err(|problem| Error::InvalidTopic {
        kind: "topic filter",
        value: shortened(filter),
        problem,
    })
}

/// Walks through a CONNECT to its end, so that nothing may follow it.
fn connect(body: &[u8]) -> Result<Version> {
    let malformed = |reason| Error::Malformed { packet: "CONNECT", reason };
    let mut walk = Walk { rest: body, packet: "CONNECT" };
    let name = walk.block()?;
    let level = walk.byte()?;
    let version = match (name, level) {
        (b"MQTT", 4) => Version::V311,
        (b"MQTT", 5) => Version::V5,
        _ => {
            let name = String::from_utf8_lossy(&name[..name.len().min(16)]).into_owned();
            return Err(Error::UnsupportedVersion { name, level });
        }
    };
    let flags = walk.byte()?;
    let has = |bit: u8| flags & bit != 0;
    if has(0b0000_0001) {
        return Err(malformed("its reserved flag is set"));
    }
    if !has(0b0000_0100) && flags & 0b0011_1000 != 0 {
        return Err(malformed("will flags without a will"));
    }
    if flags & 0b0001_1000 == 0b0001_1000 {
        return Err(malformed("qos 3 does not exist"));
    }
    if version == Version::V311 && has(0b0100_0000) && !has(0b1000_0000) {
        return Err(malformed("a password without a user name"));
    }
    walk.take(2)?;
    if version == Version::V5 {
        walk.properties()?;
    }
    walk.block()?;
    if has(0b0000_0100) {
        if version == Version::V5 {
            walk.properties()?;
        }
        walk.block()?;
        walk.block()?;
    }
    for field in [0b1000_0000, 0b0100_0000] {
        if has(field) {
            walk.block()?;
        }
    }
    if !walk.rest.is_empty() {
        return Err(malformed("bytes follow its end"));
    }
    Ok(version)
}

/// The upper six bits beside each filter are reserved in 3.1.1.
fn subscribe_v311(body: &[u8]) -> Result<()> {
    let mut walk = Walk { rest: body, packet: "SUBSCRIBE" };
    walk.take(2)?;
    while !walk.rest.is_empty() {
        walk.block()?;
        if walk.byte()? & 0b1111_1100 != 0 {
            return Err(Error::Malformed { packet: "SUBSCRIBE", reason: "reserved bits are set" });
        }
    }
    Ok(())
}

/// A cursor over the raw bytes of a packet.
struct Walk<'a> {
    rest: &'a [u8],
    packet: &'static str,
}

impl<'a> Walk<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(Error::Malformed { packet: self.packet, reason: "it ends too early" });
        };
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A text or binary data behind its length.
    fn block(&mut self) -> Result<&'a [u8]> {
        let length = self.take(2)?;
        self.take(usize::from(u16::from_be_bytes([length[0], length[1]])))
    }

    fn properties(&mut self) -> Result<&'a [u8]> {
        // A length that has no end is longer than all that is there.
        let (count, length) = variable_length(self.rest, self.packet)?.unwrap_or((usize::MAX, 0));
        self.take(count)?;
        self.take(length)
    }
}

/// As much of a peer's text as an error message repeats.
fn shortened(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_default).collect()
}
