//! The section `Rules`: assertions about parameters.
//!
//! A rule whose condition does not hold says nothing. All assertions that fail
//! are told together. Functions that ask about types of parameters
//! (`Fn::ValueOf`, `Fn::ValueOfAll`) are refused by name.

use iotstack_local_kernel::Account;
use serde_json::Value;

use super::Prepared;
use super::evaluate::Nothing;
use crate::{Error, Result};

/// Checks all rules.
///
/// # Errors
/// The descriptions of the assertions that do not hold.
pub fn check(prepared: &Prepared, account: &Account, stack: &str) -> Result<()> {
    let scope = prepared.scope(account, stack, stack, &Nothing);
    let wrong = |rule: &str, reason: String| {
        Error::invalid(format!("Template error: rule {rule}: {reason}"))
    };
    let mut failed = Vec::new();
    for (name, rule) in &prepared.template.rules {
        if let Some(condition) = rule.get("RuleCondition")
            && !scope.condition(condition).map_err(|reason| wrong(name, reason))?
        {
            continue;
        }
        let assertions = rule.get("Assertions").and_then(Value::as_array);
        for assertion in assertions.into_iter().flatten() {
            let test = assertion.get("Assert").unwrap_or(&Value::Null);
            if !scope.condition(test).map_err(|reason| wrong(name, reason))? {
                let description = assertion.get("AssertDescription").and_then(Value::as_str);
                failed.push(description.unwrap_or(name).to_owned());
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid(format!("Template validation error: {}", failed.join("; "))))
    }
}
