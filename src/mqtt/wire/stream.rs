//! Packets over a stream of bytes, without a buffer per idle connection.
//!
//! Bytes are read into a scratch buffer that belongs to the thread, and a packet
//! that is there as a whole is decoded from it at once. Only what is left over,
//! a part of a packet or the packets behind the first one, is kept with the
//! connection until it is used. Each packet gets memory of its own size, so that
//! a message that is kept for long keeps nothing else alive.
//!
//! There is no timer in here: whoever reads decides how long to wait.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Frame, Packet, Version, check, decode, encode, frame_length};
use crate::{Error, Result};

/// Reads packets from a stream.
#[derive(Debug, Default)]
pub struct Reader {
    left_over: BytesMut,
}

impl Reader {
    /// A reader at the beginning of a stream.
    pub fn new() -> Self {
        Reader::default()
    }

    /// Whether bytes have been read that are not used yet.
    pub fn has_left_over(&self) -> bool {
        !self.left_over.is_empty()
    }

    /// Waits for the next packet; `None` when the peer has closed the stream
    /// between two packets.
    ///
    /// Nothing is lost when the future is dropped. A packet of more than `maximum`
    /// bytes is refused as soon as its length is known.
    pub async fn read<S>(
        &mut self,
        stream: &mut S,
        version: Version,
        maximum: usize,
    ) -> Result<Option<Packet>>
    where
        S: AsyncRead + Unpin,
    {
        poll_fn(|cx| self.poll_read(cx, Pin::new(stream), version, maximum)).await
    }

    /// The polled form of [`Reader::read`].
    pub fn poll_read<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut S>,
        version: Version,
        maximum: usize,
    ) -> Poll<Result<Option<Packet>>> {
        loop {
            if let Some(frame) = whole_frame(&self.left_over, maximum)? {
                let packet = own(&self.left_over[..frame.total()]);
                self.left_over.advance(frame.total());
                if self.left_over.is_empty() {
                    self.left_over = BytesMut::new();
                }
                return Poll::Ready(decode(packet, version).map(Some));
            }
            let mut scratch = SCRATCH.take().unwrap_or_else(|| vec![0; SCRATCH_SIZE].into());
            let polled = self.poll_scratch(cx, stream.as_mut(), &mut scratch, version, maximum);
            SCRATCH.set(Some(scratch));
            match ready!(polled)? {
                Progress::Packet(packet) => return Poll::Ready(Ok(Some(packet))),
                Progress::Bytes => {}
                Progress::End if self.left_over.is_empty() => return Poll::Ready(Ok(None)),
                Progress::End => {
                    let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Err(Error::Io(error)));
                }
            }
        }
    }

    fn poll_scratch<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        stream: Pin<&mut S>,
        scratch: &mut [u8],
        version: Version,
        maximum: usize,
    ) -> Poll<Result<Progress>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(stream.poll_read(cx, &mut buffer))?;
        let read = buffer.filled();
        if read.is_empty() {
            return Poll::Ready(Ok(Progress::End));
        }
        if self.left_over.is_empty()
            && let Some(frame) = whole_frame(read, maximum)?
        {
            let (packet, behind) = read.split_at(frame.total());
            if !behind.is_empty() {
                self.left_over.extend_from_slice(behind);
            }
            return Poll::Ready(decode(own(packet), version).map(Progress::Packet));
        }
        self.left_over.extend_from_slice(read);
        Poll::Ready(Ok(Progress::Bytes))
    }
}

/// Writes packets to a stream, many of them at a time.
#[derive(Debug, Default)]
pub struct Writer {
    waiting: BytesMut,
    packets: usize,
    unflushed: bool,
}

impl Writer {
    /// A writer at the beginning of a stream.
    pub fn new() -> Self {
        Writer::default()
    }

    /// Puts a packet behind those that wait to be written.
    ///
    /// Refuses a packet of more than `maximum` bytes.
    pub fn push(&mut self, packet: &Packet, version: Version, maximum: usize) -> Result<()> {
        if self.waiting.capacity() == 0 {
            self.waiting = SPARE.take().unwrap_or_default();
        }
        encode(packet, version, maximum, &mut self.waiting)?;
        self.packets += 1;
        Ok(())
    }

    /// Whether enough waits to be written at once: 64 packets, or 64 KiB.
    pub fn is_full(&self) -> bool {
        self.packets >= BATCH_PACKETS || self.waiting.len() >= BATCH_BYTES
    }

    /// Whether everything has been written.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.unflushed
    }

    /// Writes what waits. Nothing is lost when the future is dropped.
    pub async fn flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx, Pin::new(stream))).await
    }

    /// Writes `packet` and what waits before it.
    pub async fn write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        packet: &Packet,
        version: Version,
        maximum: usize,
    ) -> Result<()> {
        self.push(packet, version, maximum)?;
        Ok(self.flush(stream).await?)
    }

    /// The polled form of [`Writer::flush`].
    pub fn poll_flush<S: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut S>,
    ) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(stream.as_mut().poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
            self.unflushed = true;
        }
        self.packets = 0;
        if self.waiting.capacity() > 0 {
            let mut spare = std::mem::take(&mut self.waiting);
            spare.clear();
            SPARE.set((spare.capacity() <= BATCH_BYTES).then_some(spare));
        }
        if self.unflushed {
            ready!(stream.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

enum Progress {
    Packet(Packet),
    Bytes,
    End,
}

/// The packet that begins `bytes`, if all of it is there. Bytes that can be no packet
/// are refused before their end has come.
fn whole_frame(bytes: &[u8], maximum: usize) -> Result<Option<Frame>> {
    if let Some(first) = bytes.first() {
        check::first_byte(*first)?;
    }
    match frame_length(bytes)? {
        Some(frame) if frame.total() > maximum => {
            Err(Error::TooLarge { size: frame.total(), maximum })
        }
        Some(frame) if frame.total() <= bytes.len() => Ok(Some(frame)),
        _ => Ok(None),
    }
}

/// A packet in memory of its own. The codec asks for a few bytes more behind it,
/// which would cost a second allocation.
fn own(packet: &[u8]) -> BytesMut {
    let mut own = BytesMut::with_capacity(packet.len() + CODEC_RESERVE);
    own.extend_from_slice(packet);
    own
}

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

const SCRATCH_SIZE: usize = 16 * 1024;
const BATCH_PACKETS: usize = 64;
const BATCH_BYTES: usize = 64 * 1024;
const CODEC_RESERVE: usize = 8;
