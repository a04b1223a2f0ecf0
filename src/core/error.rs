//! Why synthesis could not finish.

use iotstack_assembly::Diagnostics;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why synthesis could not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The description has errors; all of them are here. Whoever wrote it fixes them.
    #[error("the app has errors:{}", list(.0))]
    Invalid(Diagnostics),
    /// The assembly could not be written.
    #[error(transparent)]
    Assembly(#[from] iotstack_assembly::Error),
    /// The context that the caller handed over is not a JSON object.
    #[error("the context in `{variable}` is not valid: {message}; expected a JSON object")]
    Context {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

fn list(findings: &Diagnostics) -> String {
    findings
        .iter()
        .map(|found| {
            let place = found.place.construct.as_deref().unwrap_or("app");
            format!("\n  {place}: {} [{}]", found.message, found.code)
        })
        .collect()
}
