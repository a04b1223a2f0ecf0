//! A simulation while it runs: what is going on, and one line of numbers.
//!
//! On a terminal the line stays in its place; in a pipe every phase is a line, and the
//! numbers are told at each tenth of the way.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use iotstack_protocol::JobExecutionStatus;
use iotstack_sim::{Did, Event, Observer};

use super::{style, tell};

/// Shows a simulation.
#[derive(Debug)]
pub struct Playing {
    began: Instant,
    size: usize,
    bar: Option<ProgressBar>,
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    phase: String,
    connected: HashSet<String>,
    started: usize,
    good: usize,
    bad: usize,
    /// The tenth that was told last, in a pipe.
    told: usize,
}

impl Playing {
    /// A simulation of so many devices.
    pub fn new(size: usize) -> Self {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            let plain = ProgressStyle::with_template("{spinner} {msg}");
            bar.set_style(plain.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Playing { began: Instant::now(), size, bar, numbers: Mutex::default() }
    }

    /// Tells of a step that is none of the devices'.
    pub fn phase(&self, words: &str) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.phase = words.to_owned();
        let line = format!("{:>6.1} s  {words}", self.began.elapsed().as_secs_f64());
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(style::faint(line))),
            None => tell(line),
        }
        self.show(&mut numbers);
    }

    /// Takes the line away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&self, numbers: &mut Numbers) {
        let size = self.size;
        let done = numbers.good + numbers.bad;
        let line = format!(
            "{} of {size} connected, {} updating, {} {}",
            numbers.connected.len(),
            numbers.started.saturating_sub(done),
            style::good(format!("{} succeeded", numbers.good)),
            match numbers.bad {
                0 => "0 failed".to_owned(),
                bad => style::bad(format!("{bad} failed")),
            },
        );
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {line}", numbers.phase)),
            None => {
                let tenth = done * 10 / size.max(1);
                if tenth > numbers.told {
                    numbers.told = tenth;
                    tell(format!("{:>6.1} s  {line}", self.began.elapsed().as_secs_f64()));
                }
            }
        }
    }
}

impl Observer for Playing {
    fn hear(&self, event: &Event<'_>) {
        let (thing, did) = match event {
            Event::Phase(words) => return self.phase(words),
            Event::Device { thing, did } => (thing, did),
            _ => return,
        };
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        match did {
            Did::Connect => {
                numbers.connected.insert((*thing).to_owned());
            }
            // A reset says no goodbye.
            Did::Disconnect { .. } | Did::Boot { .. } | Did::Die { .. } => {
                numbers.connected.remove(*thing);
            }
            Did::Start { .. } => numbers.started += 1,
            Did::End { outcome, .. } if outcome.status() == JobExecutionStatus::Succeeded => {
                numbers.good += 1
            }
            Did::End { .. } => numbers.bad += 1,
            _ => return,
        }
        self.show(&mut numbers);
    }
}
