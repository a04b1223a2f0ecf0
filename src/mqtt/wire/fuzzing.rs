//! The way in for a fuzz target: arbitrary bytes through everything that reads packets.
//!
//! Besides that nothing panics it holds two promises: what was read can be written and
//! is then read as the same, and a stream gives the same packets however its bytes
//! arrive. Sockets and sessions are not in here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

use super::{LARGEST_PACKET, Packet, Reader, Version, decode, encode, frame_length};

/// Feeds arbitrary bytes through everything that reads packets.
///
/// It must return, whatever it is given.
pub fn fuzz(bytes: &[u8]) {
    for version in [Version::V311, Version::V5] {
        let mut good = Vec::new();
        let mut is_good = true;
        let mut rest = bytes;
        while let Ok(Some(frame)) = frame_length(rest) {
            let Some((packet, behind)) = rest.split_at_checked(frame.total()) else { break };
            match decode(BytesMut::from(packet), version) {
                Ok(packet) => {
                    comes_back(&packet, version);
                    if is_good {
                        good.push(packet);
                    }
                }
                Err(_) => is_good = false,
            }
            rest = behind;
        }
        assert!(streamed(bytes, version) == good, "the stream gives other packets: {good:?}");
    }
}

/// What was read can be written, and is then read as the same.
fn comes_back(packet: &Packet, version: Version) {
    let version = match packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    let mut again = BytesMut::new();
    let written = encode(packet, version, LARGEST_PACKET, &mut again);
    assert!(written.is_ok(), "{packet:?} cannot be written: {written:?}");
    let reread = decode(again, version);
    assert!(reread.is_ok_and(|reread| reread == *packet), "{packet:?} changed");
}

/// The packets before the first bad one, read from a stream.
fn streamed(bytes: &[u8], version: Version) -> Vec<Packet> {
    let mut reader = Reader::new();
    let mut stream = Pieces { rest: bytes, size: bytes.len() };
    let mut context = Context::from_waker(Waker::noop());
    let mut packets = Vec::new();
    // The stream is never pending, so every poll is ready.
    while let Poll::Ready(Ok(Some(packet))) =
        reader.poll_read(&mut context, Pin::new(&mut stream), version, LARGEST_PACKET)
    {
        packets.push(packet);
    }
    packets
}

/// A stream that gives its bytes in pieces of changing sizes.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.size = self.size % 61 * 7 + 1;
        let count = self.size.min(self.rest.len()).min(buffer.remaining());
        let (piece, rest) = self.rest.split_at(count);
        buffer.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}
