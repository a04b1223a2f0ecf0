//! S3 as clients meet it: signed HTTP requests over loopback.
//!
//! The bench holds server, keys and client; each file tests one side of it.

mod bench;
mod buckets;
mod notifications;
mod objects;
mod odd;
mod presigned;
mod refused;
mod signatures;
mod state;

use bench::{Bench, RequestExt};
