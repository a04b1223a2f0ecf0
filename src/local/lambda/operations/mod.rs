//! The operations of Lambda's API, one file per noun.
//!
//! Each reads the members of a call, asks the service for a change or a look, and
//! shapes the answer. What is shared is how a function is named and how lists are cut
//! into pages.

mod alias;
mod concurrency;
mod function;
mod invocation;
mod permission;
mod tag;
mod version;

pub(crate) use function::code_of_template;

use iotstack_local_kernel::{Call, Fault, loose};

use crate::name::FunctionName;

/// The function that a call names, with its qualifier.
fn named(call: &Call) -> Result<FunctionName, Fault> {
    let qualifier = loose::text(&call.input, "Qualifier")?;
    FunctionName::parse(call.text("FunctionName")?, qualifier.as_deref())
}

/// The function that a call names, which must be one without a qualifier.
fn unqualified(call: &Call) -> Result<FunctionName, Fault> {
    let name = named(call)?;
    match &name.qualifier {
        Some(qualifier) if qualifier != "$LATEST" => Err(Fault::invalid_input(format!(
            "{} is for the function itself, not for `{qualifier}` of it",
            call.operation
        ))),
        _ => Ok(FunctionName { qualifier: None, ..name }),
    }
}

/// How many items a page holds.
fn limit(call: &Call) -> Result<usize, Fault> {
    let limit = loose::integer(&call.input, "MaxItems")?.unwrap_or(50);
    if !(1..=10_000).contains(&limit) {
        return Err(Fault::invalid_input(format!("MaxItems must be 1 to 10000, not {limit}")));
    }
    // AWS gives fifty at most, however many are wanted.
    Ok(usize::try_from(limit.min(50)).unwrap_or(50))
}
