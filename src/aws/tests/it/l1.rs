//! Every property of every L1 type can be set, and nothing else can.
//!
//! The tables are compared with the facts both ways: what a table lists has to exist
//! at its place in the facts, and every object that the facts have below a resource
//! has to be some table's.

use std::collections::{BTreeMap, BTreeSet};

use iotstack_core::l1::Table;
use iotstack_schema::{ObjectShape, ResourceType, Shape, resource_type};

macro_rules! tables {
    ($($service:ident),*) => {
        fn tables() -> Vec<Table> {
            let mut tables = Vec::new();
            $(
                tables.extend_from_slice(iotstack_aws::$service::cfn::RESOURCES);
                tables.extend_from_slice(iotstack_aws::$service::cfn::PROPERTY_TYPES);
            )*
            tables
        }
    };
}

tables!(
    apigatewayv2,
    cloudformation,
    cloudtrail,
    cloudwatch,
    cognito,
    config,
    dynamodb,
    ec2,
    events,
    greengrassv2,
    iam,
    iot,
    iotanalytics,
    iotsecuretunneling,
    kinesis,
    kinesisfirehose,
    kms,
    lambda,
    logs,
    s3,
    scheduler,
    secretsmanager,
    signer,
    sns,
    sqs,
    ssm,
    stepfunctions,
    timestream
);

#[test]
fn has_all_the_resource_types() {
    let tables = tables();
    let resources: BTreeSet<&str> = tables.iter().map(|table| table.resource_type).collect();
    assert_eq!(resources.len(), 114);
    let iot = resources.iter().filter(|name| name.starts_with("AWS::IoT::")).count();
    assert_eq!(iot, 32);
}

#[test]
fn tables_have_exactly_the_properties_that_can_be_set() {
    for table in tables() {
        let facts = resource_type(table.resource_type).expect(table.resource_type);
        let path: Vec<&str> = table.path.split('.').filter(|part| !part.is_empty()).collect();
        let object = object_at(facts, &path)
            .unwrap_or_else(|| panic!("{} has no object at {:?}", table.resource_type, table.path));
        let settable = settable(facts, object, &path);
        assert_eq!(settable, table.properties, "{} at {:?}", table.resource_type, table.path);
    }
}

#[test]
fn every_object_below_a_resource_has_a_table() {
    let tables = tables();
    let mut known: BTreeMap<&str, Vec<&[&str]>> = BTreeMap::new();
    for table in &tables {
        known.entry(table.resource_type).or_default().push(table.properties);
    }
    let mut objects = 0;
    let mut properties = 0;
    for (name, own) in &known {
        let facts = resource_type(name).expect(name);
        let mut walk = Walk { facts, own, seen: BTreeSet::new(), objects: 0, properties: 0 };
        walk.object(&facts.properties, &mut Vec::new());
        objects += walk.objects;
        properties += walk.properties;
    }
    assert!(objects > 600, "only {objects} objects were compared");
    assert!(properties > 2_500, "only {properties} properties were compared");
}

struct Walk<'a> {
    facts: &'a ResourceType,
    own: &'a [&'a [&'a str]],
    seen: BTreeSet<usize>,
    objects: usize,
    properties: usize,
}

impl<'a> Walk<'a> {
    fn object(&mut self, object: &'a ObjectShape, path: &mut Vec<&'a str>) {
        let settable = settable(self.facts, object, path);
        let tag = settable == ["Key", "Value"];
        assert!(
            tag || self.own.contains(&&settable[..]),
            "{} at {path:?} has no table with {settable:?}",
            self.facts.name,
        );
        self.objects += 1;
        self.properties += settable.len();
        for property in object.properties.iter().filter(|own| settable.contains(&own.name)) {
            path.push(property.name);
            self.shape(&property.shape, path);
            path.pop();
        }
    }

    fn shape(&mut self, shape: &'a Shape, path: &mut Vec<&'a str>) {
        match shape {
            Shape::Object(object) => self.object(object, path),
            Shape::Array(array) => self.item(&array.items, path),
            Shape::Map(map) => {
                map.patterns.iter().for_each(|(_, shape)| self.item(shape, path));
            }
            Shape::Definition(place) if self.seen.insert(*place) => {
                self.shape(&self.facts.definitions[*place].shape, path);
            }
            Shape::AnyOf(shapes) if shapes.contains(&Shape::Json) => {
                shapes.iter().for_each(|shape| self.shape(shape, path));
            }
            _ => {}
        }
    }

    fn item(&mut self, shape: &'a Shape, path: &mut Vec<&'a str>) {
        path.push("*");
        self.shape(shape, path);
        path.pop();
    }
}

fn object_at<'a>(facts: &'a ResourceType, path: &[&str]) -> Option<&'a ObjectShape> {
    if path.is_empty() {
        return Some(&facts.properties);
    }
    match facts.shape_at(path)? {
        Shape::Object(object) => Some(object),
        Shape::AnyOf(shapes) => shapes.iter().find_map(|shape| match shape {
            Shape::Object(object) => Some(&**object),
            _ => None,
        }),
        _ => None,
    }
}

fn settable<'a>(facts: &ResourceType, object: &'a ObjectShape, path: &[&str]) -> Vec<&'a str> {
    let names = object.properties.iter().map(|property| property.name);
    names
        .filter(|name| {
            let whole: Vec<&str> = path.iter().copied().chain([*name]).collect();
            !facts.is_read_only(&whole)
        })
        .collect()
}
