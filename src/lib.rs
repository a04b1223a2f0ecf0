//! Infrastructure for IoT fleets on AWS, from typed Rust.
//!
//! This is the library that people who write stacks use: it re-exports the façade,
//! which in turn gathers the construct tree and the AWS constructs. The program
//! `iotstack` lives in the same package behind the feature `cli`; an app that only
//! describes stacks depends on this crate with `default-features = false` and builds
//! neither the AWS SDK nor anything that draws on a terminal.
//!
//! There is no code here, so that the ready stacks can use the façade and the program
//! can contain the ready stacks.

pub use iotstack_facade::*;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
