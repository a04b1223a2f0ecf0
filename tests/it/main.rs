//! The program from outside: one module per command, one binary for all.
//!
//! `project` makes throw-away projects and runs the program in them; `aws` answers in
//! place of AWS where a test needs a certain answer. `house` holds the code itself to
//! its rules.

// Test code throughout: a panic is how it reports.
#![allow(clippy::unwrap_used)]

mod aws;
mod project;

mod bootstrap;
mod check;
mod completions;
mod deploy;
mod destroy;
mod diff;
mod doctor;
mod explain;
mod init;
mod ls;
mod outputs;
mod synth;

mod app;
mod bad_input;
mod help;
mod house;
mod judge;
