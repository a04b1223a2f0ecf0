//! From a cloud assembly to running stacks and back, through the AWS SDK.
//!
//! The walk: [`plan::select`] picks stacks of an assembly and orders them;
//! [`Session`] finds the caller's credentials and [`Session::clients`] opens one
//! environment; [`asset::publish`] brings missing files to the bucket;
//! [`change_set::propose`] says what CloudFormation would do, as a [`Proposal`];
//! the caller decides; [`change_set::execute`] does it and follows it to the end;
//! [`outputs::outputs`] reads the result. [`destroy::inspect`] and
//! [`destroy::destroy`] take the same road back, [`mod@bootstrap`] prepares an account.
//!
//! Invariants:
//! * nothing here prints, asks or reads a terminal; what happens is told to an
//!   [`EventSink`] and what failed is an [`Error`] with a [`Kind`] and a hint;
//! * nothing destructive happens without a value in which the caller agreed to it;
//! * every future may be dropped at any await: CloudFormation goes on by itself, and
//!   the next call attaches to what is running;
//! * there is no clock but [`Pace`], which tests set to zero.

pub mod asset;
pub mod bootstrap;
pub mod change_set;
pub mod client;
pub mod destroy;
pub mod diff;
pub mod error;
pub mod event;
pub mod fleet;
pub mod monitor;
pub mod outputs;
pub mod plan;
pub mod recover;
pub mod stack;
pub mod state;
pub mod token;

pub use change_set::{ChangeSet, DeployOptions, Deployed, Proposal};
pub use client::{Clients, Identity, Session, SessionOptions};
pub use error::{Error, Kind, Result};
pub use event::{Event, EventSink, Failure, Progress, Silence, StackEvent};
pub use fleet::Fleet;
pub use monitor::Pace;
pub use outputs::Output;
pub use plan::Selection;
pub use recover::Recovery;
pub use state::StackStatus;
