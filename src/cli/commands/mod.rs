//! The commands: one verb, one file.
//!
//! Each file has `Arguments`, whose documentation is the command's manual, and `run`. To
//! add one, write the file, name it here and in the list in `cli/mod.rs`, and give it a
//! test module in `tests/it`.

pub mod bootstrap;
pub mod check;
pub mod completions;
pub mod demo;
pub mod deploy;
pub mod destroy;
pub mod device;
pub mod diff;
pub mod doctor;
pub mod explain;
pub mod firmware;
pub mod init;
pub mod job;
pub mod local;
pub mod ls;
pub mod outputs;
pub mod simulate;
pub mod synth;
