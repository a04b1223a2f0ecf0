//! A simulation while it runs: what is going on, and one line of numbers.
//!
//! On a terminal the line stays in its place; in a pipe every phase is a line, and the
//! numbers are told at each tenth of the way: first of those that have come in, then of
//! those that have ended.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use iotstack_sim::{Counts, Event, Observer};

use super::{style, tell};

/// Shows a simulation.
#[derive(Debug)]
pub struct Playing {
    began: Instant,
    size: usize,
    bar: Option<ProgressBar>,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    phase: String,
    /// The step that was told last, in a pipe.
    told: u64,
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
        Playing { began: Instant::now(), size, bar, shown: Mutex::default() }
    }

    /// Tells of a step.
    pub fn phase(&self, words: &str) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).phase = words.to_owned();
        let line = format!("{:>6.1} s  {words}", self.began.elapsed().as_secs_f64());
        match &self.bar {
            Some(bar) => {
                bar.suspend(|| tell(style::faint(line)));
                bar.set_message(words.to_owned());
            }
            None => tell(line),
        }
    }

    /// Takes the line away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&self, counts: &Counts) {
        let size = self.size as u64;
        let (good, bad) = (counts.succeeded, counts.failed + counts.rejected);
        let line = format!(
            "{} of {size} connected, {} updating, {}, {}",
            counts.connected,
            counts.busy,
            style::good(format!("{good} succeeded")),
            match bad {
                0 => "0 failed".to_owned(),
                bad => style::bad(format!("{bad} failed")),
            },
        );
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {line}", shown.phase)),
            None => {
                let tenths = |devices: u64| devices * 10 / size.max(1);
                let step = tenths(counts.provisioned) + tenths(good + bad);
                if step > shown.told {
                    shown.told = step;
                    tell(format!("{:>6.1} s  {line}", self.began.elapsed().as_secs_f64()));
                }
            }
        }
    }
}

impl Observer for Playing {
    fn hear(&self, event: &Event<'_>) {
        match event {
            Event::Phase(words) => self.phase(words),
            Event::Numbers(counts) => self.show(counts),
            // Single devices are too many to be told of.
            _ => {}
        }
    }
}
