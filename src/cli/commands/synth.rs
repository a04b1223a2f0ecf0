//! `iotstack synth`: runs the app, writes the cloud assembly, prints the template.

use clap::ValueEnum;

use iotstack_assembly::StackArtifact;
use iotstack_deploy::{Selection, plan};

use crate::cli::app::{self, Synthesized};
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::judge::{self, Judgement};
use crate::cli::ui::{out, tell};

/// Writes the CloudFormation templates, and prints the one of a single stack
///
/// Runs the app, which writes a cloud assembly (templates, assets and a manifest, the
/// format of AWS CDK) into the output folder. The folder is replaced when everything went
/// well; if not, the previous assembly stays as it was.
///
/// If the app has one stack, or one is named, its template goes to standard output, and
/// nothing else does. The templates are checked as by `iotstack check`; findings go to
/// standard error, and errors among them fail the command after the template was printed.
///
/// Started by `cdk --app 'iotstack synth -q'`, it writes where cdk wants the assembly.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "synthesize", after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names or patterns of stacks [default: all]
    #[arg(value_name = "STACKS")]
    stacks: Vec<String>,

    /// Leaves out the stacks that the chosen ones need
    #[arg(short, long)]
    exclusively: bool,

    /// The form in which the template is printed
    #[arg(long, value_enum, default_value_t = Format::Yaml, value_name = "FORMAT")]
    format: Format,

    /// Prints JSON; the same as `--format json`
    #[arg(short, long, conflicts_with = "format")]
    json: bool,

    /// Prints no template
    #[arg(short, long)]
    quiet: bool,

    /// Does not check the templates
    #[arg(long, visible_alias = "no-validation")]
    no_check: bool,
}

/// A form of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON, as it is in the assembly.
    Json,
    /// YAML with functions in their long form.
    Yaml,
}

/// Runs the command.
pub fn run(arguments: Arguments, context: &Context) -> Result<()> {
    let app = app::synthesize(context)?;
    let (selected, shown) = choose(&app, &arguments)?;
    let format = if arguments.json { Format::Json } else { arguments.format };

    // One template at a time: an app may have more of them than fit into memory.
    let mut judgement = Judgement::default();
    for stack in selected {
        let is_shown = shown.is_some_and(|shown| std::ptr::eq(shown, stack));
        if arguments.no_check && !is_shown {
            continue;
        }
        if !arguments.no_check {
            judgement.hear_app(stack);
        }
        let bytes = stack.template_bytes()?;
        let template = judge::read(stack, &bytes)?;
        if is_shown {
            match format {
                Format::Json => out(&String::from_utf8_lossy(&bytes))?,
                Format::Yaml => out(&template.to_yaml())?,
            }
        }
        if !arguments.no_check {
            judgement.check(stack, &template, bytes.len(), context.options.region.as_deref());
        }
    }
    if shown.is_none() && !arguments.quiet {
        tell(format!("Successfully synthesized to {}", app.folder.display()));
    }
    judgement.finish(context)
}

/// The stacks that count, and the one whose template is printed.
fn choose<'a>(
    app: &'a Synthesized,
    arguments: &Arguments,
) -> Result<(Vec<&'a StackArtifact>, Option<&'a StackArtifact>)> {
    let all = arguments.stacks.is_empty();
    if all && app.assembly.stacks().is_empty() {
        return Ok((Vec::new(), None));
    }
    let selection =
        Selection { patterns: arguments.stacks.clone(), all, exclusively: arguments.exclusively };
    let selected = plan::select(&app.assembly, &selection)?;
    let named = plan::select(&app.assembly, &Selection { exclusively: true, ..selection })?;
    let shown = match named.as_slice() {
        [only] if !arguments.quiet => Some(*only),
        _ => None,
    };
    Ok((selected, shown))
}

const EXAMPLES: &str = "\
Examples:
  iotstack synth --env dev
  iotstack synth --env prod --format json > template.json
  iotstack synth -q -o build/assembly
  iotstack synth -c fleet.count=100
  iotstack synth --app 'npx ts-node bin/app.ts' MyStack

With several stacks and none named, only the folder is announced. A named stack that needs
others is printed alone, while the others are checked with it unless -e is given.";
