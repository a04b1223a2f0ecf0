//! A fleet over several processes, when one process may not open files enough.
//!
//! The first process starts the others and tells each its part of the fleet, through a
//! pipe and never through arguments or the environment, because keys are among it. A
//! worker tells its numbers several times a second, what its devices ask for, and at
//! the end what became of them. One JSON text for each line, both ways. A worker ends
//! when the pipe to it does, so none outlives the run.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::device::Favour;
use crate::fault::Fault;
use crate::fleet::{DevicePlan, Fleet, FleetOutcome};
use crate::observe::{Counts, Observer, Silence};
use crate::profile::Profile;
use crate::target::Target;
use crate::{Error, Result};

/// How worker processes are started.
#[derive(Debug, Clone)]
pub struct Workers {
    /// The program; it must call [`work`] with its standard input and output.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// How many there are; with none all devices are in this process.
    pub processes: usize,
}

impl Workers {
    /// All devices are in this process.
    pub fn none() -> Self {
        Workers { program: PathBuf::new(), arguments: Vec::new(), processes: 0 }
    }
}

/// The devices of a run, wherever they are.
pub(crate) enum Crew {
    Here(Fleet),
    Spread(Spread),
}

impl Crew {
    pub(crate) fn start(
        plan: &[DevicePlan],
        mut target: Target,
        seed: u64,
        observer: Arc<dyn Observer>,
        workers: &Workers,
    ) -> Result<Self> {
        if workers.processes == 0 {
            return Fleet::start(plan, 0..plan.len(), target, seed, observer).map(Crew::Here);
        }
        if target.sources.is_empty() {
            target.sources = target.loopback_sources(plan.len());
        }
        Spread::start(plan, target, seed, workers).map(Crew::Spread)
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Crew::Here(fleet) => fleet.size(),
            Crew::Spread(spread) => spread.size,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        match self {
            Crew::Here(fleet) => fleet.counts(),
            Crew::Spread(spread) => spread.counts(),
        }
    }

    pub(crate) fn favour(&mut self) -> Option<Favour> {
        match self {
            Crew::Here(fleet) => fleet.favour(),
            Crew::Spread(spread) => spread.board().favours.pop_front(),
        }
    }

    pub(crate) fn cut(&self) {
        match self {
            Crew::Here(fleet) => fleet.cut(),
            Crew::Spread(spread) => spread.orders.send_modify(|orders| orders.cuts += 1),
        }
    }

    /// Fails if a worker has.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Crew::Here(_) => Ok(()),
            Crew::Spread(spread) => match spread.board().failure.take() {
                None => Ok(()),
                Some(reason) => Err(Error::Worker { reason }),
            },
        }
    }

    pub(crate) async fn stop(self) -> Result<FleetOutcome> {
        match self {
            Crew::Here(fleet) => Ok(fleet.stop().await),
            Crew::Spread(spread) => spread.stop().await,
        }
    }
}

/// A fleet that is spread over worker processes.
pub(crate) struct Spread {
    size: u64,
    board: Arc<Mutex<Board>>,
    orders: watch::Sender<Orders>,
    workers: JoinSet<()>,
}

/// What the workers have told.
#[derive(Default)]
struct Board {
    counts: Vec<Counts>,
    favours: VecDeque<Favour>,
    outcomes: Vec<FleetOutcome>,
    failure: Option<String>,
}

/// What the workers are told while they work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Orders {
    cuts: u32,
    is_over: bool,
}

/// The first line to a worker.
#[derive(Serialize, Deserialize)]
struct Part {
    first: usize,
    seed: u64,
    target: Target,
    profiles: Vec<Profile>,
    /// Serial number, which profile, fault.
    devices: Vec<(String, usize, Option<Fault>)>,
}

/// Every further line to a worker.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Cut,
    Stop,
}

/// A line of a worker.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Counts(Counts),
    Favour(Favour),
    Outcome(Box<FleetOutcome>),
    Failure(String),
}

impl Spread {
    fn start(
        plan: &[DevicePlan],
        mut target: Target,
        seed: u64,
        workers: &Workers,
    ) -> Result<Self> {
        let processes = workers.processes.min(plan.len()).max(1);
        target.pace.connects_per_second /= processes as f64;
        target.pace.claims_per_second /= processes as f64;
        let board = Arc::new(Mutex::new(Board {
            counts: vec![Counts::default(); processes],
            ..Board::default()
        }));
        let (orders, heard) = watch::channel(Orders::default());
        let mut spread = Spread { size: plan.len() as u64, board, orders, workers: JoinSet::new() };
        let each = plan.len().div_ceil(processes);
        for (index, devices) in plan.chunks(each).enumerate() {
            let part = part(devices, index * each, seed, &target);
            let mut command = Command::new(&workers.program);
            command
                .args(&workers.arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true);
            // Ctrl-C in a terminal is meant for this process, which ends the others by
            // their pipes when it has heard what became of their devices.
            #[cfg(unix)]
            command.process_group(0);
            let mut child =
                command.spawn().map_err(|error| Error::Worker { reason: error.to_string() })?;
            let Some(stdin) = child.stdin.take() else {
                return Err(Error::Worker { reason: "there is no pipe to it".to_owned() });
            };
            let (board, heard) = (spread.board.clone(), heard.clone());
            let line = line(&part)?;
            spread.workers.spawn(async move {
                let mut listening = pin!(listen(child, index, &board));
                // A worker that ends is noticed also while there is nothing to tell it.
                let ended = tokio::select! {
                    ended = &mut listening => ended,
                    () = tell(stdin, line, heard) => listening.await,
                };
                if let Err(reason) = ended {
                    lock(&board).failure.get_or_insert(reason);
                }
            });
        }
        Ok(spread)
    }

    fn counts(&self) -> Counts {
        self.board().counts.iter().fold(Counts::default(), |sum, counts| sum.plus(*counts))
    }

    fn board(&self) -> std::sync::MutexGuard<'_, Board> {
        lock(&self.board)
    }

    async fn stop(mut self) -> Result<FleetOutcome> {
        self.orders.send_modify(|orders| orders.is_over = true);
        while self.workers.join_next().await.is_some() {}
        let mut board = self.board();
        if let Some(reason) = board.failure.take() {
            return Err(Error::Worker { reason });
        }
        let mut whole = FleetOutcome::default();
        for outcome in board.outcomes.drain(..) {
            whole.merge(outcome);
        }
        Ok(whole)
    }
}

/// Plays the part of a fleet that comes from `input`, and tells of it on `output`: what
/// a worker process does.
pub async fn work(
    input: impl Read + Send + 'static,
    mut output: impl Write + Send + 'static,
) -> Result<()> {
    let (lines_in, mut lines) = mpsc::unbounded_channel();
    // Reading blocks, so it has a thread of its own, which ends with the process.
    std::thread::spawn(move || {
        for line in BufReader::new(input).lines() {
            if line.is_err() || lines_in.send(line.unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    let unreadable = |error: serde_json::Error| Error::Worker { reason: error.to_string() };
    let first = lines
        .recv()
        .await
        .ok_or_else(|| Error::Worker { reason: "nobody says what to play".to_owned() })?;
    let part: Part = serde_json::from_str(&first).map_err(unreadable)?;
    let plan = plan(&part);
    let started =
        Fleet::start_numbered(&plan, part.first, part.target, part.seed, Arc::new(Silence));
    let mut fleet = match started {
        Ok(fleet) => fleet,
        Err(error) => return say(&mut output, &Word::Failure(error.to_string())),
    };
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                say(&mut output, &Word::Counts(fleet.counts()))?;
                while let Some(favour) = fleet.favour() {
                    say(&mut output, &Word::Favour(favour))?;
                }
            }
            line = lines.recv() => match line.map(|line| serde_json::from_str(&line)) {
                Some(Ok(Order::Cut)) => fleet.cut(),
                Some(Ok(Order::Stop)) => break,
                Some(Err(error)) => return Err(unreadable(error)),
                // Whoever started this process is gone.
                None => return Ok(()),
            }
        }
    }
    let outcome = fleet.stop().await;
    say(&mut output, &Word::Outcome(Box::new(outcome)))
}

fn say(output: &mut impl Write, word: &Word) -> Result<()> {
    let line = line(word)?;
    output
        .write_all(&line)
        .and_then(|()| output.flush())
        .map_err(|error| Error::Worker { reason: error.to_string() })
}

fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line =
        serde_json::to_vec(value).map_err(|error| Error::Worker { reason: error.to_string() })?;
    line.push(b'\n');
    Ok(line)
}

/// Tells a worker its part and then whatever comes up. The pipe closes at the end.
async fn tell(mut pipe: ChildStdin, part: Vec<u8>, mut heard: watch::Receiver<Orders>) {
    // A worker that does not listen has ended, and that is noticed elsewhere.
    if pipe.write_all(&part).await.is_err() {
        return;
    }
    let mut cuts = 0;
    loop {
        let orders = *heard.borrow_and_update();
        let mut words = Vec::new();
        words.extend((cuts..orders.cuts).map(|_| Order::Cut));
        cuts = orders.cuts;
        words.extend(orders.is_over.then_some(Order::Stop));
        for word in words {
            let Ok(line) = line(&word) else { return };
            if pipe.write_all(&line).await.is_err() {
                return;
            }
        }
        if pipe.flush().await.is_err() || orders.is_over || heard.changed().await.is_err() {
            return;
        }
    }
}

/// Listens to a worker until it ends; fails if it ends without an outcome.
async fn listen(
    mut child: Child,
    index: usize,
    board: &Mutex<Board>,
) -> std::result::Result<(), String> {
    let Some(output) = child.stdout.take() else {
        return Err("there is no pipe from it".to_owned());
    };
    let mut lines = tokio::io::BufReader::new(output).lines();
    let mut has_ended = false;
    while let Some(line) = lines.next_line().await.map_err(|error| error.to_string())? {
        // Whatever else a program writes is not meant for us.
        if !line.starts_with('{') {
            continue;
        }
        let word: Word = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let mut board = lock(board);
        match word {
            Word::Counts(counts) => board.counts[index] = counts,
            Word::Favour(favour) => board.favours.push_back(favour),
            Word::Outcome(outcome) => {
                board.counts[index] = outcome.counts;
                board.outcomes.push(*outcome);
                has_ended = true;
            }
            Word::Failure(reason) => return Err(reason),
        }
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    match has_ended {
        true => Ok(()),
        false => Err(format!("it ended by itself: {status}")),
    }
}

fn part(devices: &[DevicePlan], first: usize, seed: u64, target: &Target) -> Part {
    let mut profiles: Vec<Profile> = Vec::new();
    let devices = devices
        .iter()
        .map(|device| {
            let known = profiles.iter().position(|profile| *profile == *device.profile);
            let index = known.unwrap_or_else(|| {
                profiles.push((*device.profile).clone());
                profiles.len() - 1
            });
            (device.serial.clone(), index, device.fault)
        })
        .collect();
    Part { first, seed, target: target.clone(), profiles, devices }
}

fn plan(part: &Part) -> Vec<DevicePlan> {
    let profiles: Vec<Arc<Profile>> = part.profiles.iter().cloned().map(Arc::new).collect();
    part.devices
        .iter()
        .filter_map(|(serial, profile, fault)| {
            let profile = profiles.get(*profile)?.clone();
            Some(DevicePlan { serial: serial.clone(), profile, fault: *fault })
        })
        .collect()
}

fn lock(board: &Mutex<Board>) -> std::sync::MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}
