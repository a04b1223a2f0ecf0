//! What a command gets: the options that all commands share, and what follows from them.
//!
//! The configuration is read when a command first asks for it, so that `completions` or
//! `explain` work in any folder. Nothing here touches the network.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use super::config::{Config, Environment, OUTPUT, merge, region_name};
use super::error::{Error, Result};

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// The environment, one of those in iotstack.yaml [default: dev, or the only one]
    #[arg(long, global = true, value_name = "NAME", env = "IOTSTACK_ENV", hide_env = true)]
    #[arg(help_heading = PROJECT)]
    pub env: Option<String>,

    /// Takes the stacks of this command, or of this folder with a cloud assembly
    #[arg(short, long, global = true, value_name = "COMMAND|DIR", help_heading = PROJECT)]
    pub app: Option<String>,

    /// Sets a parameter or context value; may be given more than once
    ///
    /// VALUE is read as JSON if it is JSON (`100`, `true`, `["a"]`), and as text if not.
    /// `-c a.b=1` sets `b` inside `a`.
    #[arg(short, long, global = true, value_name = "KEY=VALUE", help_heading = PROJECT)]
    pub context: Vec<String>,

    /// Reads this file instead of iotstack.yaml
    #[arg(long, global = true, value_name = "FILE", help_heading = PROJECT)]
    pub config: Option<PathBuf>,

    /// The folder for the cloud assembly [default: iotstack.out]
    #[arg(short, long, global = true, value_name = "DIR", help_heading = PROJECT)]
    pub output: Option<PathBuf>,

    /// The program with the Lambda functions [default: iotstack-handlers beside iotstack]
    #[arg(long, global = true, value_name = "FILE", env = "IOTSTACK_HANDLERS", hide_env = true)]
    #[arg(help_heading = PROJECT)]
    pub handlers: Option<PathBuf>,

    /// Uses the credentials and region of this profile
    #[arg(long, global = true, value_name = "NAME", help_heading = AWS)]
    pub profile: Option<String>,

    /// Works in this region
    #[arg(long, global = true, value_name = "REGION", help_heading = AWS)]
    #[arg(value_parser = region_name)]
    pub region: Option<String>,

    /// Talks to this address instead of AWS, such as a local cloud
    #[arg(long, global = true, value_name = "URL", env = "AWS_ENDPOINT_URL", hide_env = true)]
    #[arg(help_heading = AWS)]
    pub endpoint_url: Option<String>,

    /// Treats warnings as errors
    #[arg(long, global = true, help_heading = BEHAVIOUR)]
    pub strict: bool,

    /// Answers yes to every question
    #[arg(short, long, global = true, help_heading = BEHAVIOUR)]
    pub yes: bool,

    /// Tells more of what happens; twice for every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = BEHAVIOUR)]
    pub verbose: u8,

    /// Writes no colours (also with NO_COLOR)
    #[arg(long, global = true, help_heading = BEHAVIOUR)]
    pub no_color: bool,
}

const PROJECT: &str = "Project options";
const AWS: &str = "AWS options";
const BEHAVIOUR: &str = "Other options";

/// What a command works with.
#[derive(Debug)]
pub struct Context {
    /// The options of every command.
    pub options: Global,
    config: OnceCell<Config>,
}

/// The app that is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum App {
    /// The ready stacks.
    Ready,
    /// An assembly that exists already.
    Folder(PathBuf),
    /// A command that writes an assembly.
    Command(String),
}

impl Context {
    /// A context for these options.
    pub fn new(mut options: Global) -> Self {
        options.env = said(options.env, "IOTSTACK_ENV");
        Context { options, config: OnceCell::new() }
    }

    /// What `iotstack.yaml` says.
    pub fn config(&self) -> Result<&Config> {
        if self.config.get().is_none() {
            let loaded = Config::load(self.options.config.as_deref())?;
            // Nobody else can have set it in between: commands run on one thread.
            let _ = self.config.set(loaded);
        }
        Ok(self.config.get_or_init(Config::default))
    }

    /// The environment's name and settings.
    ///
    /// A finished assembly has its environments inside, so nobody needs to choose one.
    pub fn environment(&self) -> Result<(String, Environment)> {
        let chosen = self.config()?.environment(self.options.env.as_deref());
        match chosen {
            Err(_) if self.options.env.is_none() && matches!(self.app()?, App::Folder(_)) => {
                Ok(Default::default())
            }
            chosen => chosen,
        }
    }

    /// Where the stacks come from.
    pub fn app(&self) -> Result<App> {
        let config = self.config()?;
        let (app, folder) = match (&self.options.app, &config.app) {
            (Some(app), _) => (app, Path::new("")),
            (None, Some(app)) => (app, config.folder.as_path()),
            (None, None) => return Ok(App::Ready),
        };
        if app.trim().is_empty() {
            return Err(Error::usage("`app` is empty: expected a command or a folder"));
        }
        let path = folder.join(app);
        Ok(if path.is_dir() { App::Folder(path) } else { App::Command(app.clone()) })
    }

    /// The folder that a caller made for the assembly: `cdk` or another iotstack that runs
    /// this program as an app.
    pub fn given_output(&self) -> Option<PathBuf> {
        let given = std::env::var_os("CDK_OUTDIR").filter(|path| !path.is_empty());
        given.filter(|_| self.options.output.is_none()).map(PathBuf::from)
    }

    /// The folder for the assembly.
    pub fn output(&self) -> Result<PathBuf> {
        let config = self.config()?;
        Ok(match (&self.options.output, &config.output) {
            (Some(output), _) => output.clone(),
            (None, Some(output)) => config.folder.join(output),
            (None, None) => config.folder.join(OUTPUT),
        })
    }

    /// The profile with the credentials, if one is named here.
    pub fn profile(&self) -> Result<Option<String>> {
        match &self.options.profile {
            Some(profile) => Ok(Some(profile.clone())),
            None => Ok(self.environment()?.1.profile),
        }
    }

    /// The region that this project names: the option, then the environment's.
    pub fn region(&self) -> Result<Option<String>> {
        match &self.options.region {
            Some(region) => Ok(Some(region.clone())),
            None => Ok(self.environment()?.1.region),
        }
    }

    /// The parameters: of all environments, of this one, of the command line.
    pub fn parameters(&self) -> Result<Map<String, Value>> {
        let mut parameters = self.config()?.parameters.clone();
        merge(&mut parameters, &self.environment()?.1.parameters);
        for (key, value) in self.context_options()? {
            // Keys such as `@aws-cdk/core:x` are for the app's framework.
            if !key.contains([':', '@', '/']) {
                if key.split('.').any(str::is_empty) {
                    return Err(Error::usage(format!(
                        "`-c {key}=…` is not valid: expected names between the dots, such as \
                         `fleet.count`"
                    )));
                }
                merge(&mut parameters, &nested(&key, value));
            }
        }
        Ok(parameters)
    }

    /// The values given with `-c`, keys as written.
    pub fn context_options(&self) -> Result<Map<String, Value>> {
        let options = self.options.context.iter().map(|option| context_option(option));
        options.collect()
    }
}

/// A variable that is set to nothing says nothing; an option that does is a mistake.
fn said(value: Option<String>, variable: &str) -> Option<String> {
    let by_variable = std::env::var_os(variable).is_some_and(|value| value.is_empty());
    value.filter(|value| !(value.is_empty() && by_variable))
}

/// Reads one `KEY=VALUE`.
fn context_option(option: &str) -> Result<(String, Value)> {
    match option.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((key.trim().to_owned(), value))
        }
        _ => Err(Error::usage(format!("`-c {option}` is not valid: expected KEY=VALUE"))),
    }
}

/// `a.b` = 1 as `{"a": {"b": 1}}`.
fn nested(key: &str, value: Value) -> Map<String, Value> {
    let mut parts = key.rsplit('.');
    // Splitting gives at least one part.
    let last = parts.next().unwrap_or(key);
    let innermost = Map::from_iter([(last.to_owned(), value)]);
    parts.fold(innermost, |inner, part| Map::from_iter([(part.to_owned(), Value::Object(inner))]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn context(options: &[&str]) -> Context {
        let context = options.iter().map(|&option| option.into()).collect();
        let context = Context::new(Global { context, ..Global::default() });
        let environments = [("dev".to_owned(), None)].into();
        context.config.set(Config { environments, ..Config::default() }).unwrap();
        context
    }

    #[test]
    fn reads_numbers_lists_and_text() {
        let read = |option| context_option(option).unwrap();
        assert_eq!(read("things=100"), ("things".into(), json!(100)));
        assert_eq!(read("name=pump-1"), ("name".into(), json!("pump-1")));
        assert_eq!(read("mail=a=b"), ("mail".into(), json!("a=b")));
        assert_eq!(read("names=[\"a\"]"), ("names".into(), json!(["a"])));
        assert_eq!(
            context_option("things").unwrap_err().message(),
            "`-c things` is not valid: expected KEY=VALUE"
        );
    }

    #[test]
    fn a_dotted_key_sets_a_value_inside() {
        assert_eq!(Value::Object(nested("a.b.c", json!(1))), json!({"a": {"b": {"c": 1}}}));
    }

    #[test]
    fn a_key_with_a_hole_is_refused() {
        for key in [".", "fleet..count", "fleet."] {
            let error = context(&[&format!("{key}=1")]).parameters().unwrap_err();
            assert_eq!(
                error.message(),
                format!(
                    "`-c {key}=…` is not valid: expected names between the dots, such as \
                     `fleet.count`"
                )
            );
        }
    }

    #[test]
    fn keys_of_the_framework_are_no_parameters() {
        let context = context(&["@aws-cdk/core:x=true", "a=1"]);
        assert_eq!(context.context_options().unwrap().len(), 2);
    }
}
