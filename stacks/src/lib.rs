//! The ready stacks, written as a user would write them.
//!
//! Each stack is a struct of typed parameters and an `impl Construct`; this file turns
//! the parameters of an environment into them and writes the assembly. Nothing here is
//! private to iotstack: copy a stack into a project of your own and it compiles.

pub mod firmware_updates;
pub mod parameters;

use std::path::PathBuf;

use iotstack::aws::lambda::Architecture;
use iotstack::{App, Diagnostics, Environment};
use serde_json::{Map, Value};

use firmware_updates::Deployment;
use parameters::Parameters;

/// What to synthesize.
#[derive(Debug, Clone)]
pub struct Request {
    /// The environment's name, such as `dev`; part of every physical name.
    pub environment_name: String,
    /// The account, if it is fixed.
    pub account: Option<String>,
    /// The region, if it is fixed.
    pub region: Option<String>,
    /// The environment's parameters, merged from all places they come from. A name with
    /// dots reaches into objects: `fleet.count`.
    pub parameters: Map<String, Value>,
    /// The program with the Lambda functions.
    pub handlers: Handlers,
    /// The folder for the assembly.
    pub output: PathBuf,
}

/// The program with the Lambda functions.
#[derive(Debug, Clone)]
pub struct Handlers {
    /// Where it is.
    pub program: PathBuf,
    /// The processor it was built for.
    pub architecture: Architecture,
}

/// Why the stacks could not be synthesized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stacks have errors; all of them are here.
    #[error("the stacks have {} errors", .0.len())]
    Diagnostics(Diagnostics),
    /// A parameter is wrong. Whoever set it fixes it.
    #[error("parameter `{name}`: {message}")]
    Parameter {
        /// The parameter, with dots between levels.
        name: String,
        /// What is wrong, and what would be accepted.
        message: String,
    },
    /// The assembly could not be written.
    #[error(transparent)]
    Assembly(#[from] iotstack::assembly::Error),
}

/// Synthesizes the ready stacks for one environment.
pub fn synthesize(request: &Request) -> Result<(), Error> {
    let app = app(request)?;
    app.synth_to(&request.output).map_err(|error| match error {
        iotstack::Error::Invalid(findings) => Error::Diagnostics(findings),
        iotstack::Error::Assembly(error) => Error::Assembly(error),
        // The context does not come from the environment here.
        other => Error::Parameter { name: "context".into(), message: other.to_string() },
    })
}

/// The app with the ready stacks.
pub fn app(request: &Request) -> Result<App, Error> {
    parameters::check_environment_name(&request.environment_name)?;
    let parameters = Parameters::read(request.parameters.clone())?;
    let app = App::new();
    let deployment = Deployment {
        environment_name: request.environment_name.clone(),
        environment: Environment {
            account: request.account.clone(),
            region: request.region.clone(),
        },
        handlers: request.handlers.clone(),
        parameters,
    };
    firmware_updates::add_to(&app, deployment)?;
    Ok(app)
}
