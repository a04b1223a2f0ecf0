//! CloudWatch Logs: log groups and what reads them.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod cfn;
pub mod log_group;

pub use cfn::*;
pub use log_group::{LogGroup, LogGroupRef};
