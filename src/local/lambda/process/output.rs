//! What a process writes to its outputs, line by line into its log, between the
//! lines with which the platform frames every invocation.
//!
//! A task reads both outputs all the time, so that no process blocks on a full
//! pipe. Lines are bounded in length, and what is read at a time in size.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iotstack_local_kernel::{Clock, Timestamp, ports::LogStreams};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::{mpsc, oneshot};

/// Where lines go.
pub(crate) struct LogTarget {
    pub(crate) group: String,
    pub(crate) stream: String,
    /// Whether the platform's lines are JSON.
    pub(crate) json: bool,
    pub(crate) clock: Clock,
    /// Nobody, in a cloud without logs.
    pub(crate) logs: Option<Arc<dyn LogStreams>>,
}

/// How an invocation went.
pub(crate) struct Report {
    pub(crate) request_id: String,
    pub(crate) duration: Duration,
    pub(crate) init: Option<Duration>,
    pub(crate) memory_megabytes: u32,
    pub(crate) used_megabytes: Option<u64>,
    /// What ended the process, if something did.
    pub(crate) error: Option<String>,
}

/// The log of a process.
pub(super) struct Output(mpsc::Sender<Mark>);

enum Mark {
    Begin { request_id: String, version: String },
    End { report: Report, tail: oneshot::Sender<String> },
}

impl Output {
    /// Reads both outputs until they are closed.
    pub(super) fn pump(
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        target: LogTarget,
    ) -> Self {
        let (sender, marks) = mpsc::channel(8);
        tokio::spawn(run(stdout, stderr, marks, Log { target, tail: String::new() }));
        Output(sender)
    }

    pub(super) async fn begin(&self, request_id: &str, version: &str) {
        let mark = Mark::Begin { request_id: request_id.to_owned(), version: version.to_owned() };
        // Without a reader there is no log, which hinders nobody.
        let _ = self.0.send(mark).await;
    }

    /// Ends an invocation; waits for the end of the log only if it is wanted.
    pub(super) async fn end(&self, report: Report, wanted: bool) -> Option<String> {
        let (tail, found) = oneshot::channel();
        self.0.send(Mark::End { report, tail }).await.ok()?;
        if wanted { found.await.ok() } else { None }
    }
}

async fn run(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    mut marks: mpsc::Receiver<Mark>,
    mut log: Log,
) {
    let (mut out, mut err) = (Reader::new(stdout), Reader::new(stderr));
    loop {
        tokio::select! {
            biased;
            found = out.read() => log.take(&mut out, found),
            found = err.read() => log.take(&mut err, found),
            mark = marks.recv() => match mark {
                Some(Mark::Begin { request_id, version }) => log.begin(&request_id, &version),
                Some(Mark::End { report, tail }) => {
                    // The process has written its lines before it answered; the
                    // pipes may bring them a moment later.
                    let rest = async {
                        loop {
                            tokio::select! {
                                biased;
                                found = out.read() => log.take(&mut out, found),
                                found = err.read() => log.take(&mut err, found),
                                else => return,
                            }
                            if out.stream.is_none() && err.stream.is_none() {
                                return;
                            }
                        }
                    };
                    let _ = tokio::time::timeout(LATE_LINES, rest).await;
                    log.flush(&mut out);
                    log.flush(&mut err);
                    log.end(&report);
                    let _ = tail.send(log.last_part());
                }
                None => break,
            },
        }
    }
    // The process is ended; what it wrote last still counts.
    let rest = async {
        while out.stream.is_some() || err.stream.is_some() {
            tokio::select! {
                found = out.read() => log.take(&mut out, found),
                found = err.read() => log.take(&mut err, found),
            }
        }
    };
    let _ = tokio::time::timeout(LATE_LINES, rest).await;
    log.flush(&mut out);
    log.flush(&mut err);
}

struct Log {
    target: LogTarget,
    tail: String,
}

impl Log {
    fn begin(&mut self, request_id: &str, version: &str) {
        self.tail.clear();
        let line = if self.target.json {
            let record = json!({"requestId": request_id, "version": version});
            self.platform("platform.start", &record)
        } else {
            format!("START RequestId: {request_id} Version: {version}")
        };
        self.write(vec![line]);
    }

    fn end(&mut self, report: &Report) {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let id = &report.request_id;
        let (duration, billed) =
            (milliseconds(report.duration), milliseconds(report.duration).ceil());
        if self.target.json {
            let mut metrics = json!({
                "durationMs": duration,
                "billedDurationMs": billed,
                "memorySizeMB": report.memory_megabytes,
                "maxMemoryUsedMB": report.used_megabytes,
            });
            if let Some(init) = report.init {
                metrics["initDurationMs"] = json!(milliseconds(init));
            }
            let status = if report.error.is_some() { "error" } else { "success" };
            let record = json!({"requestId": id, "status": status, "metrics": metrics});
            let line = self.platform("platform.report", &record);
            self.write(vec![line]);
            return;
        }
        let mut lines: Vec<String> = report.error.iter().cloned().collect();
        lines.push(format!("END RequestId: {id}"));
        let mut last = format!(
            "REPORT RequestId: {id}\tDuration: {duration:.2} ms\tBilled Duration: {billed:.0} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            report.memory_megabytes,
            report.used_megabytes.unwrap_or(0),
        );
        if let Some(init) = report.init {
            last.push_str(&format!("Init Duration: {:.2} ms\t", milliseconds(init)));
        }
        lines.push(last);
        self.write(lines);
    }

    fn platform(&self, kind: &str, record: &serde_json::Value) -> String {
        let time = self.target.clock.now().iso8601();
        json!({"time": time, "type": kind, "record": record}).to_string()
    }

    fn take<R>(&mut self, reader: &mut Reader<R>, found: usize) {
        if found == 0 {
            reader.stream = None;
        }
        let lines = reader.lines();
        self.write(lines);
    }

    /// Writes what has no line end yet.
    fn flush<R>(&mut self, reader: &mut Reader<R>) {
        if !reader.pending.is_empty() {
            let line = text(&std::mem::take(&mut reader.pending));
            self.write(vec![line]);
        }
    }

    fn write(&mut self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let now = self.target.clock.now();
        for line in &lines {
            self.tail.push_str(line);
            self.tail.push('\n');
        }
        if self.tail.len() > 2 * TAIL {
            self.tail = self.last_bytes().to_owned();
        }
        if let Some(logs) = &self.target.logs {
            let lines: Vec<(Timestamp, String)> =
                lines.into_iter().map(|line| (now, line)).collect();
            logs.write(&self.target.group, &self.target.stream, &lines);
        }
    }

    fn last_part(&self) -> String {
        STANDARD.encode(self.last_bytes())
    }

    fn last_bytes(&self) -> &str {
        let mut start = self.tail.len().saturating_sub(TAIL);
        while !self.tail.is_char_boundary(start) {
            start += 1;
        }
        &self.tail[start..]
    }
}

/// One output, cut into lines.
struct Reader<R> {
    stream: Option<R>,
    buffer: Box<[u8]>,
    pending: Vec<u8>,
    fresh: usize,
}

impl<R> Reader<R> {
    fn new(stream: Option<R>) -> Self {
        Reader { stream, buffer: vec![0; 8192].into(), pending: Vec::new(), fresh: 0 }
    }

    /// The complete lines of what was read.
    fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in &self.buffer[..std::mem::take(&mut self.fresh)] {
            if *byte == b'\n' || self.pending.len() >= LONGEST_LINE {
                lines.push(text(&std::mem::take(&mut self.pending)));
            }
            if *byte != b'\n' {
                self.pending.push(*byte);
            }
        }
        lines
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads some bytes; waits for ever on an output that is closed.
    async fn read(&mut self) -> usize {
        let Some(stream) = &mut self.stream else { return std::future::pending().await };
        self.fresh = stream.read(&mut self.buffer).await.unwrap_or(0);
        self.fresh
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\r').to_owned()
}

/// What CloudWatch Logs takes as one event.
const LONGEST_LINE: usize = 256 * 1024;

/// How much of the log an invocation brings along.
const TAIL: usize = 4096;

/// How long lines may follow an answer.
const LATE_LINES: Duration = Duration::from_millis(5);
