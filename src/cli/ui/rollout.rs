//! A rollout while it runs: one bar of all executions, coloured by what became of them.
//!
//! On a terminal the bar stays in its place; in a pipe there is a line whenever a count
//! changes, so that a log shows the course and not the clock.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use super::{style, tell};

/// Shows one job.
#[derive(Debug)]
pub struct Rollout {
    job_id: String,
    bar: Option<ProgressBar>,
    last: Mutex<String>,
}

impl Rollout {
    /// Nothing is shown yet.
    pub fn new(job_id: &str) -> Self {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            let plain = ProgressStyle::with_template("{msg}");
            bar.set_style(plain.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Rollout { job_id: job_id.to_owned(), bar, last: Mutex::default() }
    }

    /// Shows the counts of executions by state.
    pub fn show(&self, status: &str, executions: &BTreeMap<String, u64>) {
        let text = format!("{} {status} {}", self.job_id, line(executions));
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                if *last != text {
                    tell(&text);
                    *last = text;
                }
            }
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar of forty cells and the counts behind it.
fn line(executions: &BTreeMap<String, u64>) -> String {
    let count = |state: &str| executions.get(state).copied().unwrap_or(0);
    let good = count("SUCCEEDED");
    let bad = ["FAILED", "TIMED_OUT", "REJECTED"].iter().map(|state| count(state)).sum::<u64>();
    let running = count("IN_PROGRESS");
    let total = executions.values().sum::<u64>();
    let cells = |part: u64| (part * WIDTH).checked_div(total).unwrap_or(0) as usize;
    let (g, b, r) = (cells(good), cells(bad), cells(running));
    let rest = (WIDTH as usize).saturating_sub(g + b + r);
    format!(
        "{}{}{}{} {good}/{total} succeeded, {bad} failed, {running} at it",
        style::good("█".repeat(g)),
        style::bad("█".repeat(b)),
        style::care("▒".repeat(r)),
        "░".repeat(rest),
    )
}

const WIDTH: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_always_as_wide() {
        for counts in
            [vec![], vec![("SUCCEEDED", 1)], vec![("SUCCEEDED", 2), ("FAILED", 1), ("QUEUED", 4)]]
        {
            let counts: BTreeMap<String, u64> =
                counts.into_iter().map(|(state, count)| (state.to_owned(), count)).collect();
            let text = anstream::adapter::strip_str(&line(&counts)).to_string();
            let bar = text.chars().take_while(|c| "█▒░".contains(*c)).count();
            assert_eq!(bar, 40, "{text}");
        }
    }
}
