//! What goes on between calls: hearing the bus, following dynamic groups,
//! reporting fleet metrics, deleting certificates that nobody claimed.
//!
//! Tasks hold the registry weakly, so that they end with the cloud.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use iotstack_local_kernel::{Cloud, CloudEvent, Timestamp};

use super::{Effects, Registry, Tx};
use crate::api::fleet_metrics;
use crate::api::membership::MOST_GROUPS;
use crate::index::{Connectivity, Document};

/// Starts to hear and to follow. Without a runtime (in a test that only calls
/// operations) nothing goes on between calls.
pub fn start(cloud: &Cloud, registry: &Arc<Registry>) {
    let listener = Arc::downgrade(registry);
    cloud.bus.hear(move |event| {
        if let Some(registry) = listener.upgrade() {
            hear(&registry, event);
        }
    });
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(follow(Arc::downgrade(registry)));
    runtime.spawn(tick(Arc::downgrade(registry)));
    if registry.read(crate::state::State::any_dynamic) {
        runtime.spawn(judge_restored(Arc::downgrade(registry)));
    }
}

/// Has the rights of all connections judged at a moment: a changed policy holds from then.
pub fn judge_at(registry: &Registry, moment: Timestamp) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let (clock, registry) = (registry.clock.clone(), registry.this.clone());
    runtime.spawn(async move {
        clock.sleep_until(moment).await;
        let Some(registry) = registry.upgrade() else { return };
        registry.settle(Effects { rights: true, ..Effects::default() });
    });
}

/// Judges the members of restored dynamic groups anew: shadows may have changed
/// and nobody is connected yet. It waits until all services are there.
async fn judge_restored(registry: Weak<Registry>) {
    tokio::time::sleep(LIVENESS).await;
    let Some(registry) = registry.upgrade() else { return };
    registry.note(|state| state.stale.extend(state.things.keys().cloned()));
    registry.dirty.notify_one();
}

fn hear(registry: &Registry, event: &CloudEvent) {
    match event {
        CloudEvent::ClientConnected { client_id, at } => {
            let found = Connectivity { connected: true, at: *at, reason: None };
            connectivity(registry, client_id, found);
        }
        CloudEvent::ClientDisconnected { client_id, reason, at } => {
            let found = Connectivity { connected: false, at: *at, reason: Some(*reason) };
            connectivity(registry, client_id, found);
        }
        CloudEvent::ShadowChanged { thing, name, document } => {
            let marked = registry.note(|state| {
                let indexing = &state.settings.indexing;
                let wanted = match name {
                    None => indexing.classic_indexed(),
                    Some(name) => indexing.named_indexed(name),
                };
                if !wanted || !state.things.contains_key(thing) {
                    return false;
                }
                let indexed = state.indexed.entry(thing.clone()).or_default();
                match document {
                    Some(document) => indexed.learn(name.clone(), document.clone()),
                    None => indexed.forget(name.as_deref()),
                }
                mark(state, thing)
            });
            if marked {
                registry.dirty.notify_one();
            }
        }
        CloudEvent::RightsChanged => registry.live.iam_changed(),
        _ => {}
    }
}

/// Client ids that are names of things tell whether those are connected.
fn connectivity(registry: &Registry, client_id: &Arc<str>, found: Connectivity) {
    let marked = registry.note(|state| {
        if !state.things.contains_key(client_id) {
            return false;
        }
        state.indexed.entry(client_id.clone()).or_default().connectivity = Some(found);
        mark(state, client_id)
    });
    if marked {
        registry.dirty.notify_one();
    }
}

fn mark(state: &mut crate::state::State, thing: &Arc<str>) -> bool {
    let any = state.any_dynamic();
    if any {
        state.stale.insert(thing.clone());
    }
    any
}

/// Judges things by the queries of dynamic groups whenever something changed.
async fn follow(registry: Weak<Registry>) {
    while let Some(strong) = registry.upgrade() {
        while judge_some(&strong) {
            tokio::task::yield_now().await;
        }
        // The wait must not keep the registry alive, and ends now and then to see
        // whether it still is.
        let dirty = strong.dirty.clone();
        drop(strong);
        let _ = tokio::time::timeout(LIVENESS, dirty.notified()).await;
    }
}

/// Judges some of the things that changed; whether any were left.
fn judge_some(registry: &Registry) -> bool {
    if registry.read(|state| state.stale.is_empty() && !building(state)) {
        return false;
    }
    registry.know_shadows();
    let outcome = registry.change(|tx| {
        for _ in 0..AT_ONCE {
            let Some(thing) = tx.state.stale.pop_first() else { break };
            judge(tx, &thing);
        }
        if tx.state.stale.is_empty() {
            for name in tx.state.dynamic.clone() {
                let is_building = |tx: &Tx<'_>| {
                    let group = tx.state.groups.get(&name);
                    group
                        .and_then(|group| group.dynamic.as_ref())
                        .is_some_and(|found| found.building)
                };
                if is_building(tx) {
                    tx.edit_group(&name, |group| {
                        if let Some(dynamic) = &mut group.dynamic {
                            dynamic.building = false;
                        }
                    });
                }
            }
        }
        Ok(!tx.state.stale.is_empty())
    });
    match outcome {
        Ok((more, commit)) => {
            // Who is a member can be found again; nothing waits for the disk.
            drop(commit);
            more
        }
        Err(_) => false,
    }
}

fn building(state: &crate::state::State) -> bool {
    state.dynamic.iter().any(|name| {
        let group = state.groups.get(name);
        group.and_then(|group| group.dynamic.as_ref()).is_some_and(|dynamic| dynamic.building)
    })
}

fn judge(tx: &mut Tx<'_>, name: &Arc<str>) {
    let Some(thing) = tx.state.things.get(name) else { return };
    let document = Document::of(tx.state, thing);
    let mut changes: Vec<(Arc<str>, bool)> = Vec::new();
    // Older groups first: they win where a thing can be in no more groups.
    let mut groups: Vec<_> =
        tx.state.dynamic.iter().filter_map(|group| tx.state.groups.get(group)).collect();
    groups.sort_by_key(|group| group.created);
    for group in groups {
        let Some(query) = &group.compiled else { continue };
        let fits = query.fits(&document);
        if fits != thing.groups.contains(&group.name) {
            changes.push((group.name.clone(), fits));
        }
    }
    for (group, joins) in changes {
        if !joins {
            tx.leave_group(name, &group);
            continue;
        }
        let full = tx.state.things.get(name).is_some_and(|thing| thing.groups.len() >= MOST_GROUPS);
        if full {
            let created = |group: &str| tx.state.groups.get(group).map(|group| group.created);
            match tx.youngest_dynamic(name) {
                Some(youngest) if created(&youngest) > created(&group) => {
                    tx.leave_group(name, &youngest);
                }
                _ => continue,
            }
        }
        tx.join_group(name, &group);
    }
}

/// Reports fleet metrics when their time has come, and deletes what expired.
async fn tick(registry: Weak<Registry>) {
    let mut due: BTreeMap<Arc<str>, Timestamp> = BTreeMap::new();
    while let Some(strong) = registry.upgrade() {
        let now = strong.clock.now();
        if strong.read(|state| state.expiring.first().is_some_and(|(at, _)| *at <= now)) {
            let outcome = strong.change(|tx| {
                tx.drop_expired();
                Ok(())
            });
            if let Err(fault) = outcome {
                tracing::error!(%fault, "expired certificates stay");
            }
        }
        report(&strong, &mut due, now);
        let next = due
            .values()
            .copied()
            .chain(strong.read(|state| state.expiring.first().map(|(at, _)| *at)))
            .min();
        let (clock, timers) = (strong.clock.clone(), strong.timers.clone());
        drop(strong);
        let sleep = async {
            match next {
                Some(next) => clock.sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = timers.notified() => {}
            () = tokio::time::sleep(LIVENESS) => {}
        }
    }
}

fn report(registry: &Registry, due: &mut BTreeMap<Arc<str>, Timestamp>, now: Timestamp) {
    let metrics = registry.read(|state| {
        due.retain(|name, _| state.fleet_metrics.contains_key(name));
        let mut ready = Vec::new();
        for metric in state.fleet_metrics.values() {
            let period = metric.period.max(60) * 1000;
            let next = Timestamp((now.millis() / period + 1) * period);
            let at = due.entry(metric.name.clone()).or_insert(next);
            // A shorter period counts at once.
            *at = (*at).min(next);
            if *at <= now {
                *at = next;
                ready.push(metric.clone());
            }
        }
        ready
    });
    let Ok(cloud) = registry.cloud() else { return };
    let Ok(port) = cloud.ports.metrics() else { return };
    for metric in metrics {
        registry.know_shadows();
        match registry.read(|state| fleet_metrics::values(state, &metric)) {
            Ok(values) => {
                let unit = metric.unit.as_deref().unwrap_or("None");
                for (kind, value) in values {
                    let dimensions = [("AggregationType", kind.as_str())];
                    port.put(NAMESPACE, &metric.name, &dimensions, value, unit);
                }
            }
            Err(fault) => {
                tracing::warn!(metric = &*metric.name, %fault, "a fleet metric has no value");
            }
        }
    }
}

/// How many things are judged under one lock.
const AT_ONCE: usize = 256;
/// How often a task looks whether the registry is still there.
const LIVENESS: Duration = Duration::from_secs(1);
const NAMESPACE: &str = "AWS/IoTFleetMetrics";
