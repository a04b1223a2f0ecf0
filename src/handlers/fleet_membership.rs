//! `Custom::IoTStackFleetMembership`: type and groups of things.
//!
//! CloudFormation makes things, groups and types, but cannot put one into the
//! other. This resource compares what a template says with what it said before,
//! and makes only the calls for the difference. On Delete it takes everything
//! back, because a thing type that things still have cannot be deleted.
//!
//! Quotas on these calls are per account: a few calls run at once, no more are
//! started in a second than the smallest regions allow, and a throttled one waits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_iot::Client;
use iotstack_protocol::{BillingGroupName, ThingGroupName, ThingName, ThingTypeName};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use tracing::info;

use crate::custom_resource::{Context, Outcome, Resource};
use crate::environment::Aws;
use crate::error::failed;
use crate::retry::with_patience;
use crate::{Error, Result};

/// The resource.
pub(crate) struct FleetMembership {
    client: Client,
    /// Whether AWS itself is asked, which takes only so many calls in a second.
    has_quota: bool,
}

/// Which things belong where.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Properties {
    thing_names: BTreeSet<ThingName>,
    thing_group_name: Option<ThingGroupName>,
    thing_type_name: Option<ThingTypeName>,
    billing_group_name: Option<BillingGroupName>,
}

/// One call for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    JoinGroup(ThingGroupName),
    LeaveGroup(ThingGroupName),
    JoinBillingGroup(BillingGroupName),
    LeaveBillingGroup(BillingGroupName),
    TakeType(ThingTypeName),
    DropType,
}

impl FleetMembership {
    pub(crate) fn new(aws: &Aws) -> Self {
        let has_quota = aws.config.endpoint_url().is_none();
        FleetMembership { client: Client::new(&aws.config), has_quota }
    }
}

impl Resource for FleetMembership {
    const TYPE: &'static str = "Custom::IoTStackFleetMembership";
    type Properties = Properties;

    async fn create(&self, properties: Properties, context: &Context) -> Result<Outcome> {
        let physical_id = format!("{}/fleet-membership", context.logical_id);
        context.intend(&physical_id);
        self.apply(&Properties::default(), &properties, context).await?;
        Ok(Outcome { physical_id, ..Outcome::default() })
    }

    async fn update(
        &self,
        physical_id: &str,
        properties: Properties,
        old: Option<Properties>,
        context: &Context,
    ) -> Result<Outcome> {
        self.apply(&old.unwrap_or_default(), &properties, context).await?;
        Ok(Outcome { physical_id: physical_id.to_owned(), ..Outcome::default() })
    }

    async fn delete(
        &self,
        _: &str,
        properties: Option<Properties>,
        context: &Context,
    ) -> Result<()> {
        self.apply(&properties.unwrap_or_default(), &Properties::default(), context).await
    }
}

impl FleetMembership {
    /// Makes the calls that lead from `old` to `new`.
    async fn apply(&self, old: &Properties, new: &Properties, context: &Context) -> Result<()> {
        let plan = plan(old, new);
        let total = plan.len();
        info!(things = total, "fleet membership");
        let pace = Arc::new(Pace::new(self.has_quota));
        // A little earlier than everybody's end, to be able to say how far it came.
        let deadline = context.work_until - TIME_TO_TELL;
        let mut waiting = plan.into_iter();
        let mut running = JoinSet::new();
        let mut done = 0;
        loop {
            while running.len() < AT_ONCE
                && let Some((thing, steps)) = waiting.next()
            {
                let (client, pace) = (self.client.clone(), Arc::clone(&pace));
                running.spawn(take(client, pace, thing, steps, deadline));
            }
            let Some(result) = running.join_next().await else { return Ok(()) };
            match result {
                Ok(Ok(())) => done += 1,
                Ok(Err(Error::OutOfTime { .. })) => {
                    return Err(Error::OutOfTime { done, total, what: "things" });
                }
                // Dropping the set stops what is still running.
                Ok(Err(error)) => return Err(error),
                Err(error) => return Err(Error::Runtime(error.to_string())),
            }
        }
    }
}

/// The things for which something changes, each with its steps in order.
fn plan(old: &Properties, new: &Properties) -> Vec<(ThingName, Vec<Step>)> {
    let all = old.thing_names.union(&new.thing_names);
    let steps = all.map(|thing| {
        let was = |there: bool| there.then_some(old).filter(|_| old.thing_names.contains(thing));
        let is = |there: bool| there.then_some(new).filter(|_| new.thing_names.contains(thing));
        (thing.clone(), steps(was(true), is(true)))
    });
    steps.filter(|(_, steps)| !steps.is_empty()).collect()
}

/// What one thing that was in `old` has to do to be in `new`.
fn steps(old: Option<&Properties>, new: Option<&Properties>) -> Vec<Step> {
    fn change<'a, T: PartialEq + Clone + 'a>(
        old: Option<&'a Properties>,
        new: Option<&'a Properties>,
        field: impl Fn(&'a Properties) -> Option<&'a T>,
    ) -> (Option<T>, Option<T>) {
        let (old, new) = (old.and_then(&field), new.and_then(&field));
        if old == new { (None, None) } else { (old.cloned(), new.cloned()) }
    }

    let mut steps = Vec::new();
    // A thing cannot be in two groups of one hierarchy, so it leaves first.
    let (leaves, joins) = change(old, new, |p| p.thing_group_name.as_ref());
    steps.extend(leaves.map(Step::LeaveGroup));
    steps.extend(joins.map(Step::JoinGroup));
    let (leaves, joins) = change(old, new, |p| p.billing_group_name.as_ref());
    steps.extend(leaves.map(Step::LeaveBillingGroup));
    steps.extend(joins.map(Step::JoinBillingGroup));
    let (drops, takes) = change(old, new, |p| p.thing_type_name.as_ref());
    match (drops, takes) {
        (_, Some(kind)) => steps.push(Step::TakeType(kind)),
        (Some(_), None) => steps.push(Step::DropType),
        (None, None) => {}
    }
    steps
}

/// Makes the calls for one thing.
async fn take(
    client: Client,
    pace: Arc<Pace>,
    thing: ThingName,
    steps: Vec<Step>,
    deadline: Instant,
) -> Result<()> {
    for step in &steps {
        let result = with_patience(deadline, || async {
            let paced = async {
                pace.wait().await;
                step.call(&client, &thing).await
            };
            timeout_at(deadline, paced).await.unwrap_or(Err(OUT_OF_TIME))
        });
        match result.await {
            Ok(()) => {}
            Err(error) if error.is_throttled() => return Err(OUT_OF_TIME),
            Err(error @ Error::OutOfTime { .. }) => return Err(error),
            // What is gone has left already.
            Err(error) if step.leaves() && error.is_not_found() => {}
            Err(error) => {
                return Err(Error::Thing { thing: thing.to_string(), source: Box::new(error) });
            }
        }
    }
    Ok(())
}

impl Step {
    /// Whether the step takes something back.
    fn leaves(&self) -> bool {
        matches!(self, Step::LeaveGroup(_) | Step::LeaveBillingGroup(_) | Step::DropType)
    }

    async fn call(&self, client: &Client, thing: &ThingName) -> Result<()> {
        let thing = thing.as_str();
        match self {
            Step::JoinGroup(group) => {
                let request = client.add_thing_to_thing_group().thing_name(thing);
                let answer = request.thing_group_name(group.as_str()).send().await;
                answer.map(drop).map_err(failed("AddThingToThingGroup"))
            }
            Step::LeaveGroup(group) => {
                let request = client.remove_thing_from_thing_group().thing_name(thing);
                let answer = request.thing_group_name(group.as_str()).send().await;
                answer.map(drop).map_err(failed("RemoveThingFromThingGroup"))
            }
            Step::JoinBillingGroup(group) => {
                let request = client.add_thing_to_billing_group().thing_name(thing);
                let answer = request.billing_group_name(group.as_str()).send().await;
                answer.map(drop).map_err(failed("AddThingToBillingGroup"))
            }
            Step::LeaveBillingGroup(group) => {
                let request = client.remove_thing_from_billing_group().thing_name(thing);
                let answer = request.billing_group_name(group.as_str()).send().await;
                answer.map(drop).map_err(failed("RemoveThingFromBillingGroup"))
            }
            Step::TakeType(kind) => {
                let request = client.update_thing().thing_name(thing);
                let answer = request.thing_type_name(kind.as_str()).send().await;
                answer.map(drop).map_err(failed("UpdateThing"))
            }
            Step::DropType => {
                let request = client.update_thing().thing_name(thing);
                let answer = request.remove_thing_type(true).send().await;
                answer.map(drop).map_err(failed("UpdateThing"))
            }
        }
    }
}

/// Lets calls through one after the other, or at once where there is no quota.
struct Pace(Option<Mutex<Interval>>);

impl Pace {
    fn new(has_quota: bool) -> Self {
        Pace(has_quota.then(|| {
            let mut ticks = interval(BETWEEN_CALLS);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Mutex::new(ticks)
        }))
    }

    async fn wait(&self) {
        if let Some(ticks) = &self.0 {
            ticks.lock().await.tick().await;
        }
    }
}

/// What one thing knows about the end; who counts the things fills in the rest.
const OUT_OF_TIME: Error = Error::OutOfTime { done: 0, total: 0, what: "things" };

/// How many things are worked on at once.
const AT_ONCE: usize = 8;

/// What is kept of the time for telling that it is over.
const TIME_TO_TELL: Duration = Duration::from_millis(500);

/// At most 40 calls in a second, where the smallest regions allow 50.
const BETWEEN_CALLS: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests;
