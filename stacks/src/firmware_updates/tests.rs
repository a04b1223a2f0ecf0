//! Tests of the split: which stack holds which thing, and that none ever moves.

use std::collections::BTreeMap;

use iotstack::assembly::{CloudAssembly, Template};
use iotstack::aws::lambda::Architecture;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Request, synthesize};

/// Stack and logical id of each thing.
type Places = BTreeMap<String, (String, String)>;

fn templates(fleet: Value) -> Vec<(String, Template)> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("iotstack-handlers");
    std::fs::write(&program, "a program that never changes").unwrap();
    let request = Request {
        environment_name: "dev".into(),
        account: None,
        region: None,
        parameters: Map::from_iter([("fleet".to_owned(), fleet)]),
        handlers: Handlers { program, architecture: Architecture::Arm64 },
        output: folder.path().join("out"),
    };
    synthesize(&request).unwrap();
    let assembly = CloudAssembly::read(&request.output).unwrap();
    let stacks = assembly.stacks().iter();
    stacks.map(|stack| (stack.stack_name.clone(), stack.template().unwrap())).collect()
}

fn places(fleet: Value) -> Places {
    let mut places = Places::new();
    for (stack, template) in templates(fleet) {
        for (id, resource) in &template.resources {
            if resource.kind == "AWS::IoT::Thing" {
                let name = resource.properties["ThingName"].as_str().unwrap().to_owned();
                let other = places.insert(name, (stack.clone(), id.clone()));
                assert_eq!(other, None, "a thing stands in two places");
            }
        }
    }
    places
}

/// How many things each stack holds.
fn sizes(fleet: Value) -> Vec<(String, usize)> {
    let mut sizes = BTreeMap::new();
    for (stack, _) in places(fleet).into_values() {
        *sizes.entry(stack).or_insert(0) += 1;
    }
    sizes.into_iter().collect()
}

fn names(count: usize) -> Vec<Option<String>> {
    (1..=count).map(|number| Some(format!("pump-{number}"))).collect()
}

#[test]
fn a_fleet_goes_on_in_further_stacks() {
    let stack = |suffix: &str| format!("IoTFirmwareUpdatesStack-dev{suffix}");
    let (first, second, third) = (stack(""), stack("-Things2"), stack("-Things3"));
    assert_eq!(sizes(json!({"count": 400})), [(first.clone(), 400)]);
    assert_eq!(sizes(json!({"count": 401})), [(first.clone(), 400), (second.clone(), 1)]);
    let expected = [(first, 400), (second, 400), (third, 100)];
    assert_eq!(sizes(json!({"count": 900})), expected);
    assert_eq!(sizes(json!({"names": names(900)})), expected);
}

#[test]
fn no_stack_has_more_resources_than_cloudformation_takes() {
    for (stack, template) in templates(json!({"count": 900})) {
        let count = template.resources.len();
        assert!(count <= 500, "{stack} has {count} resources");
    }
}

#[test]
fn a_thing_at_the_end_moves_no_other() {
    for count in [0, 1, 399, 400, 401, 800] {
        for fleet in [|count| json!({"count": count}), |count| json!({"names": names(count)})] {
            let before = places(fleet(count));
            let mut after = places(fleet(count + 1));
            assert_eq!(before.len(), count);
            assert_eq!(after.len(), count + 1);
            after.retain(|name, _| before.contains_key(name));
            assert_eq!(after, before, "{count} things and one more");
        }
    }
}

#[test]
fn null_keeps_the_places_of_the_others() {
    let all = names(402);
    let mut before = places(json!({"names": all}));
    for gone in [0, 10, 399, 400, 401] {
        let mut names = all.clone();
        names[gone] = None;
        let after = places(json!({"names": names}));
        let mut expected = before.clone();
        expected.remove(all[gone].as_ref().unwrap());
        assert_eq!(after, expected, "without the thing in place {gone}");
    }
    // Without `null` the things behind it move, which is why it exists.
    before.remove("pump-1");
    assert_ne!(places(json!({"names": all[1..]})), before);
}

#[test]
fn a_stack_whose_things_have_all_gone_is_still_a_stack() {
    let mut names = names(401);
    names[400] = None;
    let templates = templates(json!({"names": names}));
    assert_eq!(templates.len(), 2);
    let kinds: Vec<_> = templates[1].1.resources.values().map(|found| &found.kind).collect();
    assert_eq!(kinds, ["AWS::CloudFormation::WaitConditionHandle"]);
}

#[test]
fn things_of_every_stack_get_type_and_group() {
    for (stack, template) in templates(json!({"count": 801})) {
        let things = template.resources.values().filter(|found| found.kind == "AWS::IoT::Thing");
        let members: Vec<_> = template
            .resources
            .values()
            .filter(|found| found.kind == "Custom::IoTStackFleetMembership")
            .flat_map(|found| found.properties["ThingNames"].as_array().unwrap())
            .collect();
        assert_eq!(members.len(), things.count(), "{stack}");
    }
}
