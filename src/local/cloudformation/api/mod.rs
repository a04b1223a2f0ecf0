//! The operations that clients call, one file per noun.
//!
//! The query format knows only texts and cannot tell an empty list from none;
//! [`input`] reads it. Answers are built as JSON under the names of AWS's model.

mod change_sets;
mod describe;
mod events;
mod input;
mod resources;
mod stacks;
mod templates;

use std::sync::Arc;

use iotstack_local_kernel::{Call, Cloud, Fault, Operation, Operations, Protocol, Reply, Service};

use crate::{Engine, Error, Result};

/// The service.
pub struct CloudFormation {
    engine: Arc<Engine>,
}

impl CloudFormation {
    /// The service for the stacks of an engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        CloudFormation { engine }
    }

    fn cloud(&self) -> Result<Arc<Cloud>> {
        Ok(self.engine.cloud()?)
    }
}

impl Service for CloudFormation {
    fn scopes(&self) -> &'static [&'static str] {
        &["cloudformation"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::Query { namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/" }]
    }

    fn invalid_input(&self) -> &'static str {
        "ValidationError"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_async("CreateStack", answered(stacks::create))
            .named_async("UpdateStack", answered(stacks::update))
            .named_async("DeleteStack", answered(stacks::delete))
            .named_async("CancelUpdateStack", answered(stacks::cancel_update))
            .named_async("RollbackStack", answered(stacks::roll_back))
            .named_async("ContinueUpdateRollback", answered(stacks::continue_rollback))
            .named_async("UpdateTerminationProtection", answered(stacks::protect))
            .named_async("SetStackPolicy", answered(stacks::set_policy))
            .named("GetStackPolicy", told(stacks::get_policy))
            .named("DescribeStacks", told(describe::describe))
            .named("ListStacks", told(describe::list))
            .named("DescribeAccountLimits", told(describe::limits))
            .named_async("CreateChangeSet", answered(change_sets::create))
            .named_async("ExecuteChangeSet", answered(change_sets::execute))
            .named_async("DeleteChangeSet", answered(change_sets::delete))
            .named("DescribeChangeSet", told(change_sets::describe))
            .named("DescribeChangeSetHooks", told(change_sets::hooks))
            .named("ListChangeSets", told(change_sets::list))
            .named("DescribeStackEvents", told(events::of_stack))
            .named("DescribeEvents", told(events::of_operation))
            .named("DescribeStackResource", told(resources::describe_one))
            .named("DescribeStackResources", told(resources::describe))
            .named("ListStackResources", told(resources::list))
            .named("ListExports", told(resources::exports))
            .named("ListImports", told(resources::imports))
            .named("GetTemplate", told(templates::get))
            .named_async("GetTemplateSummary", answered(templates::summarize))
            .named_async("ValidateTemplate", answered(templates::validate))
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        REFUSED
    }
}

fn told(
    run: fn(&CloudFormation, &Call) -> Result<Reply>,
) -> impl Fn(&CloudFormation, Call) -> Result<Reply, Fault> + Send + Sync {
    move |service, call| run(service, &call).map_err(Fault::from)
}

fn answered<F>(
    run: impl Fn(Arc<CloudFormation>, Call) -> F + Copy + Send + Sync + 'static,
) -> impl Fn(Arc<CloudFormation>, Call) -> AnswerOf + Send + Sync
where
    F: Future<Output = Result<Reply>> + Send + 'static,
{
    move |service, call| {
        let answer = run(service, call);
        Box::pin(async move { answer.await.map_err(Fault::from) })
    }
}

type AnswerOf = std::pin::Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send>>;

/// The refusal of an operation in a state in which it cannot be done.
fn wrong_state(id: &str, status: crate::state::StackStatus) -> Error {
    Error::invalid(format!("Stack:{id} is in {} state and can not be updated.", status.as_str()))
}

/// What AWS offers and this service does not.
const REFUSED: &[(&str, &str)] = &[
    ("ActivateType", NO_TYPES),
    ("BatchDescribeTypeConfigurations", NO_TYPES),
    ("CreateGeneratedTemplate", "there is no generator of templates"),
    ("CreateStackInstances", NO_SETS),
    ("CreateStackRefactor", "stacks cannot be refactored; deploy them one after the other"),
    ("CreateStackSet", NO_SETS),
    ("DeleteStackSet", NO_SETS),
    ("DescribeStackDriftDetectionStatus", NO_DRIFT),
    ("DescribeStackResourceDrifts", NO_DRIFT),
    ("DescribeStackSet", NO_SETS),
    ("DescribeType", NO_TYPES),
    ("DetectStackDrift", NO_DRIFT),
    ("DetectStackResourceDrift", NO_DRIFT),
    ("DetectStackSetDrift", NO_DRIFT),
    ("EstimateTemplateCost", "nothing here costs anything"),
    ("ListStackSets", NO_SETS),
    ("ListTypes", NO_TYPES),
    ("RegisterType", NO_TYPES),
    ("SignalResource", "signals come to the address of a WaitConditionHandle"),
    ("StartResourceScan", "there is no generator of templates"),
];

const NO_DRIFT: &str =
    "drift is not detected; nothing but the services themselves changes resources";
const NO_SETS: &str = "there is one account in one region, so there are no stack sets";
const NO_TYPES: &str =
    "there is no registry of extensions; the types are those of the local services";
