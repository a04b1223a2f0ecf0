//! The program from outside: one module per command, one binary for all.
//!
//! `project` makes throw-away projects and runs the program in them; `aws` answers in
//! place of AWS where a test needs a certain answer; `operator` rolls out to devices. `acceptance` is the ready stacks and
//! the program before the judges, and takes longest; `house` holds the code itself to its
//! rules.

// Test code throughout: a panic is how it reports.
#![allow(clippy::unwrap_used)]

mod aws;
mod operator;
mod project;

mod acceptance;

mod bootstrap;
mod check;
mod completions;
mod console;
mod demo;
mod deploy;
mod destroy;
mod device;
mod diff;
mod doctor;
mod explain;
mod faults;
mod firmware;
mod full_disk;
mod init;
mod job;
mod killed;
mod local;
mod ls;
mod misbehaviour;
mod outputs;
mod readme;
mod simulate;
mod strangers;
mod stream;
mod synth;
mod time_lapse;

mod app;
mod bad_input;
mod examples;
mod help;
mod house;
mod judge;
