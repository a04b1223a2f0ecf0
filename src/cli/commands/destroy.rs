//! `iotstack destroy`: takes stacks away, after saying what goes and what stays.

use iotstack_assembly::StackArtifact;
use iotstack_deploy::destroy::{self, Blocker, Consent, Demolition};
use iotstack_deploy::{Clients, Selection, Session, plan};

use crate::cli::app;
use crate::cli::cloud;
use crate::cli::context::Context;
use crate::cli::error::{Error, Result};
use crate::cli::ui::progress::{Display, Mode};
use crate::cli::ui::{self, count, style, tell};

/// Takes stacks away from AWS, those that need others first
///
/// Says first what each stack holds: what is deleted, what stays because its policy says
/// so, and what stands in the way, such as a bucket with objects or an AWS IoT policy that
/// devices still hold. Then it asks. Buckets are emptied and attachments removed only with
/// a yes to that, or with the options below.
///
/// A stack that does not exist is no error. A stack with termination protection is left
/// alone.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names or patterns of stacks [default: the only one]
    #[arg(value_name = "STACKS")]
    stacks: Vec<String>,

    /// Destroys every stack of the app
    #[arg(long, conflicts_with = "stacks")]
    all: bool,

    /// Leaves out the stacks that need the chosen ones
    #[arg(short, long)]
    exclusively: bool,

    /// Does not ask whether to destroy; what stands in the way needs its own consent
    #[arg(short, long)]
    force: bool,

    /// Deletes all objects in the stack's buckets, every version of them
    #[arg(long, conflicts_with = "keep_buckets")]
    empty_buckets: bool,

    /// Leaves buckets that hold objects in the account
    #[arg(long)]
    keep_buckets: bool,

    /// Detaches AWS IoT policies and certificates and deactivates certificates, where they
    /// keep the stack from being deleted
    #[arg(long)]
    detach: bool,

    /// Leaves behind what AWS refuses to delete, and lets CloudFormation forget it
    #[arg(long)]
    abandon: bool,

    /// How progress is shown [default: bar on a terminal, events elsewhere]
    #[arg(long, value_enum, value_name = "HOW")]
    progress: Option<Mode>,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let app = app::synthesize(context)?;
    let selection = Selection {
        patterns: arguments.stacks.clone(),
        all: arguments.all,
        exclusively: arguments.exclusively,
    };
    let stacks = plan::select_for_destroy(&app.assembly, &selection)?;
    cloud::block_on_stacks(async {
        let display = Display::new(arguments.progress);
        let session = cloud::session(context).await?;
        let mut plans = Vec::new();
        for stack in stacks {
            plans.extend(inspect(&session, stack, context, &display).await?);
        }
        if plans.is_empty() {
            return Ok(());
        }
        let consent = agree(&plans, &arguments, context).await?;
        for Plan { stack, clients, demolition } in &plans {
            let destroyed = destroy::destroy(clients, demolition, consent, &display).await?;
            for failure in &destroyed.left_behind {
                tell(format!("{}: {failure}", style::care("left behind")));
            }
            tell(format!("{}: {}", style::strong(&stack.display_name), style::good("destroyed")));
            for group in left_log_groups(stack, demolition) {
                tell(format!(
                    "{}: log group {group}, if the function wrote any logs; no stack deletes it",
                    style::care("kept")
                ));
            }
        }
        Ok(())
    })
}

/// A stack that exists, and what destroying it means.
struct Plan {
    stack: StackArtifact,
    clients: Clients,
    demolition: Demolition,
}

async fn inspect(
    session: &Session,
    stack: &StackArtifact,
    context: &Context,
    display: &Display,
) -> Result<Option<Plan>> {
    let stack = cloud::placed(stack, context)?;
    let clients = session.clients_for(&stack, display).await?;
    let demolition = destroy::inspect(&clients, &stack.stack_name, display).await?;
    let Some(found) = &demolition.stack else {
        tell(format!("{}: there is nothing to destroy", style::strong(&stack.display_name)));
        return Ok(None);
    };
    if found.termination_protected {
        let stack = stack.stack_name.clone();
        return Err(iotstack_deploy::Error::TerminationProtected { stack }.into());
    }
    let goes = demolition.resources.len().saturating_sub(demolition.retained.len());
    tell(format!(
        "{} ({}): {} will be deleted",
        style::strong(&stack.display_name),
        clients.environment(),
        count(goes, "resource")
    ));
    for kept in &demolition.retained {
        let name = kept.physical_id.as_deref().unwrap_or(&kept.logical_id);
        tell(format!("  {} {} {name}", style::care("stays"), kept.resource_type));
    }
    for blocker in &demolition.blockers {
        tell(format!("  {} {}", style::bad("in the way"), describe(blocker)));
    }
    Ok(Some(Plan { stack, clients, demolition }))
}

/// Log groups that functions make for themselves: those of functions that the template
/// gives no group of their own.
fn left_log_groups<'a>(stack: &StackArtifact, demolition: &'a Demolition) -> Vec<&'a str> {
    let template = stack.template().unwrap_or_default();
    let has_own = |group: &&str| {
        let function = demolition.resources.iter().find(|resource| {
            let name = resource.physical_id.as_deref().unwrap_or_default();
            group.strip_prefix("/aws/lambda/") == Some(name)
        });
        let described = function.and_then(|function| template.resources.get(&function.logical_id));
        described.is_some_and(|resource| resource.properties.contains_key("LoggingConfig"))
    };
    demolition.log_groups.iter().map(String::as_str).filter(|group| !has_own(group)).collect()
}

/// Asks for everything that was not agreed to on the command line.
async fn agree(plans: &[Plan], arguments: &Arguments, context: &Context) -> Result<Consent> {
    let yes = context.options.yes;
    let names =
        crate::cli::config::quoted(plans.iter().map(|plan| plan.stack.display_name.as_str()));
    if !(arguments.force || yes) {
        let question = format!("Destroy {names}?");
        let hint = "`--force` destroys without asking";
        if !ask(question, || format!("{names} would be destroyed"), hint).await? {
            return Err(Error::stack(format!("{names} was left as it is: the answer was no")));
        }
    }
    let blockers = || plans.iter().flat_map(|plan| &plan.demolition.blockers);
    let mut consent = Consent {
        empty_buckets: arguments.empty_buckets,
        detach_iot: arguments.detach || yes,
        leave_failed: arguments.abandon || arguments.keep_buckets,
        force: arguments.abandon,
    };
    let full = blockers().filter(|one| is_bucket(one)).count();
    // Data is worth a question of its own: `--yes` alone does not delete it.
    if full > 0 && !consent.empty_buckets && !arguments.keep_buckets {
        let what = format!("{} not empty", if full == 1 { "a bucket is" } else { "buckets are" });
        let question = format!(
            "Delete all objects in {}, every version? A no leaves the buckets in the account",
            count(full, "bucket")
        );
        let hint = "`--empty-buckets` deletes the objects, `--keep-buckets` leaves the buckets";
        consent.empty_buckets = ask(question, || what, hint).await?;
        consent.leave_failed |= !consent.empty_buckets;
    }
    if blockers().any(|one| !is_bucket(one)) && !consent.detach_iot {
        let question = "Detach and deactivate what stands in the way?".to_owned();
        let what = || "devices still use what would be deleted".to_owned();
        consent.detach_iot = ask(question, what, "`--detach` takes it away from them").await?;
    }
    Ok(consent)
}

/// Asks, or says what to give on the command line where nobody can answer.
async fn ask(question: String, what: impl FnOnce() -> String, hint: &str) -> Result<bool> {
    if ui::can_ask() {
        return cloud::ask(question).await;
    }
    let error = Error::stack(format!("{}, and there is no terminal to ask at", what()));
    Err(error.hint(hint))
}

fn is_bucket(blocker: &Blocker) -> bool {
    matches!(blocker, Blocker::BucketNotEmpty { .. })
}

fn describe(blocker: &Blocker) -> String {
    match blocker {
        Blocker::BucketNotEmpty { bucket, entries, more, .. } => {
            let plus = if *more { " or more" } else { "" };
            format!("bucket {bucket} holds {entries}{plus} versions of objects")
        }
        Blocker::PolicyAttached { policy, targets, .. } => {
            format!("policy {policy} is attached to {}", count(targets.len(), "principal"))
        }
        Blocker::CertificateInUse { certificate, active, things, policies, .. } => format!(
            "certificate {certificate} is {}, with {} and {}",
            if *active { "active" } else { "inactive" },
            count(things.len(), "thing"),
            count(policies.len(), "policy")
        ),
        Blocker::ThingHasPrincipals { thing, principals, .. } => {
            format!("thing {thing} has {}", count(principals.len(), "certificate"))
        }
        Blocker::GroupHasChildren { group, children, .. } => {
            format!("thing group {group} has the groups {} below it", children.join(", "))
        }
        Blocker::TypeHasThings { thing_type, things, more, .. } => {
            let plus = if *more { " or more" } else { "" };
            format!(
                "{}{plus} from outside the stack have the type {thing_type}",
                count(things.len(), "thing")
            )
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  iotstack destroy --env dev
  iotstack destroy --env dev --force --empty-buckets
  iotstack destroy --all --force --keep-buckets
  iotstack destroy Fleet --detach

Where nobody can be asked (no terminal), what needs a yes ends the command with exit code 1
and nothing is destroyed. --yes agrees to everything but deleting objects; that takes
--empty-buckets.";
