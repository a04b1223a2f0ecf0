//! Infrastructure as code for AWS IoT fleets: what people who write stacks import.
//!
//! ```
//! use iotstack_facade as iotstack;
//! use iotstack::prelude::*;
//! use iotstack::aws::{iam, iot, s3};
//!
//! /// Firmware in a bucket, and a template for the jobs that install it.
//! pub struct FirmwareUpdates {
//!     pub version: String,
//! }
//!
//! impl Construct for FirmwareUpdates {
//!     type Ref = iot::JobTemplateRef;
//!
//!     fn build(self, scope: &Scope) -> Self::Ref {
//!         let firmware = scope.add("Firmware", s3::Bucket { versioned: true, ..default() });
//!         let presigner = scope.add("Presigner", iam::Role::new(iam::Service::IOT));
//!         let _ = firmware.grant_get(&presigner);
//!
//!         let document = object! { "operation": "install", "version": self.version.clone() };
//!         scope.add("Update", iot::JobTemplate {
//!             presigned_urls: Some(iot::PresignedUrls {
//!                 role: presigner.arn(),
//!                 expires: Duration::minutes(15),
//!             }),
//!             rollout: iot::Rollout { max_per_minute: Some(50), ..default() },
//!             ..iot::JobTemplate::new("update", format!("Install firmware {}", self.version), document)
//!         })
//!     }
//! }
//!
//! let app = App::new();
//! let stack = app.add("firmware-updates", Stack::default());
//! let update = stack.add("Updates", FirmwareUpdates { version: "1.1.0".into() });
//! stack.output("UpdateTemplateArn", update.arn());
//! // `app.run()` in `main` writes the assembly.
//! # assert!(app.diagnostics().is_empty());
//! ```
//!
//! This crate has no code of its own: it gathers the construct tree
//! ([`core`]), AWS's resources ([`aws`]) and what devices and cloud say to
//! each other ([`protocol`]) under one name. The program is not here.

pub use iotstack_aws as aws;
pub use iotstack_core::{self as core, Error, Result, assembly, intrinsic, testing, text};
pub use iotstack_core::{
    App, Arn, Asset, Attribute, Condition, Construct, Dependable, Diagnostic, Diagnostics,
    Environment, Expr, Handle, Intrinsic, Literal, Name, Parameter, ParameterRef, Place, Props,
    Pseudo, Resource, Scope, Stack, StackRef, Stage, StageRef, Synthesizer, Text, Untyped, Value,
    default, object, output, units,
};
pub use iotstack_protocol as protocol;

/// What nearly every stack needs: `use iotstack::prelude::*;`.
pub mod prelude {
    pub use iotstack_core::output::Output;
    pub use iotstack_core::{
        App, Arn, Construct, DeletionPolicy, Duration, Environment, Expr, Name, Parameter, Props,
        Pseudo, Scope, Size, Stack, StackRef, Stage, StageRef, Value, default, intrinsic, object,
        text,
    };
}
