//! EventBridge: buses, rules and archives of events.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod bus;
pub mod cfn;

pub use bus::{EventBus, EventBusRef, Rule, RuleRef, Target};
pub use cfn::*;
