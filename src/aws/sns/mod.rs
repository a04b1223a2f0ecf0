//! SNS: topics and their subscriptions.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod cfn;
pub mod topic;

pub use cfn::*;
pub use topic::{Topic, TopicRef};
