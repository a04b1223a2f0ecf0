//! What synthesis hands over: templates, manifest and assets as plain data.
//!
//! This is the contract between an app and the tools. [`Template`] is one
//! CloudFormation template, [`CloudAssembly`] the folder an app writes (the format of
//! AWS CDK, so both tool chains read both kinds of app), [`Diagnostic`] a finding about
//! either. The types are the ones that synthesis writes and that checking, diffing and
//! deploying read; nobody has a second model.
//!
//! Invariants: nothing here touches the network or a clock, nothing prints, and the
//! same data always becomes the same bytes.

pub mod asset;
pub mod cloud_assembly;
pub mod diagnostic;
pub mod diff;
pub mod environment;
pub mod error;
pub mod graph;
pub mod intrinsic;
pub mod manifest;
pub mod parse;
pub mod template;
pub mod yaml;

pub use cloud_assembly::{CloudAssembly, StackArtifact};
pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
pub use environment::Environment;
pub use error::{Error, Result};
pub use template::{Resource, Template};
