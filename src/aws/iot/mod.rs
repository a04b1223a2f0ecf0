//! IoT Core: things, policies, jobs, rules and what surrounds them.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod cfn;
pub mod job_template;
pub mod policy;
pub mod thing;
pub mod topic_rule;

pub use cfn::*;
pub use job_template::{
    Abort, ExponentialRate, FailureType, JobTemplate, JobTemplateRef, PresignedUrls, Retry, Rollout,
};
pub use policy::{Policy, PolicyRef, PolicyStatement, THING_NAME};
pub use thing::{Thing, ThingGroup, ThingGroupRef, ThingRef, ThingType, ThingTypeRef, thing_arns};
pub use topic_rule::{Action, ErrorAction, TopicRule, TopicRuleRef};
