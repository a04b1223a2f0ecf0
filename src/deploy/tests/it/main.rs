//! The deploy floor from outside, through the real SDK, against a cloud in memory.
//!
//! Nothing here waits, opens a socket, or reads the environment: the cloud answers in
//! the place of the HTTP client, and the pace is set to no waiting at all.

// Helpers of tests are tests too, which the lint does not see.
#![allow(clippy::unwrap_used)]

mod app;
mod cloud;
mod deploy;
mod destroy;
mod errors;
mod interrupt;
mod publish;
mod states;
