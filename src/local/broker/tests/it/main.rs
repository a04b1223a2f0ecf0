//! The broker from outside: real sockets on loopback, packets through `wire`.
//!
//! One module per part of the behaviour; `world` makes a cloud with a broker, an
//! authority that knows a few simple rules, and clients.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod connect;
mod faults;
mod lifecycle;
mod management;
mod publish;
mod reserved;
mod restart;
mod retained;
mod session;
mod shared;
mod standard;
mod storm;
mod subscribe;
mod tls;
mod world;
