//! Judges that are not ours: linters, the stock `cdk` program, a stand-in for AWS.
//!
//! Everything here calls programs that other people wrote, at pinned versions
//! which the suite installs by itself on first use ([`install`]): `cfn-lint`,
//! `cloudformation-validate` and `parliament` over templates ([`lint`]),
//! `ministack` as the cloud that is deployed to ([`cloud`]), the AWS CLI, and the
//! `cdk` program with a TypeScript app as the peer ([`cdk`]).
//!
//! The tests in this module judge the judges: a linter that finds nothing because
//! it was never started would be worth nothing. What iotstack makes is judged
//! where it is made, in the modules of the verbs.

// Test code throughout: a panic is how it reports.
#![allow(clippy::unwrap_used)]

pub mod cdk;
pub mod cloud;
pub mod install;
pub mod lint;

mod tests;
