//! The program from outside: one module per command, one binary for all.
//!
//! `project` makes throw-away projects and runs the program in them; `aws` answers in
//! place of AWS where a test needs a certain answer, `live` brings a cloud that behaves.
//! `house` holds the code itself to its rules. The last four are the acceptance: the ready
//! stacks and the program before judges that are not ours.

// Test code throughout: a panic is how it reports.
#![allow(clippy::unwrap_used)]

mod aws;
mod live;
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
mod examples;
mod help;
mod house;
mod judge;

mod cdk;
mod interrupted;
mod story;
mod templates;
