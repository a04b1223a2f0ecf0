//! The root of the tree: an app, and stages in it.
//!
//! An app takes stacks, directly or inside a stage, and nothing else. A stage is a copy
//! of the system for one environment; it becomes an assembly of its own inside the
//! app's.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use iotstack_assembly::{CloudAssembly, Diagnostics, Environment, Error as AssemblyError};
use serde_json::{Map, Value};

use crate::construct::Scope;
use crate::stack::{Stack, StackRef, Synthesizer};
use crate::tree::{Element, NodeId, StackData, Tree};
use crate::value::Text;
use crate::{Error, Result, synth};

/// The root of everything that is described.
#[derive(Debug, Clone)]
pub struct App(Scope);

impl App {
    /// An app with no context.
    pub fn new() -> Self {
        Self::with_context(Map::new())
    }

    /// An app with context values.
    pub fn with_context(context: Map<String, Value>) -> Self {
        App(Scope::new(Rc::new(RefCell::new(Tree::new(context))), NodeId::ROOT))
    }

    /// An app with the context that `iotstack` or `cdk` hands to the program they start.
    pub fn from_env() -> Result<Self> {
        Ok(Self::with_context(context_of(variable)?))
    }

    /// The environment that the caller chose by `--env NAME`, if it is `iotstack`.
    pub fn environment_name(&self) -> Option<String> {
        self.0.context("iotstack:env")?.as_str().map(str::to_owned)
    }

    /// The account and region of the caller's choice or credentials, as `iotstack` and
    /// `cdk` hand them over.
    pub fn caller_environment() -> Environment {
        environment_of(variable)
    }

    /// A context value.
    pub fn context(&self, key: &str) -> Option<Value> {
        self.0.context(key)
    }

    /// Adds a stack.
    pub fn add(&self, id: impl Into<Text>, stack: Stack) -> StackRef {
        add_stack(&self.0, id.into(), stack)
    }

    /// Adds a stage.
    pub fn stage(&self, id: impl Into<Text>, stage: Stage) -> StageRef {
        let node = self.0.insert(id.into(), Element::Stage);
        StageRef { scope: self.0.with_node(node), environment: stage.environment }
    }

    /// Findings so far: what constructs reported, and what synthesis would refuse.
    pub fn diagnostics(&self) -> Diagnostics {
        synth::findings(&self.0)
    }

    /// Synthesizes into `directory`, which is made if it is missing.
    pub fn synth_to(&self, directory: impl AsRef<Path>) -> Result<()> {
        synth::write_assembly(&self.0, directory.as_ref())
    }

    /// Synthesizes into `directory` and reads the result, for tests and tools.
    pub fn synth(&self, directory: impl AsRef<Path>) -> Result<CloudAssembly> {
        self.synth_to(directory.as_ref())?;
        Ok(CloudAssembly::read(directory.as_ref())?)
    }

    /// Synthesizes into the folder that the caller asked for (`CDK_OUTDIR`), or into
    /// `iotstack.out`. For `main`.
    pub fn run(self) -> Result<()> {
        let directory = std::env::var_os("CDK_OUTDIR").map_or("iotstack.out".into(), PathBuf::from);
        self.synth_to(directory)
    }
}

impl Default for App {
    fn default() -> Self {
        App::new()
    }
}

/// A copy of the system for one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// Where its stacks go unless they say otherwise.
    pub environment: Environment,
}

/// A stage in the tree.
#[derive(Debug, Clone)]
pub struct StageRef {
    scope: Scope,
    environment: Environment,
}

impl StageRef {
    /// Adds a stack to the stage.
    pub fn add(&self, id: impl Into<Text>, mut stack: Stack) -> StackRef {
        if stack.environment.is_agnostic() {
            stack.environment = self.environment.clone();
        }
        add_stack(&self.scope, id.into(), stack)
    }
}

fn add_stack(scope: &Scope, id: Text, mut stack: Stack) -> StackRef {
    // A stack that says nothing uses the bootstrap that its caller names.
    if stack.synthesizer == Synthesizer::default()
        && let Some(serde_json::Value::String(qualifier)) = scope.context(QUALIFIER_KEY)
    {
        stack.synthesizer = Synthesizer::Bootstrapped { qualifier };
    }
    let data =
        StackData { stack, depends_on: Vec::new(), assets: Vec::new(), transforms: Vec::new() };
    let node = scope.insert(id, Element::Stack(Box::new(data)));
    StackRef::new(scope.with_node(node))
}

/// A variable of the process; an empty one is as good as none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The context comes in one variable; the part that does not fit there is in a file
/// that another variable names.
fn context_of(variable: impl Fn(&str) -> Option<String>) -> Result<Map<String, Value>> {
    let mut context = Map::new();
    if let Some(text) = variable(CONTEXT) {
        context.extend(parse_context(CONTEXT, &text)?);
    }
    if let Some(file) = variable(CONTEXT_FILE) {
        let text = std::fs::read_to_string(&file).map_err(AssemblyError::io("read", file))?;
        context.extend(parse_context(CONTEXT_FILE, &text)?);
    }
    Ok(context)
}

fn parse_context(variable: &'static str, text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text)
        .map_err(|error| Error::Context { variable, message: error.to_string() })
}

fn environment_of(variable: impl Fn(&str) -> Option<String>) -> Environment {
    Environment { account: variable("CDK_DEFAULT_ACCOUNT"), region: variable("CDK_DEFAULT_REGION") }
}

/// The variable with the context, as CDK named it.
const CONTEXT: &str = "CDK_CONTEXT_JSON";
/// The variable with the path of the file that holds the rest; CDK named it so, too.
const CONTEXT_FILE: &str = "CONTEXT_OVERFLOW_LOCATION_ENV";

/// The context key that CDK has for it.
const QUALIFIER_KEY: &str = "@aws-cdk/core:bootstrapQualifier";

#[cfg(test)]
mod tests;
