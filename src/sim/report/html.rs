//! The report as a page: verdict first, then the curves, then the details.

use serde::Serialize;
use tera::{Context, Tera};

use super::chart::{Line, draw};
use super::{FaultRow, Report};
use crate::device::DeviceRecord;
use crate::fleet::TimeSummary;
use crate::observe::Counts;
use crate::{Error, Result};

/// Writes the page.
pub(super) fn write(report: &Report) -> Result<String> {
    let failed = |error: tera::Error| Error::Report(error.to_string());
    let mut tera = Tera::default();
    tera.add_raw_template("page.html", include_str!("page.html")).map_err(failed)?;
    let page = Page::of(report);
    let context = Context::from_serialize(&page).map_err(failed)?;
    tera.render("page.html", &context).map_err(failed)
}

#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    is_passed: bool,
    seed: u64,
    version: &'a str,
    job: String,
    job_status: String,
    seconds: String,
    ready_after: String,
    tiles: Vec<Tile>,
    verdicts: &'a [crate::scenario::Verdict],
    rollout_chart: String,
    fleet_chart: String,
    times: Vec<Row>,
    faults: Vec<FaultRow>,
    troubled: Vec<Row>,
    more_troubled: usize,
    profiles: Vec<Row>,
}

#[derive(Serialize)]
struct Tile {
    name: &'static str,
    value: u64,
}

#[derive(Serialize)]
struct Row {
    cells: Vec<String>,
}

impl<'a> Page<'a> {
    fn of(report: &'a Report) -> Self {
        let facts = &report.facts;
        let tile = |name, value| Tile { name, value };
        let mut in_trouble = report.fleet.devices.iter().filter(|device| is_troubled(device));
        let troubled: Vec<Row> = in_trouble.by_ref().take(TROUBLED).map(trouble).collect();
        Page {
            title: &report.scenario,
            is_passed: report.is_passed(),
            seed: report.seed,
            version: &report.version,
            job: report.job.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
            job_status: facts.job.map_or_else(|| "unknown".to_owned(), |job| job.to_string()),
            seconds: format!("{:.1}", report.seconds),
            ready_after: format!("{:.1}", report.ready_after),
            tiles: vec![
                tile("devices", facts.devices),
                tile("run the new version", facts.updated),
                tile("succeeded", facts.succeeded),
                tile("failed", facts.failed),
                tile("rejected", facts.rejected),
                tile("untouched", facts.untouched),
            ],
            verdicts: &report.verdicts,
            rollout_chart: rollout(report),
            fleet_chart: fleet(report),
            times: times(report),
            faults: report.faults(),
            troubled,
            more_troubled: in_trouble.count(),
            profiles: profiles(report),
        }
    }
}

fn rollout(report: &Report) -> String {
    let line = |name, colour, read| line(report, name, colour, read);
    draw(
        "The rollout over time",
        &[
            line("started", "--muted", |counts| counts.started),
            line("succeeded", "--good", |counts| counts.succeeded),
            line("failed", "--bad", |counts| counts.failed),
            line("rejected", "--odd", |counts| counts.rejected),
        ],
    )
}

fn fleet(report: &Report) -> String {
    let line = |name, colour, read| line(report, name, colour, read);
    draw(
        "The fleet over time",
        &[
            line("provisioned", "--muted", |counts| counts.provisioned),
            line("connected", "--good", |counts| counts.connected),
            line("updating", "--odd", |counts| counts.busy),
        ],
    )
}

/// How one of the numbers went.
fn line<'a>(report: &Report, name: &'a str, colour: &'a str, read: fn(&Counts) -> u64) -> Line<'a> {
    let points = report.curve.iter().map(|at| (at.at, read(&at.counts) as f64)).collect();
    Line { name, colour, points }
}

fn times(report: &Report) -> Vec<Row> {
    let row = |time: &TimeSummary| Row {
        cells: vec![
            time.name.clone(),
            time.count.to_string(),
            milliseconds(time.p50),
            milliseconds(time.p95),
            milliseconds(time.p99),
            milliseconds(time.maximum),
        ],
    };
    report.fleet.times.iter().map(row).collect()
}

fn profiles(report: &Report) -> Vec<Row> {
    let mut rows: Vec<(String, u64, u64)> = Vec::new();
    for device in &report.fleet.devices {
        let is_updated = device.version.as_deref() == Some(report.version.as_str());
        match rows.iter_mut().find(|(name, ..)| *name == device.profile) {
            Some((_, count, updated)) => {
                *count += 1;
                *updated += u64::from(is_updated);
            }
            None => rows.push((device.profile.clone(), 1, u64::from(is_updated))),
        }
    }
    rows.into_iter()
        .map(|(name, count, updated)| Row {
            cells: vec![name, count.to_string(), updated.to_string()],
        })
        .collect()
}

/// Whether somebody will want to know about this device.
fn is_troubled(device: &DeviceRecord) -> bool {
    let failed = device
        .updates
        .iter()
        .any(|update| update.status != iotstack_protocol::JobExecutionStatus::Succeeded);
    failed || device.died.is_some() || !device.image_is_good || !device.is_as_expected()
}

fn trouble(device: &DeviceRecord) -> Row {
    let ends: Vec<String> = device
        .updates
        .iter()
        .map(|update| match update.reason {
            Some(reason) => format!("{} ({reason}): {}", update.status, update.detail),
            None => format!("{}: {}", update.status, update.detail),
        })
        .collect();
    let mut what = ends.join("; ");
    if let Some(mishap) = &device.mishap {
        what = format!("{what} Against what must be: {mishap}");
    }
    if let Some(died) = &device.died {
        what = format!("{what} Nothing boots: {died}");
    }
    Row {
        cells: vec![
            device.thing.clone(),
            device.profile.clone(),
            device.fault.map_or_else(String::new, |fault| fault.id().to_owned()),
            device.version.clone().unwrap_or_else(|| "none".to_owned()),
            what,
        ],
    }
}

fn milliseconds(value: f64) -> String {
    if value < 1000.0 { format!("{value:.1} ms") } else { format!("{:.2} s", value / 1000.0) }
}

/// How many troubled devices are listed; the rest is counted.
const TROUBLED: usize = 200;
