//! The constructs of this crate from outside: one module per service.
//!
//! Each L2 is synthesized once with its defaults and once with everything, compared with
//! a template in `expected/`, and judged by the checks that users run. `l1` compares the
//! generated tables with the schemas, `ui` holds what must not compile.

// Test code throughout: a panic is how it reports.
#![allow(clippy::unwrap_used)]

mod template;

mod cloudwatch;
mod events;
mod iam;
mod iot;
mod kms;
mod lambda;
mod logs;
mod patterns;
mod s3;
mod sns;
mod ssm;

mod l1;
mod l1_use;
mod ui;
