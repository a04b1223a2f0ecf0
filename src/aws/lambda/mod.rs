//! Lambda: functions, their versions, triggers and permissions.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod cfn;
pub mod function;

pub use cfn::*;
pub use function::{Architecture, Code, Function, FunctionRef, Runtime, VpcConfig};
