//! Systems Manager: parameters and documents.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod cfn;
pub mod parameter;

pub use cfn::*;
pub use parameter::{StringParameter, StringParameterRef};
