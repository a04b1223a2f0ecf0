//! `iotstack bootstrap`: prepares an account and region for deployments.

use clap::ArgAction;
use iotstack_assembly::Environment;
use iotstack_deploy::bootstrap::{self, BootstrapOptions, BootstrapProposal, BucketKey};
use iotstack_deploy::{Proposal, Session, change_set, recover};

use crate::cli::cloud;
use crate::cli::config::region_name;
use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use crate::cli::ui::progress::{Display, Mode};
use crate::cli::ui::{out, style, tell};

use super::deploy::key_and_value;

/// Makes the bucket and roles that deployments use, once per account and region
///
/// The stack is compatible with the one of `cdk bootstrap`: an environment that either
/// program has prepared serves both. A newer version, or one of somebody's own making, is
/// left alone. Settings that are not given stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Where, as aws://ACCOUNT/REGION [default: where the credentials and region lead]
    #[arg(value_name = "ENVIRONMENT", value_parser = place)]
    environments: Vec<Environment>,

    /// Prints the template and changes nothing
    #[arg(long)]
    show_template: bool,

    /// Prints the template as JSON; with --show-template
    #[arg(short, long, requires = "show_template")]
    json: bool,

    /// The qualifier in the names of the bucket and roles [default: hnb659fds]
    #[arg(long, value_name = "TEXT")]
    qualifier: Option<String>,

    /// The name of the stack [default: CDKToolkit]
    #[arg(long, value_name = "NAME")]
    toolkit_stack_name: Option<String>,

    /// An account that may deploy here; may be given more than once
    #[arg(long, value_name = "ACCOUNT")]
    trust: Vec<String>,

    /// An account that may read here; may be given more than once
    #[arg(long, value_name = "ACCOUNT")]
    trust_for_lookup: Vec<String>,

    /// A managed policy for the role that CloudFormation works with; may be given more than
    /// once [default: AdministratorAccess]
    #[arg(long, value_name = "ARN")]
    cloudformation_execution_policies: Vec<String>,

    /// A managed policy that bounds the role that CloudFormation works with
    #[arg(long, value_name = "NAME")]
    custom_permissions_boundary: Option<String>,

    /// The name of the bucket
    #[arg(short = 'b', long, value_name = "NAME")]
    bootstrap_bucket_name: Option<String>,

    /// The key that encrypts the bucket
    #[arg(long, value_name = "ID|ARN", conflicts_with = "bootstrap_customer_key")]
    bootstrap_kms_key_id: Option<String>,

    /// Makes a key that encrypts the bucket
    #[arg(long)]
    bootstrap_customer_key: bool,

    /// Whether the stack refuses to be deleted
    #[arg(long, value_name = "YES|NO", num_args = 0..=1, default_missing_value = "true")]
    #[arg(action = ArgAction::Set)]
    termination_protection: Option<bool>,

    /// Tags the stack; may be given more than once
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    tags: Vec<(String, String)>,

    /// Deploys this version even over a newer one
    #[arg(short, long)]
    force: bool,

    /// How progress is shown [default: bar on a terminal, events elsewhere]
    #[arg(long, value_enum, value_name = "HOW")]
    progress: Option<Mode>,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    if arguments.show_template {
        let template = bootstrap::template();
        return if arguments.json {
            out(&String::from_utf8_lossy(&template.to_json()))
        } else {
            out(&template.to_yaml())
        };
    }
    let options = options(&arguments, context)?;
    let environments = match arguments.environments.as_slice() {
        [] => vec![chosen(context)?],
        named => named.to_vec(),
    };
    cloud::block_on_stacks(async {
        let session = cloud::session(context).await?;
        let display = Display::new(arguments.progress);
        for environment in &environments {
            bootstrap_one(&session, environment, &options, &display).await?;
        }
        Ok(())
    })
}

async fn bootstrap_one(
    session: &Session,
    environment: &Environment,
    options: &BootstrapOptions,
    display: &Display,
) -> Result<()> {
    let clients = session.clients(environment).await?;
    let place = style::strong(clients.environment());
    loop {
        match bootstrap::propose(&clients, options, display).await? {
            BootstrapProposal::Newer { found } => {
                tell(format!("{place}: has version {found}, which is newer, and was left alone"));
                return Ok(());
            }
            BootstrapProposal::Foreign { variant } => {
                return Err(Error::stack(format!(
                    "{} was bootstrapped with a template of its own (`{variant}`)",
                    clients.environment()
                ))
                .hint("`--force` replaces it; another `--qualifier` and `--toolkit-stack-name` stand beside it"));
            }
            BootstrapProposal::Stack(Proposal::NoChanges(_)) => {
                bootstrap::finish(&clients, options).await?;
                tell(format!("{place}: no changes"));
                return Ok(());
            }
            // A bootstrap stack that failed half way holds nothing of anybody's.
            BootstrapProposal::Stack(Proposal::Recover(recovery)) => {
                recover::recover(&clients, &recovery, &[], display).await?;
            }
            BootstrapProposal::Stack(Proposal::Changes(changes)) => {
                change_set::execute(&clients, &changes, display).await?;
                bootstrap::finish(&clients, options).await?;
                tell(format!("{place}: {}", style::good("bootstrapped")));
                return Ok(());
            }
        }
    }
}

/// Reads `aws://ACCOUNT/REGION`, of which AWS must be able to have both.
fn place(text: &str) -> Result<Environment, String> {
    let environment: Environment = text.parse()?;
    if let Some(region) = &environment.region {
        region_name(region)?;
    }
    match &environment.account {
        Some(account)
            if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Err(format!("account `{account}` is not valid: expected 12 digits"))
        }
        _ => Ok(environment),
    }
}

/// The place of the chosen environment, as far as it is known.
fn chosen(context: &Context) -> Result<Environment> {
    let (_, environment) = context.environment()?;
    Ok(Environment { account: environment.account, region: context.region()? })
}

fn options(arguments: &Arguments, context: &Context) -> Result<BootstrapOptions> {
    let toolkit = &context.config()?.toolkit;
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let key = match (&arguments.bootstrap_kms_key_id, arguments.bootstrap_customer_key) {
        (Some(id), _) => Some(BucketKey::Existing(id.clone())),
        (None, true) => Some(BucketKey::New),
        (None, false) => None,
    };
    let usual = BootstrapOptions::default();
    Ok(BootstrapOptions {
        stack_name: arguments
            .toolkit_stack_name
            .clone()
            .or_else(|| toolkit.stack_name.clone())
            .unwrap_or(usual.stack_name),
        qualifier: arguments.qualifier.clone().or_else(|| toolkit.qualifier.clone()),
        trust: some(&arguments.trust),
        trust_for_lookup: some(&arguments.trust_for_lookup),
        execution_policies: some(&arguments.cloudformation_execution_policies),
        key,
        bucket_name: arguments.bootstrap_bucket_name.clone(),
        permissions_boundary: arguments.custom_permissions_boundary.clone(),
        block_public_access: None,
        termination_protection: arguments.termination_protection,
        tags: arguments.tags.iter().cloned().collect(),
        force: arguments.force,
    })
}

const EXAMPLES: &str = "\
Examples:
  iotstack bootstrap --env dev
  iotstack bootstrap aws://123456789012/eu-west-1 aws://123456789012/us-east-1
  iotstack bootstrap --trust 210987654321 --profile prod
  iotstack bootstrap --show-template > bootstrap.yaml";
