//! `iotstack doctor`: what works here, what does not, and what to do about it.
//!
//! Every check gives one line; none stops the others. Nothing is changed anywhere.

use iotstack_assembly::Environment;
use iotstack_deploy::bootstrap;
use serde::Serialize;

use crate::cli::cloud;
use crate::cli::config::quoted;
use crate::cli::context::{App, Context};
use crate::cli::error::{Error, Kind, Result};
use crate::cli::folder::NewFolder;
use crate::cli::handlers;
use crate::cli::ui::{json, out, style};

/// Looks at this machine, this project and the account, and says what is missing
///
/// Checks the program, iotstack.yaml, the chosen environment, the app, the Lambda
/// functions' program, the output folder, the credentials, their account, and the
/// bootstrap stack. Ends with exit code 1 if something would keep a deployment from
/// working.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Asks AWS nothing
    #[arg(long)]
    offline: bool,

    /// Prints JSON
    #[arg(short, long)]
    json: bool,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    outcome: Outcome,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let mut findings = vec![program()];
    findings.push(finding("configuration", configuration(context)));
    findings.push(finding("environment", environment(context)));
    findings.push(finding("app", app(context)));
    findings.push(functions(context));
    findings.push(finding("output", output(context)));
    if !arguments.offline {
        cloud::block_on(async {
            ask_aws(context, &mut findings).await;
            Ok(())
        })?;
    }
    if arguments.json {
        json::print(&findings)?;
    } else {
        out(&findings.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    }
    if findings.iter().any(|finding| finding.outcome == Outcome::Fail) {
        return Err(Error::told(Kind::Stack));
    }
    Ok(())
}

fn program() -> Finding {
    finding(
        "program",
        Ok(format!(
            "iotstack {} on {} {}, resource schemas of {}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
            iotstack_schema::schema_date()
        )),
    )
}

fn configuration(context: &Context) -> Result<String> {
    let config = context.config()?;
    Ok(match &config.file {
        Some(file) => format!("{} is valid", file.display()),
        None => "there is no iotstack.yaml; the ready stacks are used".into(),
    })
}

fn environment(context: &Context) -> Result<String> {
    let (name, environment) = context.environment()?;
    let known = quoted(context.config()?.environments.keys().map(String::as_str));
    Ok(format!(
        "`{name}` of {known}, account {}, region {}",
        environment.account.as_deref().unwrap_or("of the credentials"),
        context.region()?.as_deref().unwrap_or("of the shell or profile")
    ))
}

fn app(context: &Context) -> Result<String> {
    Ok(match context.app()? {
        App::Ready => "the ready stacks".into(),
        App::Folder(folder) => format!("the assembly in {}", folder.display()),
        App::Command(command) => format!("the command `{command}`"),
    })
}

/// An app of the user's own may do without the Lambda functions.
fn functions(context: &Context) -> Finding {
    let found = handlers::find(context.options.handlers.as_deref()).map(|found| {
        let needs = match found.glibc {
            Some(version) => format!("needs glibc {version}"),
            None => "needs no C library".into(),
        };
        format!("{} for {}, {needs}", found.path.display(), found.architecture.name())
    });
    let mut finding = finding("handlers", found);
    if finding.outcome == Outcome::Fail && !matches!(context.app(), Ok(App::Ready)) {
        finding.outcome = Outcome::Warn;
    }
    finding
}

fn output(context: &Context) -> Result<String> {
    let folder = context.output()?;
    NewFolder::beside(&folder)?;
    Ok(format!("{} can be written", folder.display()))
}

async fn ask_aws(context: &Context, findings: &mut Vec<Finding>) {
    let session = match cloud::session(context).await {
        Ok(session) => session,
        Err(error) => return findings.push(finding("credentials", Err(error))),
    };
    if let Some(url) = session.endpoint_url() {
        let mut one = finding("endpoint", Ok(format!("{url} stands for AWS")));
        one.outcome = Outcome::Warn;
        findings.push(one);
    }
    let identity = match session.identity().await {
        Ok(identity) => identity,
        Err(error) => return findings.push(finding("credentials", Err(error.into()))),
    };
    let message = format!("{} in account {}", identity.arn, identity.account);
    findings.push(finding("credentials", Ok(message)));
    let wanted = context.environment().ok().and_then(|(_, environment)| environment.account);
    let place = Environment { account: wanted, region: context.region().unwrap_or_default() };
    let clients = match session.clients(&place).await {
        Ok(clients) => clients,
        Err(error) => return findings.push(finding("account", Err(error.into()))),
    };
    findings.push(finding("account", Ok(clients.environment().to_string())));
    findings.push(bootstrapped(context, &clients).await);
}

async fn bootstrapped(context: &Context, clients: &iotstack_deploy::Clients) -> Finding {
    let stack_name = context.config().ok().and_then(|config| config.toolkit.stack_name.clone());
    let stack_name = stack_name.unwrap_or_else(|| bootstrap::STACK_NAME.into());
    match bootstrap::find(clients, &stack_name).await {
        Ok(Some(found)) => {
            let bucket = found.bucket.as_deref().unwrap_or("no bucket");
            finding(
                "bootstrap",
                Ok(format!("{stack_name} has version {}, with {bucket}", found.version)),
            )
        }
        Ok(None) => Finding {
            check: "bootstrap",
            outcome: Outcome::Warn,
            message: format!("{} has no stack {stack_name}", clients.environment()),
            help: Some("`iotstack bootstrap` makes it; stacks with assets need it".into()),
        },
        Err(error) => finding("bootstrap", Err(error.into())),
    }
}

fn finding(check: &'static str, result: Result<String>) -> Finding {
    match result {
        Ok(message) => Finding { check, outcome: Outcome::Ok, message, help: None },
        Err(error) => Finding {
            check,
            outcome: Outcome::Fail,
            message: error.message().to_owned(),
            help: error.hints().first().cloned(),
        },
    }
}

fn text(finding: &Finding) -> String {
    let outcome = match finding.outcome {
        Outcome::Ok => style::good("ok  "),
        Outcome::Warn => style::care("warn"),
        Outcome::Fail => style::bad("fail"),
    };
    let mut text = format!("{outcome}  {:14}{}", finding.check, finding.message);
    if let Some(help) = &finding.help {
        text += &format!("\n{:20}{}: {help}", "", style::note("help"));
    }
    text
}

const EXAMPLES: &str = "\
Examples:
  iotstack doctor --env prod
  iotstack doctor --offline --json";
