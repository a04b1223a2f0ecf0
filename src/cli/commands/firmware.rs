//! `iotstack firmware`: publish, sign and list firmware.

use std::path::PathBuf;

use iotstack_protocol::FirmwareVersion;
use serde_json::json;

use crate::cli::cloud::block_on;
use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use crate::cli::fleet::{self, StackOption};
use crate::cli::ui::table::list;
use crate::cli::ui::{json, out, style, tell};

/// Publishes, signs and lists firmware
///
/// Firmware lies in the versioned bucket of the firmware-update stack. AWS Signer signs one
/// version of one object with the profile of the stack; devices take nothing that it has not
/// signed.
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
    /// Publishes a file as firmware of a version
    Upload {
        /// The firmware image
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Its version, such as 1.4.0
        #[arg(long = "firmware-version", short = 'V', value_name = "VERSION")]
        version: FirmwareVersion,
        /// Signs it too
        #[arg(long)]
        sign: bool,
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
    /// Lets AWS Signer sign published firmware, and waits for the signature
    Sign {
        /// The key in the bucket, as `firmware list` shows it
        #[arg(value_name = "KEY")]
        key: String,
        /// The version of the object [default: the newest]
        #[arg(long, value_name = "ID")]
        version_id: Option<String>,
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
    /// Lists the firmware in the bucket, newest first
    List {
        /// Prints JSON
        #[arg(short, long)]
        json: bool,
    },
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    if let Action::Upload { file, .. } = &arguments.action {
        // Before anything is asked of AWS.
        std::fs::File::open(file)
            .map_err(|error| Error::usage(format!("cannot read {}: {error}", file.display())))?;
    }
    block_on(async {
        let fleet = fleet::open(context, &arguments.stack).await?;
        match arguments.action {
            Action::Upload { file, version, sign, json } => {
                let published = fleet.publish_firmware(&file, &version).await?;
                let signed = match sign {
                    true => {
                        let id = &published.version_id;
                        Some(fleet.sign_firmware(&published.key, Some(id)).await?)
                    }
                    false => None,
                };
                if json {
                    return json::print(&json!({ "published": published, "signed": signed }));
                }
                tell(format!(
                    "{} {} ({} bytes, version {})",
                    style::good("published"),
                    style::strong(&published.key),
                    published.size,
                    published.version_id
                ));
                match signed {
                    Some(signed) => tell_signed(&signed.key, &signed.profile),
                    None => tell(format!("next: iotstack firmware sign {}", published.key)),
                }
                out(&published.key)
            }
            Action::Sign { key, version_id, json } => {
                let signed = fleet.sign_firmware(&key, version_id.as_deref()).await?;
                if json {
                    return json::print(&json!(signed));
                }
                tell_signed(&signed.key, &signed.profile);
                out(&signed.signature_key)
            }
            Action::List { json } => {
                let empty = "there is no firmware yet; `iotstack firmware upload` publishes some";
                let headings = ["version", "bytes", "signature", "published", "key"];
                list(fleet.list_firmware().await?, json, empty, headings, |firmware| {
                    let signed = if firmware.signed { "signed" } else { "not signed" };
                    let published = firmware.published_at.unwrap_or_default();
                    let size = firmware.size.to_string();
                    [firmware.version, size, signed.to_owned(), published, firmware.key]
                })
            }
        }
    })
}

fn tell_signed(key: &str, profile: &str) {
    tell(format!("{} {} by {profile}", style::good("signed"), style::strong(key)));
}

const EXAMPLES: &str = "\
Examples:
  iotstack firmware upload build/pump.bin -V 1.4.0 --sign --env dev
  iotstack firmware sign firmware/1.4.0/pump.bin --env prod
  iotstack firmware list --json";
