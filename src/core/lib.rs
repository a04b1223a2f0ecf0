//! The construct tree, typed tokens, and synthesis to a cloud assembly.
//!
//! A description walks one way: constructs are added to a [`Scope`], the tree holds
//! their resources, [`synth`] resolves references, renders templates and writes the
//! assembly. This crate knows CloudFormation's language and no AWS service.
//!
//! ```
//! use iotstack_core::{App, Props, Stack};
//!
//! let app = App::new();
//! let stack = app.add("greenhouse", Stack::default());
//! let topic = stack.untyped("Alarms", "AWS::SNS::Topic", Props::new());
//! stack.output("AlarmTopic", topic.reference());
//!
//! let template = iotstack_core::testing::Template::from(&stack);
//! template.resource_count_is("AWS::SNS::Topic", 1);
//! ```
//!
//! Invariants: no clock, no randomness, no map without order, so the same input gives
//! the same bytes; nothing is written before [`App::run`] or [`App::synth_to`]; the
//! tree lives on one thread and nothing of it survives synthesis.

pub mod app;
pub mod asset;
pub mod condition;
pub mod construct;
pub mod error;
pub mod intrinsic;
pub mod l1;
pub mod logical_id;
pub mod output;
pub mod parameter;
pub mod resource;
mod serialize;
pub mod stack;
pub mod synth;
pub mod testing;
pub mod text;
pub mod token;
pub mod tree;
pub mod units;
pub mod value;

pub use app::{App, Stage, StageRef};
pub use asset::{Asset, AssetLocation};
pub use condition::Condition;
pub use construct::{Construct, Scope, default};
pub use error::{Error, Result};
pub use iotstack_assembly as assembly;
pub use iotstack_assembly::{Diagnostic, Diagnostics, Environment, Place};
pub use parameter::{Parameter, ParameterRef};
pub use resource::{Attribute, Dependable, Handle, Resource, Tagging, Untyped};
pub use stack::{Stack, StackRef, Synthesizer};
pub use token::{Arn, Intrinsic, Name, Pseudo};
pub use tree::DeletionPolicy;
pub use units::{Duration, Size};
pub use value::{Expr, Literal, Props, Text, Value};
