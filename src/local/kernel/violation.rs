//! What AWS says of members of a request that its model does not allow.
//!
//! Services differ in the error's code, not in these sentences, which clients look into.

/// One violation: the member, its value where AWS repeats it, and what is accepted.
pub fn violation(member: &str, value: Option<&str>, wanted: &str) -> String {
    let value = value.map(|value| format!("'{value}' ")).unwrap_or_default();
    format!("Value {value}at '{member}' failed to satisfy constraint: {wanted}")
}

/// All violations of a request, counted.
pub fn violations(all: &[String]) -> String {
    let errors = if all.len() == 1 { "error" } else { "errors" };
    format!("{} validation {errors} detected: {}", all.len(), all.join("; "))
}
