//! IoT policies: read once, judged for every message.
//!
//! A document is taken apart when it is stored ([`Document`]). A connection
//! takes the statements of all its documents that can apply to it, with the
//! values of the policy variables that they use ([`Judge`]); judging a message
//! then matches texts and allocates nothing.
//!
//! The order is AWS's: nothing allows, so no; something allows, so yes; something
//! denies, so no whatever allows. A statement with a variable that has no value
//! does not apply at all.

mod condition;
mod document;
mod judge;
mod pattern;
mod variable;

pub use document::{Action, Document};
pub use judge::{Judge, Request};
pub use variable::{Connect, Env};

#[cfg(test)]
mod tests;
