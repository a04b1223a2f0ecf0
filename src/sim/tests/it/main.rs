//! Devices against a small cloud of the tests' own, over real sockets.
//!
//! The cloud here is scripted to misbehave. It shares nothing with the local cloud but
//! the packets of MQTT, so that devices are judged by the wire alone.

// A test that cannot go on says so by panicking, in its helpers as well.
#![allow(clippy::unwrap_used)]

mod cloud;
mod web;

mod advisor;
mod connection;
mod faults;
mod table;
mod updates;
mod whole;
