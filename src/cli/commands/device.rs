//! `iotstack device`: single devices of the fleet.

use std::io::Write;
use std::path::{Path, PathBuf};

use iotstack_protocol::ThingName;
use serde_json::json;

use crate::cli::cloud::block_on;
use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use crate::cli::fleet::{self, StackOption};
use crate::cli::ui::table::list;
use crate::cli::ui::{json, out, style, tell};

/// Provisions devices, shows their shadows and lists them
///
/// `provision` makes a thing of the fleet with a certificate of its own, for a device that
/// does not claim one by itself.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    stack: StackOption,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Makes a thing with a certificate, and writes certificate and key into a folder
    Provision {
        /// The thing's name
        #[arg(value_name = "THING")]
        thing: ThingName,
        /// The folder for certificate.pem, private-key.pem and device.json
        /// [default: the thing's name]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
    /// Shows the shadow of a device
    Shadow {
        /// The thing's name
        #[arg(value_name = "THING")]
        thing: ThingName,
        /// The name of the shadow [default: the classic one]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Lists the devices of the fleet with the firmware that they report
    List {
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    block_on(async {
        let fleet = fleet::open(context, &arguments.stack).await?;
        match arguments.action {
            Action::Provision { thing, into, json } => {
                let folder = into.unwrap_or_else(|| PathBuf::from(thing.as_str()));
                // The key has no copy, so whatever may fail comes first.
                prepare(&folder)?;
                let endpoint = fleet.endpoint().await?;
                let credentials = fleet.provision(thing.as_str()).await?;
                let about = json!({
                    "thing": thing.as_str(),
                    "endpoint": endpoint.host,
                    "certificateId": credentials.certificate_id,
                    "region": fleet.region(),
                });
                write(&folder, "private-key.pem", &credentials.private_key)?;
                write(&folder, "certificate.pem", &credentials.certificate_pem)?;
                write(&folder, "device.json", &format!("{about:#}\n"))?;
                tell(format!(
                    "{} {}: certificate and key are in {}",
                    style::good("provisioned"),
                    style::strong(thing.as_str()),
                    folder.display()
                ));
                if json { json::print(&about) } else { out(&folder.display().to_string()) }
            }
            Action::Shadow { thing, name } => {
                match fleet.shadow(thing.as_str(), name.as_deref()).await? {
                    Some(shadow) => json::print(&json!(shadow)),
                    None => Err(Error::stack(match name {
                        Some(name) => format!("`{thing}` has no shadow `{name}`"),
                        None => format!("`{thing}` has no shadow"),
                    })),
                }
            }
            Action::List { json } => {
                let empty = "the fleet has no things yet";
                let headings = ["thing", "firmware", "certificates"];
                list(fleet.devices().await?, json, empty, headings, |device| {
                    let firmware = device.firmware.unwrap_or_else(|| "-".to_owned());
                    [device.thing, firmware, device.certificates.len().to_string()]
                })
            }
        }
    })
}

/// Makes the folder, and refuses one in which a key lies already.
fn prepare(folder: &Path) -> Result<()> {
    let refuse = |error: std::io::Error| {
        Error::usage(format!("cannot make the folder `{}`: {error}", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(refuse)?;
    let key = folder.join("private-key.pem");
    if key.exists() {
        return Err(Error::usage(format!("`{}` exists already", key.display()))
            .hint("name another folder with --into"));
    }
    Ok(())
}

/// Writes a file that only its owner can read.
fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Error::stack(format!("cannot write `{}`: {error}", path.display())))
}

const EXAMPLES: &str = "\
Examples:
  iotstack device provision firmware-dev-pump-7 --env dev
  iotstack device shadow firmware-dev-pump-7
  iotstack device list --json";
