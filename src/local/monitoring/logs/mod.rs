//! CloudWatch Logs: groups of streams of lines.
//!
//! Lines live in memory: a stream keeps its newest ones, a group its newest
//! streams, and all together have a bound. Retention is the cloud's time. Metric
//! filters make values of lines, subscription filters send them on to functions.

mod events;
mod filter;
mod group;
mod operations;
mod pattern;
mod policies;
mod resource;
mod shape;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use iotstack_local_kernel::ports::LogStreams;
use iotstack_local_kernel::{
    Account, Bus, Clock, Cloud, CloudEvent, Commit, Fault, Operation, Operations, Protocol,
    Service, Store, StoreError, Timestamp, page as pages,
};

use filter::Measured;
use group::{Group, Line};
use policies::ResourcePolicy;
use subscription::Batch;

/// The service.
pub(crate) struct Logs {
    cloud: Weak<Cloud>,
    account: Account,
    clock: Clock,
    store: Store,
    groups: Mutex<Groups>,
}

#[derive(Default)]
struct Groups {
    all: BTreeMap<String, Group>,
    policies: BTreeMap<String, ResourcePolicy>,
    /// Numbers lines in the order of their arrival.
    next_line: u64,
    /// The bytes of all lines.
    size: usize,
}

/// Restores groups and registers the service.
pub(crate) fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let all = cloud.store.load(GROUPS)?.into_iter().collect();
    let policies = cloud.store.load(POLICIES)?.into_iter().collect();
    let logs = Arc::new(Logs {
        cloud: Arc::downgrade(cloud),
        account: cloud.account.clone(),
        clock: cloud.clock.clone(),
        store: cloud.store.clone(),
        groups: Mutex::new(Groups { all, policies, next_line: 0, size: 0 }),
    });
    cloud.services.add(logs.clone());
    cloud.ports.serve_log_streams(logs.clone());
    resource::register(cloud, &logs);
    Ok(())
}

impl Logs {
    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn arn(&self, group: &str) -> String {
        self.account.arn("logs", format_args!("log-group:{group}"))
    }

    /// Changes a group and stores it.
    fn change<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Group) -> Result<T, Fault>,
    ) -> Result<(T, Commit), Fault> {
        let mut groups = self.groups();
        let group = groups.all.get_mut(name).ok_or_else(no_group)?;
        let outcome = change(group)?;
        let mut batch = self.store.batch();
        batch.put(GROUPS, name, &*group);
        Ok((outcome, self.store.commit(batch)))
    }

    /// Adds lines to a stream, which exists if `make` is false.
    fn append(
        &self,
        group: &str,
        stream: &str,
        lines: impl IntoIterator<Item = (Timestamp, String)>,
        make: bool,
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let (measured, wanted) = {
            let mut groups = self.groups();
            if !groups.all.contains_key(group) {
                if !make {
                    return Err(no_group());
                }
                let made = Group::new(group, now);
                let mut batch = self.store.batch();
                batch.put(GROUPS, group, &made);
                groups.all.insert(group.to_owned(), made);
                // Nobody waits for a group that a line made.
                self.store.commit(batch).then(|| ());
            }
            let Groups { all, next_line, size, .. } = &mut *groups;
            let Some(found) = all.get_mut(group) else { return Err(no_group()) };
            if !make && !found.streams.contains_key(stream) {
                return Err(no_stream());
            }
            let mut measured: Vec<Measured> = Vec::new();
            let mut wanted: Vec<Batch> = Vec::new();
            let before = found.size();
            for (at, text) in lines {
                *next_line += 1;
                let line = Line { at, arrived: now, number: *next_line, text };
                filter::measure(found, &line.text, &mut measured);
                subscription::collect(&mut found.subscriptions, &line, &mut wanted);
                found.append(stream, line, now);
            }
            found.forget(now);
            *size = (*size + found.size()).saturating_sub(before);
            if *size > LARGEST_MEMORY {
                make_room(all, size);
            }
            (measured, wanted)
        };
        if let Some(cloud) = self.cloud.upgrade() {
            if !measured.is_empty() {
                filter::emit(&cloud, measured);
            }
            subscription::send(&cloud, &self.account, (group, stream), wanted);
            tell(&cloud.bus, group);
        }
        Ok(())
    }
}

impl LogStreams for Logs {
    fn write(&self, group: &str, stream: &str, lines: &[(Timestamp, String)]) {
        if let Err(error) = self.append(group, stream, lines.iter().cloned(), true) {
            tracing::debug!(group, %error, "lines are lost");
        }
    }
}

impl Service for Logs {
    fn scopes(&self) -> &'static [&'static str] {
        &["logs"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::AwsJson { version: "1.1", target: "Logs_20140328" }]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_stored("CreateLogGroup", Self::create_group)
            .named_stored("DeleteLogGroup", Self::delete_group)
            .named("DescribeLogGroups", Self::describe_groups)
            .named_stored("PutRetentionPolicy", Self::put_retention)
            .named_stored("DeleteRetentionPolicy", Self::delete_retention)
            .named("CreateLogStream", Self::create_stream)
            .named("DeleteLogStream", Self::delete_stream)
            .named("DescribeLogStreams", Self::describe_streams)
            .named("PutLogEvents", Self::put_events)
            .named("GetLogEvents", Self::get_events)
            .named("FilterLogEvents", Self::filter_events)
            .named_stored("PutMetricFilter", Self::put_metric_filter)
            .named_stored("DeleteMetricFilter", Self::delete_metric_filter)
            .named("DescribeMetricFilters", Self::describe_metric_filters)
            .named("TestMetricFilter", Self::test_metric_filter)
            .named_stored("PutSubscriptionFilter", Self::put_subscription)
            .named_stored("DeleteSubscriptionFilter", Self::delete_subscription)
            .named("DescribeSubscriptionFilters", Self::describe_subscriptions)
            .named_stored("PutResourcePolicy", Self::put_resource_policy)
            .named_stored("DeleteResourcePolicy", Self::delete_resource_policy)
            .named("DescribeResourcePolicies", Self::describe_resource_policies)
            .named_stored("TagResource", Self::tag)
            .named_stored("UntagResource", Self::untag)
            .named("ListTagsForResource", Self::list_tags)
            .named_stored("TagLogGroup", Self::tag)
            .named_stored("UntagLogGroup", Self::untag)
            .named("ListTagsLogGroup", Self::list_tags)
            .judged(shape::judge)
            .list()
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidParameterException"
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("StartQuery", "there is no query language here; use FilterLogEvents"),
            ("StartLiveTail", "answers are not streamed; `aws logs tail --follow` works"),
            ("CreateExportTask", "lines live in memory only"),
        ]
    }
}

/// Drops the lines of the streams that were quiet for the longest time.
fn make_room(all: &mut BTreeMap<String, Group>, size: &mut usize) {
    let mut quiet: Vec<(Timestamp, String, String)> = all
        .values()
        .flat_map(|group| {
            group
                .streams
                .iter()
                .map(|(name, stream)| (stream.last_arrival, group.name.clone(), name.clone()))
        })
        .collect();
    quiet.sort();
    for (_, group, stream) in quiet {
        if *size <= LARGEST_MEMORY / 4 * 3 {
            return;
        }
        if let Some(group) = all.get_mut(&group)
            && let Some(stream) = group.streams.remove(&stream)
        {
            *size = size.saturating_sub(stream.size);
        }
    }
}

fn tell(bus: &Bus, group: &str) {
    bus.tell(&CloudEvent::LogWritten { group: group.into() });
}

fn no_group() -> Fault {
    missing("log group")
}

fn no_stream() -> Fault {
    missing("log stream")
}

fn missing(what: &str) -> Fault {
    let message = format!("The specified {what} does not exist.");
    Fault::new("ResourceNotFoundException", 400, message)
}

/// The items after a token, and the token of what follows.
fn page<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    limit: usize,
) -> Result<(Vec<T>, Option<String>), Fault> {
    pages::page(items, key, token, limit).map_err(|_| invalid_token())
}

fn invalid_token() -> Fault {
    Fault::invalid_input("The specified nextToken is invalid.")
}

const GROUPS: &str = "log-groups";
const POLICIES: &str = "log-resource-policies";

/// Sequence tokens mean nothing any more, but still look as they did.
const SEQUENCE_TOKEN: &str = "00000000000000000000000000000000000000000000000000000000";

/// The bytes of all lines.
const LARGEST_MEMORY: usize = 128 * 1024 * 1024;
