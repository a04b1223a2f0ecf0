//! Topic rules of the local cloud: SQL and actions.
//!
//! A rule listens to messages with a statement and hands its result to actions.
//! [`sql`] is the language, pure and usable on its own; around it stand the engine,
//! which hears every message of the broker (Basic Ingest included), the operations
//! of the API, and `AWS::IoT::TopicRule` for CloudFormation.
//!
//! Real: the whole language except protocol buffers and machine learning; the
//! actions lambda, republish, sns, sqs, s3, dynamoDBv2, dynamoDB, cloudwatchMetric,
//! cloudwatchAlarm, cloudwatchLogs, each as its role and only if that may; error
//! actions; the metrics of rules. Not real: every other action and the rule
//! destinations, which are refused by name; retries of actions; the account's limit
//! on evaluations.
//!
//! Invariants: offering a message never waits; a topic without rules costs one
//! look-up; rules that feed each other are stopped; nothing here knows another
//! service than by the kernel's ports.

pub mod sql;

mod action;
mod ask;
mod engine;
mod error;
mod hops;
mod resource;
mod rule;
mod service;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

pub use error::Error;

use engine::Engine;
use resource::TopicRuleResource;
use service::RulesService;

/// Adds topic rules to the cloud. Needs a running tokio runtime.
///
/// # Errors
/// [`StoreError::Read`] if stored rules cannot be read.
pub fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let engine = Engine::start(cloud)?;
    let weak = Arc::downgrade(cloud);
    let service = Arc::new(RulesService { cloud: weak.clone(), engine: engine.clone() });
    cloud.ports.add_tagged(service.clone());
    cloud.services.add(service);
    cloud.add_resource(Arc::new(TopicRuleResource { cloud: weak, engine: engine.clone() }));
    cloud.ports.add_listener(engine);
    Ok(())
}

#[cfg(test)]
mod tests;
