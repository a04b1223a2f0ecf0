//! The root of the tree: an app, and stages in it.
//!
//! An app takes stacks, directly or inside a stage, and nothing else. A stage is a copy
//! of the system for one environment; it becomes an assembly of its own inside the
//! app's.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use iotstack_assembly::{CloudAssembly, Diagnostics, Environment};

use crate::construct::Scope;
use crate::stack::{Stack, StackRef};
use crate::tree::{Element, NodeId, StackData, Tree};
use crate::value::Text;
use crate::{Error, Result, synth};

/// The root of everything that is described.
#[derive(Debug, Clone)]
pub struct App(Scope);

impl App {
    /// An app with no context.
    pub fn new() -> Self {
        Self::with_context(serde_json::Map::new())
    }

    /// An app with context values.
    pub fn with_context(context: serde_json::Map<String, serde_json::Value>) -> Self {
        App(Scope::new(Rc::new(RefCell::new(Tree::new(context))), NodeId::ROOT))
    }

    /// An app with the context that `iotstack` or `cdk` hands to the program they start.
    pub fn from_env() -> Result<Self> {
        const VARIABLE: &str = "CDK_CONTEXT_JSON";
        let text = match std::env::var("CONTEXT_OVERFLOW_LOCATION_ENV") {
            Ok(file) => Some(
                std::fs::read_to_string(&file)
                    .map_err(iotstack_assembly::Error::io("read", file))?,
            ),
            Err(_) => std::env::var(VARIABLE).ok(),
        };
        let context = match text {
            None => serde_json::Map::new(),
            Some(text) => serde_json::from_str(&text).map_err(|error| Error::Context {
                variable: VARIABLE,
                message: error.to_string(),
            })?,
        };
        Ok(Self::with_context(context))
    }

    /// The environment that the caller chose by `--env NAME`, if it is `iotstack`.
    pub fn environment_name(&self) -> Option<String> {
        self.0.context("iotstack:env")?.as_str().map(str::to_owned)
    }

    /// The account and region of the caller's choice or credentials, as `iotstack` and
    /// `cdk` hand them over.
    pub fn caller_environment() -> Environment {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Environment {
            account: variable("CDK_DEFAULT_ACCOUNT"),
            region: variable("CDK_DEFAULT_REGION"),
        }
    }

    /// A context value.
    pub fn context(&self, key: &str) -> Option<serde_json::Value> {
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

fn add_stack(scope: &Scope, id: Text, stack: Stack) -> StackRef {
    let data =
        StackData { stack, depends_on: Vec::new(), assets: Vec::new(), transforms: Vec::new() };
    let node = scope.insert(id, Element::Stack(Box::new(data)));
    StackRef::new(scope.with_node(node))
}
