//! `iotstack simulate`: a fleet of simulated devices updates over the air.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use iotstack_sim::{Address, Fault, Report, Scenario, Target, Workers};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::cloud;
use crate::cli::context::Context;
use crate::cli::error::{Error, Kind, Result};
use crate::cli::file;
use crate::cli::fleet::StackOption;
use crate::cli::operator::Operator;
use crate::cli::stage::{self, Broker, Stage};
use crate::cli::ui::playing::Playing;
use crate::cli::ui::table::list;
use crate::cli::ui::{self, out, style, tell};

/// Lets simulated devices update over the air, and judges how they did
///
/// Each device is a real client: it provisions itself by claim, or gets a certificate where
/// the stack has no claim provisioning, runs its jobs over MQTT with mutual TLS, downloads,
/// verifies, installs, tests itself and reports, and fails where the scenario says so. Without
/// --env this happens on a cloud that the command starts for it; with --env against the stack
/// of that environment, after asking, and what was made there is removed again. A scenario
/// that says nothing about its job leaves that to the stack.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The scenario: fleet, firmware, job, expectations
    #[arg(value_name = "FILE", required_unless_present_any = ["worker", "faults"])]
    scenario: Option<PathBuf>,

    /// Lists the faults that devices of a scenario can be given, and ends
    #[arg(long)]
    faults: bool,

    /// Spreads the devices over so many processes [default: from 5,001 on, one for each 15,000]
    #[arg(long, value_name = "N")]
    workers: Option<u16>,

    /// Plays a part of a fleet that another process tells on standard input
    #[arg(long, hide = true)]
    worker: bool,

    /// Decides everything that is left to chance [default: the scenario's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Runs the clock of the local cloud so many times faster; without --env
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = super::local::factor)]
    time_lapse: f64,

    /// Writes the report as a page for people
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Writes the verdicts as JUnit, for pipelines
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Prints the report as JSON
    #[arg(short, long)]
    json: bool,

    /// Connects devices here instead of where AWS IoT says; with --env
    #[arg(long, value_name = "HOST:PORT", value_parser = stage::address)]
    broker: Option<Address>,

    /// The certificates that vouch for the broker, PEM [default: those this machine trusts]
    #[arg(long, value_name = "FILE", requires = "broker")]
    broker_ca: Option<PathBuf>,

    #[command(flatten)]
    stack: StackOption,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    if arguments.faults {
        return list_faults(arguments.json);
    }
    let Some(path) = arguments.scenario.as_deref().filter(|_| !arguments.worker) else {
        let work = iotstack_sim::work(std::io::stdin(), std::io::stdout());
        return cloud::block_on_threads(async { Ok(work.await?) });
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("cannot read `{}`: {error}", path.display())))?;
    let refuse = |error: iotstack_sim::Error| Error::usage(format!("{}: {error}", path.display()));
    let mut scenario = Scenario::from_yaml(&text).map_err(refuse)?;
    if let Some(folder) = path.parent() {
        scenario = scenario.in_folder(folder);
    }
    scenario.firmware.check().map_err(refuse)?;
    if let Some(seed) = arguments.seed {
        scenario = scenario.with_seed(seed);
    }
    for path in [&arguments.html, &arguments.junit].into_iter().flatten() {
        file::check_writable(path, "the report")?;
    }
    check_options(&arguments, context)?;
    let workers = workers(&scenario, arguments.workers)?;
    let report = match &context.options.env {
        None => {
            let time_lapse = arguments.time_lapse;
            let play = on_this_machine(&scenario, time_lapse, &workers, context);
            cloud::block_on_threads(play)?
        }
        Some(_) => cloud::block_on_tidily(in_an_account(&scenario, &arguments, &workers, context))?,
    };
    let (html, junit) = (arguments.html.as_deref(), arguments.junit.as_deref());
    conclude(&report, html, junit, arguments.json)
}

/// A fault, as the list shows it.
#[derive(Serialize)]
struct Listed {
    fault: Fault,
    happens: &'static str,
    ends: String,
    aliases: &'static [&'static str],
}

fn list_faults(as_json: bool) -> Result<()> {
    let listed = |fault: &Fault| Listed {
        fault: *fault,
        happens: fault.words(),
        ends: fault.expected().to_string(),
        aliases: fault.aliases(),
    };
    let faults = Fault::ALL.iter().map(listed).collect();
    let headings = ["fault", "what happens", "the update must end"];
    list(faults, as_json, "there are none", headings, |listed| {
        let aliases = listed.aliases.iter().copied();
        let names: Vec<&str> = std::iter::once(listed.fault.id()).chain(aliases).collect();
        [names.join("\n"), listed.happens.to_owned(), listed.ends]
    })
}

/// Tells and writes what came of a simulation; one that was not passed is an error.
pub fn conclude(
    report: &Report,
    html: Option<&Path>,
    junit: Option<&Path>,
    as_json: bool,
) -> Result<()> {
    if as_json {
        out(&report.to_json()?)?;
    } else {
        tell_verdicts(report);
    }
    if let Some(path) = html {
        file::write(path, "the report", &report.to_html()?)?;
    }
    if let Some(path) = junit {
        file::write(path, "the report", &report.to_junit())?;
    }
    if report.is_passed() { Ok(()) } else { Err(Error::told(Kind::Stack)) }
}

/// Refuses options that say nothing where the simulation is to happen.
fn check_options(arguments: &Arguments, context: &Context) -> Result<()> {
    let is_here = context.options.env.is_none();
    let needs_env =
        [("--broker", arguments.broker.is_some()), ("--stack", arguments.stack.stack.is_some())];
    if let Some((option, _)) = needs_env.iter().find(|(_, is_given)| is_here && *is_given) {
        return Err(Error::usage(format!(
            "`{option}` is about a cloud that runs already, and without --env one is started"
        ))
        .hint("name the environment with --env"));
    }
    if !is_here && arguments.time_lapse != 1.0 {
        return Err(Error::usage(format!(
            "`--time-lapse {}` is about the cloud that is started without --env",
            arguments.time_lapse
        ))
        .hint("`iotstack local --time-lapse` gives a cloud that runs already another clock"));
    }
    Ok(())
}

/// Starts a cloud, deploys the stack, and plays.
pub async fn on_this_machine(
    scenario: &Scenario,
    time_lapse: f64,
    workers: &Workers,
    context: &Context,
) -> Result<Report> {
    let playing = Arc::new(Playing::new(scenario.devices.len()));
    let is_killed = kills_the_cloud(scenario);
    if is_killed && time_lapse != 1.0 {
        return Err(Error::usage(format!(
            "`--time-lapse {time_lapse}` does not go with the fault {}: a cloud that is killed \
             and started again shows the time of this machine",
            Fault::CloudKilled
        )));
    }
    // A job may be asked for while another is being made, and nobody pays for it here.
    let parameters = Map::from_iter([("manager_concurrency".to_owned(), Value::Null)]);
    let stage = Stage::local(context, (time_lapse, is_killed), parameters, &|words| {
        playing.phase(words);
    })
    .await?;
    let target = stage.target().await?;
    let operator = Operator::alone(&stage);
    let report =
        iotstack_sim::run_with(scenario, target, &operator, playing.clone(), workers).await;
    playing.end();
    let report = report?;
    stage.strike().await?;
    Ok(report)
}

/// Whether a device of the scenario has the cloud killed.
fn kills_the_cloud(scenario: &Scenario) -> bool {
    scenario.devices.iter().any(|device| device.fault == Some(Fault::CloudKilled))
}

/// Plays against the stack of an account, and takes away what the devices left there,
/// also after an error or Ctrl-C.
async fn in_an_account(
    scenario: &Scenario,
    arguments: &Arguments,
    workers: &Workers,
    context: &Context,
) -> Result<Report> {
    let (stage, mut target, things) =
        cloud::interruptible(agreed(scenario, arguments, context)).await?;
    let playing = Arc::new(Playing::new(scenario.devices.len()));
    let operator = Operator::among_others(&stage.fleet);
    let play = async {
        if target.claim.is_none() {
            playing.phase("things get certificates");
            target.identities = stage.provision(&things).await?;
        }
        let (operator, observer) = (&operator, playing.clone());
        let play = iotstack_sim::run_with(scenario, target, operator, observer, workers);
        cloud::interruptible(async { Ok(play.await?) }).await
    };
    let report = play.await;
    playing.phase("removing what was made");
    let cleaned = operator.clean_up().await.map_err(Error::from);
    let dismissed = stage.dismiss(&things).await;
    playing.end();
    // What went wrong first is the error; what is left behind is told all the same.
    let mut failures = [cleaned, dismissed].into_iter().filter_map(Result::err);
    let outcome = match report {
        Ok(report) => failures.next().map_or(Ok(report), Err),
        Err(error) => Err(error),
    };
    for failure in failures {
        let care = style::care("warning");
        tell(format!("{care}: not everything that was made is gone: {}", failure.message()));
    }
    outcome
}

/// The stage in an account, and the things that may be made there.
async fn agreed(
    scenario: &Scenario,
    arguments: &Arguments,
    context: &Context,
) -> Result<(Stage, Target, Vec<String>)> {
    if kills_the_cloud(scenario) {
        tell(format!(
            "{}: the fault {} is not played: without --env the command starts a cloud that it \
             may kill",
            style::care("note"),
            Fault::CloudKilled
        ));
    }
    let broker = match &arguments.broker {
        Some(address) => {
            let read = |path: &PathBuf| {
                std::fs::read_to_string(path).map_err(|error| {
                    Error::usage(format!("cannot read `{}`: {error}", path.display()))
                })
            };
            let authority = arguments.broker_ca.as_ref().map(read).transpose()?;
            Some(Broker { address: address.clone(), authority })
        }
        None => None,
    };
    let stage = Stage::account(context, &arguments.stack, broker).await?;
    let target = stage.target().await?;
    let things: Vec<String> =
        scenario.devices.iter().map(|device| target.thing_name(&device.serial)).collect();
    stage.refuse_existing(&things).await?;
    if !context.options.yes {
        let question = format!(
            "{} things with certificates, a thing group, firmware {} and a job will be made in \
             the stack {} and removed again. Go ahead?",
            things.len(),
            scenario.firmware.version,
            stage.fleet.stack()
        );
        let refusal =
            || Error::stack("the simulation was not run").hint("`--yes` agrees to what it makes");
        if !ui::can_ask() {
            tell(question);
            return Err(refusal());
        }
        if !cloud::ask(question).await? {
            return Err(refusal());
        }
    }
    Ok((stage, target, things))
}

/// The processes that a fleet is spread over; this one alone for a small fleet.
pub fn workers(scenario: &Scenario, asked: Option<u16>) -> Result<Workers> {
    let devices = scenario.devices.len();
    let processes = match asked {
        Some(asked) => asked.into(),
        None if devices > DEVICES_IN_THIS_PROCESS => devices.div_ceil(DEVICES_OF_A_WORKER),
        None => 0,
    };
    if processes == 0 {
        return Ok(Workers::none());
    }
    let arguments = ["simulate", "--worker"].map(Into::into).into();
    Ok(Workers { program: super::local::this_program()?, arguments, processes })
}

/// What was expected and what was found.
fn tell_verdicts(report: &Report) {
    for verdict in &report.verdicts {
        let mark = if verdict.is_met { style::good("✓") } else { style::bad("✗") };
        tell(format!("{mark} {}: {}", verdict.expectation, verdict.found));
    }
    let facts = &report.facts;
    tell(format!(
        "{} devices: {} succeeded, {} failed, {} rejected in {:.1} s (seed {})",
        facts.devices, facts.succeeded, facts.failed, facts.rejected, report.seconds, report.seed
    ));
}

impl From<iotstack_sim::Error> for Error {
    fn from(error: iotstack_sim::Error) -> Self {
        let kind = match &error {
            iotstack_sim::Error::Scenario(_) | iotstack_sim::Error::Expectation { .. } => {
                Kind::Usage
            }
            iotstack_sim::Error::Cloud { .. } | iotstack_sim::Error::Mqtt { .. } => Kind::Cloud,
            _ => Kind::Stack,
        };
        Error::new(kind, error.to_string())
    }
}

/// Systems allow a process 20,000 open files or so. Here a device may take four: its
/// connection and its download, and both ends of them if the cloud is in this process.
const DEVICES_IN_THIS_PROCESS: usize = 5_000;
const DEVICES_OF_A_WORKER: usize = 15_000;

const EXAMPLES: &str = "\
Examples:
  iotstack simulate rollout.yaml
  iotstack simulate rollout.yaml --seed 7 --html report.html --junit report.xml
  iotstack simulate rollout.yaml --env staging --yes --json

A scenario:
  fleet:
    size: 200
    profiles:
      - {name: indoor, share: 0.9, version: 1.0.0}
      - {name: basement, share: 0.1, version: 1.0.0, crash_rate: 5%}
  firmware: {version: 1.1.0, size: 256 KiB}
  job:
    rollout: {maximum_per_minute: 1000}
  expect:
    - succeeded >= 99%
    - no device runs an unsigned image

Exit codes: 0 if every expectation was met, 1 if one was not.";
