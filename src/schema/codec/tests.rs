//! What is written can be read again, and damage is noticed.

use super::*;
use crate::{
    ArrayShape, Attribute, Definition, Format, Lifecycle, MapShape, NumberShape, ObjectRule,
    ObjectShape, Property, PropertyPath, ReplacementOrder, Scrutiny, Shape, StringShape, Tagging,
    Target,
};

#[test]
fn reads_what_was_written() {
    let types = vec![plain("Test::B::Second"), full("Test::A::First")];
    let regions = vec!["near".to_owned(), "far".to_owned()];
    let source = DatabaseSource { date: "2026-01-02".to_owned(), regions, types };
    let database = Database::open(write_database(&source).leak()).expect("a database");
    assert_eq!(database.date, "2026-01-02");
    assert_eq!(database.regions, ["near", "far"]);
    assert_eq!(database.names, ["Test::A::First", "Test::B::Second"]);
    assert_eq!(database.decode(0), Some(full("Test::A::First")));
    assert_eq!(database.decode(1), Some(plain("Test::B::Second")));
    assert_eq!(database.decode(2), None);
}

#[test]
fn divides_many_types_into_blocks() {
    let names: Vec<&'static str> =
        (0..2_000).map(|number| &*format!("Test::Many::T{number:04}").leak()).collect();
    let types = names.iter().map(|name| full(name)).collect();
    let source = DatabaseSource { date: String::new(), regions: Vec::new(), types };
    let database = Database::open(write_database(&source).leak()).expect("a database");
    assert!(database.blocks.len() > 1);
    for (place, name) in names.iter().enumerate() {
        assert_eq!(database.decode(place), Some(full(name)));
    }
}

#[test]
fn notices_damage() {
    assert!(Database::open(b"").is_none());
    assert!(Database::open(b"something else entirely").is_none());
    let types = vec![full("Test::A::First")];
    let source = DatabaseSource { date: String::new(), regions: Vec::new(), types };
    let mut bytes = write_database(&source);
    bytes.truncate(bytes.len() - 4);
    let database = Database::open(bytes.leak()).expect("the head is whole");
    assert_eq!(database.decode(0), None);
}

fn plain(name: &'static str) -> ResourceType {
    ResourceType {
        name,
        properties: ObjectShape::default(),
        definitions: Vec::new(),
        attributes: Vec::new(),
        attribute_prefixes: Vec::new(),
        read_only: Vec::new(),
        write_only: Vec::new(),
        create_only: Vec::new(),
        conditional_create_only: Vec::new(),
        deprecated: Vec::new(),
        primary_identifier: Vec::new(),
        reference: Vec::new(),
        arn_template: None,
        scrutiny: Vec::new(),
        immutable: false,
        replacement_order: ReplacementOrder::CreateFirst,
        stateful: false,
        tagging: None,
        lifecycle: Lifecycle::Active,
        region_bits: 0,
    }
}

/// A type that uses everything there is.
fn full(name: &'static str) -> ResourceType {
    let path = |names: &[&'static str]| PropertyPath::new(names.to_vec());
    let string = StringShape {
        values: vec!["On", "", "Off"],
        ignore_case: true,
        pattern: Some("^[a-z]+$"),
        min_length: Some(0),
        max_length: Some(300),
        format: Some(Format::Uri),
        targets: vec![Target { resource_type: "Test::B::Second", attribute: "Arn" }],
    };
    let number = NumberShape { values: vec![1.0, 2.5], min: Some(-3.0), max: Some(4e9) };
    let array = ArrayShape {
        items: Shape::Definition(0),
        prefix: vec![Shape::Boolean],
        min: Some(1),
        max: Some(70_000),
        unique: true,
        ordered: false,
        unique_keys: vec!["Key"],
    };
    let map = MapShape {
        patterns: vec![(".*", Shape::Integer(number.clone()))],
        other: Some(Shape::Json),
        min: None,
        max: Some(2),
    };
    let shapes = [
        ("Any", Shape::AnyOf(vec![Shape::Any, Shape::Number(number)])),
        ("List", Shape::Array(Box::new(array))),
        ("Map", Shape::Map(Box::new(map))),
        ("Text", Shape::String(string)),
    ];
    let properties = shapes
        .into_iter()
        .map(|(name, shape)| Property { name, shape, required: name == "Map" })
        .collect();
    let rules = vec![
        ObjectRule::ExactlyOne(vec![vec!["Any"], vec!["List", "Map"]]),
        ObjectRule::AtLeastOne(vec![vec!["Text"]]),
        ObjectRule::Requires { name: "Any", needs: vec!["Map"] },
        ObjectRule::Excludes { name: "Text", others: vec!["List"] },
    ];
    let inner = ObjectShape { open: true, ..ObjectShape::default() };
    ResourceType {
        properties: ObjectShape { properties, open: false, rules },
        definitions: vec![Definition { name: "Inner", shape: Shape::Object(Box::new(inner)) }],
        attributes: vec![Attribute { name: "Arn", shape: Shape::String(StringShape::default()) }],
        attribute_prefixes: vec!["Outputs."],
        read_only: vec![path(&["Arn"])],
        write_only: vec![path(&["Text"])],
        create_only: vec![path(&["Map", "*", "Key"])],
        conditional_create_only: vec![path(&["List"])],
        deprecated: vec![path(&["Any"])],
        primary_identifier: vec![path(&["Text"]), path(&["Arn"])],
        reference: vec![path(&["Text"])],
        arn_template: Some("arn:${Text}"),
        scrutiny: vec![(path(&[]), Scrutiny::EgressRules)],
        immutable: true,
        replacement_order: ReplacementOrder::DeleteFirst,
        stateful: true,
        tagging: Some(Tagging { property: path(&["Map"]), updatable: true, system_tags: false }),
        lifecycle: Lifecycle::Ending { date: Some("2026-09-30") },
        region_bits: 0b101,
        ..plain(name)
    }
}
