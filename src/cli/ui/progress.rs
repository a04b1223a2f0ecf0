//! What happens at AWS, while it happens.
//!
//! On a terminal there is one bar per operation with the resource that is worked on; in a
//! pipe or with `--progress events` every event is a line; `errors-only` is for logs that
//! should stay short. Failures are shown in each of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use iotstack_deploy::event::Operation;
use iotstack_deploy::{Event, EventSink, Progress, StackEvent};

use super::{style, tell};

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// One bar per operation.
    Bar,
    /// One line per event.
    Events,
    /// Failures alone.
    ErrorsOnly,
}

/// Shows events on standard error.
#[derive(Debug)]
pub struct Display {
    mode: Mode,
    bar: Mutex<Option<ProgressBar>>,
}

impl Display {
    /// Shows as much as was asked for; a bar needs a terminal.
    pub fn new(asked: Option<Mode>) -> Self {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let mode = match asked {
            None | Some(Mode::Bar) if is_terminal => Mode::Bar,
            None | Some(Mode::Bar) => Mode::Events,
            Some(other) => other,
        };
        Display { mode, bar: Mutex::new(None) }
    }

    fn line(&self, text: String) {
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(|| tell(text)),
            None => tell(text),
        }
    }

    /// A line that `errors-only` leaves out.
    fn news(&self, text: String) {
        if self.mode != Mode::ErrorsOnly {
            self.line(text);
        }
    }

    fn resource(&self, event: &StackEvent, progress: Progress) {
        if event.is_cause() || self.mode == Mode::Events {
            self.line(event_line(event, progress));
        }
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            if let Some(total) = progress.total {
                bar.set_length(total as u64);
            }
            bar.set_position(progress.done as u64);
            bar.set_message(format!("{} {}", event.status, event.logical_id));
        }
    }

    fn begin(&self, stack: &str, operation: Operation) {
        self.news(format!("{}: {}", style::strong(stack), present(operation)));
        if self.mode == Mode::Bar {
            let bar = ProgressBar::no_length().with_style(bar_style());
            bar.enable_steady_tick(Duration::from_millis(200));
            *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
        }
    }

    fn end(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl EventSink for Display {
    fn hear(&self, event: Event) {
        match event {
            Event::RoleNotAssumed { role, reason } => self.news(format!(
                "{}: {role} could not be assumed, your own credentials are used: {reason}",
                style::care("note")
            )),
            Event::AssetPresent { .. } => {}
            Event::AssetPublishing { asset, .. } => self.news(format!("publishing {asset}")),
            Event::AssetPublished { asset, location, bytes } => {
                let size = indicatif::HumanBytes(bytes);
                self.news(format!("published {asset} ({size}) to {location}"));
            }
            Event::Attached { stack, status } => self.line(format!(
                "{}: {status} is running already; waiting for its end",
                style::strong(stack)
            )),
            Event::ChangeSetCreating { stack, .. } => {
                self.news(format!(
                    "{}: asking CloudFormation for a change set",
                    style::strong(stack)
                ));
            }
            Event::ChangeSetReady { .. } => {}
            Event::Started { stack, operation } => self.begin(&stack, operation),
            Event::Resource { event, progress } => self.resource(&event, progress),
            Event::Finished { stack, operation, status } => {
                self.end();
                let status = status.map_or_else(|| "gone".to_owned(), |status| status.to_string());
                self.news(format!("{}: {}: {status}", style::strong(stack), past(operation)));
            }
            Event::BucketEmptying { bucket, removed } => {
                self.news(format!("emptying bucket {bucket}: {removed} removed"));
            }
            Event::BlockerCleared { blocker } => self.news(format!("cleared: {blocker}")),
            Event::Retained { logical_id, resource_type, physical_id, .. } => self.line(format!(
                "{}: {logical_id} ({resource_type}) {}",
                style::care("kept"),
                physical_id.unwrap_or_default()
            )),
            // Events that a newer library knows and this program does not.
            _ => {}
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.end();
    }
}

/// One event as a line: `12:30:45  3/22  CREATE_COMPLETE  AWS::IoT::Thing  Pump1`.
fn event_line(event: &StackEvent, progress: Progress) -> String {
    let total = progress.total.map_or_else(|| "?".into(), |total| total.to_string());
    let status = match &event.status {
        status if status.ends_with("_FAILED") => style::bad(status),
        status if status.contains("ROLLBACK") => style::care(status),
        status if status.ends_with("_COMPLETE") => style::good(status),
        status => status.clone(),
    };
    let mut line = format!(
        "{}  {}/{total}  {status}  {}  {}",
        clock(event.time),
        progress.done,
        event.resource_type,
        event.logical_id
    );
    if let Some(reason) = &event.reason {
        line += &format!("  {reason}");
    }
    line
}

/// The time of day in UTC.
fn clock(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn present(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "creating",
        Operation::Update => "updating",
        Operation::RollBack => "rolling back",
        Operation::Delete => "deleting",
    }
}

fn past(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "creation ended",
        Operation::Update => "update ended",
        Operation::RollBack => "rollback ended",
        Operation::Delete => "deletion ended",
    }
}

fn bar_style() -> ProgressStyle {
    // The template is a constant; if it were wrong, the plain bar would do.
    ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = StackEvent {
            id: "1".into(),
            time: UNIX_EPOCH + Duration::from_secs(86_400 + 45_045),
            stack: "fleet".into(),
            logical_id: "Pump1".into(),
            physical_id: None,
            resource_type: "AWS::IoT::Thing".into(),
            status: "CREATE_FAILED".into(),
            reason: Some("no".into()),
            token: None,
            is_stack: false,
        };
        let line = event_line(&event, Progress { done: 3, total: Some(22) });
        assert_eq!(
            anstream::adapter::strip_str(&line).to_string(),
            "12:30:45  3/22  CREATE_FAILED  AWS::IoT::Thing  Pump1  no"
        );
    }
}
