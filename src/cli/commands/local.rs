//! `iotstack local`: a cloud on this machine.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use iotstack_local::{Account, Clock, Door, LocalCloud, Options, RootKey};
use serde_json::{Value, json};

use crate::cli::cloud;
use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use crate::cli::ui::{json, out, style, tell};

/// Runs a local cloud: AWS APIs, an MQTT broker and a console on this machine
///
/// One HTTP port answers all AWS APIs that the ready stacks need; the message broker takes
/// devices in with mutual TLS, as AWS IoT does. Point any AWS client to it with
/// AWS_ENDPOINT_URL. It runs until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The port of the AWS APIs and the console; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    port: u16,

    /// The port of MQTT with mutual TLS; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 8883)]
    mqtt_port: u16,

    /// Listens on this address; one that is not loopback opens the cloud to the network
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = ip_address)]
    host: IpAddr,

    /// A further name of this machine for the broker's certificate; may be given more than once
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    host_name: Vec<String>,

    /// Keeps the state in this folder, through restarts and crashes [default: in memory]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Runs the clock of the services so many times faster, so that rollouts and timers can
    /// be tried in seconds
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    time_lapse: f64,

    /// Follows the MQTT standard where AWS IoT departs from it
    #[arg(long)]
    standard_mqtt: bool,

    /// Refuses what exceeds AWS IoT's limits for one device: 100 messages per second, one
    /// connection attempt per second, and one retained message per second and topic
    #[arg(long)]
    aws_limits: bool,

    /// Refuses devices that do not name the server in the TLS handshake (SNI), as AWS IoT does;
    /// those that connect to an IP address cannot name it
    #[arg(long)]
    require_server_name: bool,

    /// The minutes until a changed IoT policy holds for devices, on the clock of the services;
    /// 0 is at once, AWS IoT takes six to eight
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    policy_delay: u32,

    /// The most devices that one process takes in; further processes start as more devices
    /// come [default: three quarters of the files that a process may open]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections_per_process: Option<u32>,

    /// Takes devices in for another process, whose sockets are standard input and output
    #[arg(long, hide = true)]
    door: bool,

    /// Ends when standard input does, for a program that starts it for itself
    #[arg(long, hide = true)]
    until_input_ends: bool,

    /// The account's twelve digits
    #[arg(long, value_name = "ID", default_value = "123456789012", value_parser = account)]
    account: String,

    /// Lists what is offered and what is refused, and ends
    #[arg(long)]
    coverage: bool,

    /// Prints JSON: the addresses, or the coverage
    #[arg(short, long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    if arguments.door {
        return cloud::block_on_threads(async { Ok(iotstack_local::keep_door().await?) });
    }
    let region = context.options.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
    let mut options = Options {
        host: arguments.host,
        http_port: arguments.port,
        mqtt_port: arguments.mqtt_port,
        host_names: arguments.host_name,
        account: Account { id: arguments.account, region },
        root: RootKey::default(),
        state: arguments.state,
        clock: Clock::time_lapse(arguments.time_lapse),
        standard_mqtt: arguments.standard_mqtt,
        aws_limits: arguments.aws_limits,
        needs_server_name: arguments.require_server_name,
        policy_delay: Duration::from_secs(60 * u64::from(arguments.policy_delay)),
        door: Some(door()?),
        connections_per_process: arguments.connections_per_process.map(|each| each as usize),
    };
    if arguments.coverage {
        // Nothing is served, so no port needs to be free.
        (options.http_port, options.mqtt_port, options.state) = (0, 0, None);
        options.host = Ipv4Addr::LOCALHOST.into();
    }
    if !arguments.coverage && !arguments.host.is_loopback() {
        tell(format!(
            "{}: whoever reaches {} can use this cloud with a key that everybody knows, and run \
             programs on this machine",
            style::care("warning"),
            arguments.host
        ));
    }
    cloud::block_on_tidily(async {
        let start = async { Ok(iotstack_local::start(options).await?) };
        let local = cloud::interruptible(start).await?;
        if arguments.coverage {
            let coverage = local.coverage();
            return if arguments.json { json::print(&coverage) } else { out(&listed(&coverage)) };
        }
        // On one line, as whoever reads it waits for the line's end and not for ours.
        if arguments.json {
            out(&addresses(&local).to_string())?
        } else {
            greet(&local)?
        }
        tokio::select! {
            () = cloud::interrupt() => {}
            () = cloud::input_end(), if arguments.until_input_ends => {}
        }
        tell("the local cloud has ended");
        Ok(())
    })
}

/// This program, as it is started to take devices in.
pub fn door() -> Result<Door> {
    let arguments = ["local", "--door"].map(Into::into).into();
    Ok(Door { program: this_program()?, arguments })
}

/// Where this program is, to start further processes of it.
pub fn this_program() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|error| Error::stack(format!("cannot find this program: {error}")))
}

fn addresses(local: &LocalCloud) -> Value {
    json!({
        "endpoint": local.endpoint(),
        "mqtt": local.mqtt(),
        "console": format!("{}/_iotstack/console", local.endpoint()),
        "account": local.account().id,
        "region": local.account().region,
        "accessKeyId": local.root().access_key_id,
        "secretAccessKey": local.root().secret_access_key,
        "authority": local.ca_pem(),
    })
}

/// What to type next, on standard output, so that a shell can take it.
fn greet(local: &LocalCloud) -> Result<()> {
    tell(format!("{} the local cloud runs; Ctrl-C ends it", style::good("✓")));
    tell(format!("  console  {}/_iotstack/console", local.endpoint()));
    tell(format!("  mqtt     {}", local.mqtt()));
    out(&format!(
        "export AWS_ENDPOINT_URL={}\nexport AWS_REGION={}\nexport AWS_ACCESS_KEY_ID={}\nexport \
         AWS_SECRET_ACCESS_KEY={}",
        local.endpoint(),
        local.account().region,
        local.root().access_key_id,
        local.root().secret_access_key,
    ))
}

/// The coverage for people: one service after the other.
fn listed(coverage: &Value) -> String {
    let mut text = String::new();
    let names = |list: &Value| {
        let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(", ")
    };
    for (service, parts) in coverage["services"].as_object().into_iter().flatten() {
        text.push_str(&format!("{}\n  {}\n", style::strong(service), names(&parts["operations"])));
        for (operation, reason) in parts["refused"].as_object().into_iter().flatten() {
            let reason = reason.as_str().unwrap_or_default();
            text.push_str(&format!("  {} {operation}: {reason}\n", style::care("not")));
        }
    }
    let types = names(&coverage["resourceTypes"]);
    text.push_str(&format!("{}\n  {types}\n", style::strong("CloudFormation resource types")));
    text
}

/// Reads the factor of a time-lapse.
pub fn factor(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (0.1..=100_000.0).contains(&factor) => Ok(factor),
        _ => Err("expected a number from 0.1 to 100000".to_owned()),
    }
}

fn ip_address(text: &str) -> std::result::Result<IpAddr, String> {
    text.parse().map_err(|_| "expected an IP address of this machine, such as 127.0.0.1".to_owned())
}

fn host_name(text: &str) -> std::result::Result<String, String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = text.len() <= 253 && text.split('.').all(is_label);
    match is_name || text.parse::<IpAddr>().is_ok() {
        true => Ok(text.to_owned()),
        false => Err("expected a host name such as broker.example, or an IP address".to_owned()),
    }
}

fn account(text: &str) -> std::result::Result<String, String> {
    match text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err("expected twelve digits".to_owned()),
    }
}

impl From<iotstack_local::Error> for Error {
    fn from(error: iotstack_local::Error) -> Self {
        match &error {
            iotstack_local::Error::Listen { source, .. } => {
                let hint = match source.kind() {
                    ErrorKind::AddrNotAvailable => "name an address of this machine with --host",
                    _ => "name another port, or 0 for any free one",
                };
                Error::usage(error.to_string()).hint(hint)
            }
            iotstack_local::Error::Store(_) => Error::usage(error.to_string()),
            _ => Error::stack(error.to_string()),
        }
    }
}

impl From<iotstack_local::DoorError> for Error {
    fn from(error: iotstack_local::DoorError) -> Self {
        Error::usage(error.to_string())
    }
}

const EXAMPLES: &str = "\
Examples:
  iotstack local
  iotstack local --state .cloud --time-lapse 60
  iotstack local --port 0 --mqtt-port 0 --json
  iotstack local --coverage";
