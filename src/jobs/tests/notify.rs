//! Who is told about the pending list, and when.
//!
//! One test for each line of the table of notifications: whether the list is told, and
//! whether another execution is next.

use serde_json::json;

use super::*;
use JobExecutionStatus::{InProgress, Succeeded};

/// The notifications among the effects.
fn notifications(world: &World) -> Vec<String> {
    world.told().into_iter().filter(|word| word.starts_with("notify")).collect()
}

fn world_with(jobs: usize) -> World {
    let mut world = World::new();
    for number in 1..=jobs {
        world.now = world.now.after(1);
        world.create(&format!("j{number}"), &["lamp-1"], json!({})).unwrap();
    }
    world
}

const BOTH: [&str; 2] = ["notify lamp-1", "notify-next lamp-1"];
const LIST: [&str; 1] = ["notify lamp-1"];
const NEXT: [&str; 1] = ["notify-next lamp-1"];
const NONE: [&str; 0] = [];

#[test]
fn the_first_job_is_told_in_both_ways() {
    assert_eq!(notifications(&world_with(1)), BOTH);
}

#[test]
fn a_job_behind_another_changes_the_list_only() {
    assert_eq!(notifications(&world_with(2)), LIST);
}

#[test]
fn starting_the_first_one_tells_nothing() {
    let mut world = world_with(2);
    world.start("lamp-1");
    assert_eq!(notifications(&world), NONE);
}

#[test]
fn another_one_that_starts_becomes_the_next() {
    let mut world = world_with(2);
    world.update("j2", "lamp-1", InProgress).unwrap();
    assert_eq!(notifications(&world), NEXT);
}

#[test]
fn the_end_of_the_first_one_is_told_in_both_ways() {
    let mut world = world_with(2);
    world.update("j1", "lamp-1", Succeeded).unwrap();
    assert_eq!(notifications(&world), BOTH);
    let next = world.engine.next_of(ThingIndex(0)).unwrap();
    assert_eq!(next.job_id, "j2");
}

#[test]
fn the_end_of_another_one_changes_the_list_only() {
    let mut world = world_with(3);
    world.update("j2", "lamp-1", Succeeded).unwrap();
    assert_eq!(notifications(&world), LIST);
}

#[test]
fn an_empty_list_is_told_in_both_ways() {
    let mut world = world_with(1);
    world.update("j1", "lamp-1", Succeeded).unwrap();
    assert_eq!(notifications(&world), BOTH);
    assert!(world.engine.next_of(ThingIndex(0)).is_none());
}

#[test]
fn progress_of_the_first_one_tells_nothing() {
    let mut world = world_with(2);
    world.start("lamp-1");
    world.update("j1", "lamp-1", InProgress).unwrap();
    assert_eq!(notifications(&world), NONE);
}

#[test]
fn a_retry_is_told_once() {
    let mut world = World::new();
    let retries = json!({"jobExecutionsRetryConfig":
        {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}});
    world.create("j1", &["lamp-1"], retries).unwrap();
    world.update("j1", "lamp-1", JobExecutionStatus::Failed).unwrap();
    assert_eq!(
        world.told(),
        ["event failed j1 lamp-1 1", "queued j1 lamp-1 2", "notify lamp-1", "notify-next lamp-1"]
    );
}

#[test]
fn a_job_with_a_namespace_speaks_on_a_topic_of_its_own() {
    let mut world = World::new();
    world.create("g1", &["core-1"], json!({"namespaceId": "greengrass"})).unwrap();
    assert_eq!(notifications(&world), ["notify-namespace-greengrass core-1"]);
    assert!(world.engine.pending("core-1", 10).queued.is_empty());
    let pending = world.engine.pending_of(ThingIndex(0), Some("greengrass"), 10);
    assert_eq!(pending.queued.len(), 1);
    assert_eq!(world.start("core-1"), None);
    world.update("g1", "core-1", InProgress).unwrap();
    assert_eq!(notifications(&world), NONE);
    world.update("g1", "core-1", Succeeded).unwrap();
    assert_eq!(notifications(&world), ["notify-namespace-greengrass core-1"]);
}
