//! Fetching an image: over HTTP(S) in a task of its own, or block by block over MQTT.
//!
//! The HTTP side runs beside the device, so that the device hears of a cancelled job
//! while bytes arrive; it exists only as long as there is something to fetch. What it
//! sends is bounded, and a slow link, a stall or a server that drips is ended by a
//! time limit and a minimum rate. Where to resume, and whether bytes belong together,
//! is decided by the update, not here.

mod stream;
mod web;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

pub(crate) use stream::{Block, StreamFetch};
pub(crate) use web::{Web, WebError};

use crate::fault::BodyFault;
use crate::link::Link;
use crate::outcome::{Outcome, Reason};

/// What a fetch tells, in the order in which it happens.
#[derive(Debug)]
pub(crate) enum Step {
    /// Bytes will come, from `at` on, of the image with this ETag.
    Begins { at: u64, tag: Option<String> },
    /// Some bytes.
    Bytes(Bytes),
    /// That was everything.
    Ends,
    /// The URL opens the object no longer; a fresh one must be asked for.
    UrlExpired,
    /// The connection broke; another attempt may go better.
    Lost(String),
    /// The image is not the one whose first part is there.
    Changed,
    /// There is no use in trying again.
    Fails(Outcome),
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    Url(String),
    /// Bytes that a fault has brought along.
    Here(Bytes),
}

/// What a device allows a download.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long nothing may come.
    pub stall: Duration,
    /// How many bytes must come in a second on average, after the first stall's time.
    pub minimum_rate: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { stall: Duration::from_secs(20), minimum_rate: 128 }
    }
}

/// One attempt to fetch an image.
pub(crate) struct Request {
    pub origin: Origin,
    pub at: u64,
    pub tag: Option<String>,
    /// How many bytes the image has.
    pub size: u64,
    pub limits: Limits,
    pub link: Link,
    pub fault: Option<BodyFault>,
}

/// A fetch that runs. Dropping it ends it.
pub(crate) struct Fetch {
    steps: mpsc::Receiver<Step>,
    task: JoinHandle<()>,
}

impl Fetch {
    pub(crate) fn start(web: Web, request: Request) -> Self {
        // A few chunks: the flash must not be outrun, and a fleet's memory is bounded.
        let (tell, steps) = mpsc::channel(4);
        let task = tokio::spawn(async move {
            let last = run(&web, request, &tell).await;
            // A device that has lost interest needs no answer.
            let _ = tell.send(last).await;
        });
        Fetch { steps, task }
    }

    /// Waits for the next step. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Step {
        self.steps.recv().await.unwrap_or_else(|| Step::Lost("the download ended".to_owned()))
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Fetches, and says how it ended.
async fn run(web: &Web, request: Request, tell: &mpsc::Sender<Step>) -> Step {
    tokio::time::sleep(request.link.latency).await;
    if let Some(BodyFault::UrlExpired) = request.fault {
        return Step::UrlExpired;
    }
    match &request.origin {
        Origin::Here(bytes) => {
            let at = request.at.min(bytes.len() as u64);
            let mut sender = Sender::new(&request, tell, at);
            if !sender.begin(at, Some("here".to_owned())).await {
                return Step::Lost(GONE.to_owned());
            }
            for chunk in bytes.slice(at as usize..).chunks(CHUNK) {
                if let Some(end) = sender.send(Bytes::copy_from_slice(chunk)).await {
                    return end;
                }
            }
            sender.end().await
        }
        Origin::Url(url) => fetch_url(web, url, &request, tell).await,
    }
}

async fn fetch_url(web: &Web, url: &str, request: &Request, tell: &mpsc::Sender<Step>) -> Step {
    let opening = web.get(url, request.at, request.tag.as_deref());
    let mut answer = match timeout(request.limits.stall, opening).await {
        Err(_) => return Step::Lost("the server did not answer in time".to_owned()),
        Ok(Err(WebError::Expired)) => return Step::UrlExpired,
        Ok(Err(WebError::Changed)) => return Step::Changed,
        Ok(Err(WebError::Lost(reason))) => return Step::Lost(reason),
        Ok(Err(WebError::Fails(outcome))) => return Step::Fails(outcome),
        Ok(Ok(answer)) => answer,
    };
    if let Some(length) = answer.length
        && answer.at + length > request.size
    {
        let detail =
            format!("the server has {} bytes, {} were declared", answer.at + length, request.size);
        return Step::Fails(Outcome::new(Reason::Size, detail));
    }
    let mut sender = Sender::new(request, tell, answer.at);
    if !sender.begin(answer.at, answer.tag.take()).await {
        return Step::Lost(GONE.to_owned());
    }
    loop {
        match timeout(request.limits.stall, answer.next()).await {
            Err(_) => return Step::Lost("nothing came for too long".to_owned()),
            Ok(None) => return sender.end().await,
            Ok(Some(Err(reason))) => return Step::Lost(reason),
            Ok(Some(Ok(bytes))) => {
                if let Some(end) = sender.send(bytes).await {
                    return end;
                }
            }
        }
    }
}

/// Hands bytes over at the speed of the link, and damages them if that is wanted.
struct Sender<'a> {
    request: &'a Request,
    tell: &'a mpsc::Sender<Step>,
    position: u64,
    began: Instant,
    first: u64,
    ready: Instant,
}

impl<'a> Sender<'a> {
    fn new(request: &'a Request, tell: &'a mpsc::Sender<Step>, position: u64) -> Self {
        let now = Instant::now();
        Sender { request, tell, position, began: now, first: position, ready: now }
    }

    async fn begin(&mut self, at: u64, tag: Option<String>) -> bool {
        let tag = match self.request.fault {
            Some(BodyFault::TagChanges) => Some(format!("changed-{at}")),
            _ => tag,
        };
        self.tell.send(Step::Begins { at, tag }).await.is_ok()
    }

    /// Hands over bytes; says how the fetch ends, if it ends here.
    async fn send(&mut self, bytes: Bytes) -> Option<Step> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = match self.request.fault {
                // What drips comes second by second, and not in one lump after a while.
                Some(BodyFault::Drips { bytes_per_second }) => bytes_per_second as usize,
                _ => CHUNK,
            };
            let room = rest.len().min(piece.clamp(1, CHUNK));
            let mut chunk = rest.split_to(room);
            let from = self.position;
            match self.request.fault {
                Some(BodyFault::FlipBit { at }) if (from..from + room as u64).contains(&at) => {
                    let mut damaged = chunk.to_vec();
                    damaged[(at - from) as usize] ^= 1;
                    chunk = damaged.into();
                }
                Some(BodyFault::Truncate { at }) if from + room as u64 > at => {
                    chunk.truncate(at.saturating_sub(from) as usize);
                    let _ = self.tell.send(Step::Bytes(chunk)).await;
                    return Some(Step::Ends);
                }
                Some(BodyFault::Breaks { at }) if from + room as u64 > at && from <= at => {
                    chunk.truncate((at - from) as usize);
                    let _ = self.tell.send(Step::Bytes(chunk)).await;
                    return Some(Step::Lost("the network is gone".to_owned()));
                }
                Some(BodyFault::Drips { bytes_per_second }) => {
                    self.wait(chunk.len(), bytes_per_second).await;
                }
                Some(BodyFault::Stalls { at }) if from + room as u64 > at => {
                    tokio::time::sleep(self.request.limits.stall).await;
                    return Some(Step::Lost("nothing came for too long".to_owned()));
                }
                _ => {}
            }
            if let Some(rate) = self.request.link.bytes_per_second {
                self.wait(chunk.len(), rate).await;
            }
            self.position += chunk.len() as u64;
            if self.tell.send(Step::Bytes(chunk)).await.is_err() {
                return Some(Step::Lost(GONE.to_owned()));
            }
            if self.is_too_slow() {
                return Some(Step::Lost("fewer bytes come than the minimum rate".to_owned()));
            }
        }
        None
    }

    async fn end(&mut self) -> Step {
        if let Some(BodyFault::Endless) = self.request.fault {
            loop {
                if let Some(end) = self.send(Bytes::from_static(&[0; CHUNK])).await {
                    return end;
                }
            }
        }
        Step::Ends
    }

    async fn wait(&mut self, bytes: usize, rate: u64) {
        let time = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        self.ready = self.ready.max(Instant::now()) + time;
        // No longer than it takes to be called a stall.
        let latest = Instant::now() + self.request.limits.stall;
        sleep_until(self.ready.min(latest)).await;
    }

    fn is_too_slow(&self) -> bool {
        let time = self.began.elapsed();
        if time < self.request.limits.stall {
            return false;
        }
        let least = self.request.limits.minimum_rate as f64 * time.as_secs_f64();
        ((self.position - self.first) as f64) < least
    }
}

const CHUNK: usize = 4096;
const GONE: &str = "the device is gone";
