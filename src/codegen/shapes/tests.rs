//! Each form of JSON Schema that occurs, and the shape it becomes.

use serde_json::json;

use super::*;

fn no_target(_: &str, _: &str) -> Option<Target> {
    None
}

fn any_target(resource_type: &str, attribute: &str) -> Option<Target> {
    Some(Target { resource_type: keep(resource_type), attribute: keep(attribute) })
}

fn shape(schema: Value) -> Shape {
    let patterns = Patterns::default();
    let whole = json!({"definitions": {"Mode": {"type": "string"}, "Other": {"type": "boolean"}}});
    Shapes::new(&whole, &patterns, &no_target).shape(&schema)
}

fn object(schema: Value) -> ObjectShape {
    match shape(schema) {
        Shape::Object(object) => *object,
        other => panic!("not an object: {other:?}"),
    }
}

#[test]
fn reads_text_with_its_limits() {
    let Shape::String(string) =
        shape(json!({"type": "string", "minLength": 1, "pattern": "^[a-z]{1,12}$"}))
    else {
        panic!("not text")
    };
    assert_eq!(string.pattern, Some("^[a-z]+$"));
    assert_eq!((string.min_length, string.max_length), (Some(1), Some(12)));
    let Shape::String(listed) = shape(json!({"enum": ["A", "B"]})) else { panic!("not text") };
    assert_eq!(listed.values, ["A", "B"]);
}

#[test]
fn reads_references_by_place() {
    assert_eq!(shape(json!({"$ref": "#/definitions/Mode"})), Shape::Definition(0));
    let wrapped = json!({"allOf": [{"$ref": "#/definitions/Other"}, {"default": true}]});
    assert_eq!(shape(wrapped), Shape::Definition(1));
    assert_eq!(shape(json!({"$ref": "#/definitions/Missing"})), Shape::Any);
}

#[test]
fn reads_documents_as_json() {
    assert_eq!(shape(json!({"type": ["object", "string"], "format": "json"})), Shape::Json);
    assert_eq!(shape(json!({"type": ["string", "object"], "maxLength": 9})), Shape::Json);
    let Shape::String(text) = shape(json!({"type": "string", "format": "json"})) else {
        panic!("not text")
    };
    assert_eq!(text.format, Some(Format::Json));
}

#[test]
fn reads_maps_by_the_patterns_of_their_names() {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "patternProperties": {"^[a-z]+$": {"type": "integer"}},
        "maxProperties": 3
    });
    let Shape::Map(map) = shape(schema) else { panic!("not a map") };
    assert_eq!(map.patterns, [("^[a-z]+$", Shape::Integer(NumberShape::default()))]);
    assert_eq!((map.other, map.max), (None, Some(3)));
    let Shape::Map(open) = shape(json!({"type": "object"})) else { panic!("not a map") };
    assert_eq!(open.other, Some(Shape::Any));
}

#[test]
fn reads_required_alternatives_as_rules() {
    let found = object(json!({
        "type": "object",
        "properties": {"A": {"type": "string"}, "B": {"type": "string"}, "C": {"type": "string"}},
        "required": ["C"],
        "additionalProperties": false,
        "oneOf": [{"required": ["A"]}, {"required": ["B"]}],
        "dependentRequired": {"A": ["C"]},
        "dependentExcluded": {"B": ["A"]},
        "requiredOr": ["A", "B"]
    }));
    assert_eq!(found.required().collect::<Vec<_>>(), ["C"]);
    assert!(!found.open);
    assert_eq!(
        found.rules,
        [
            ObjectRule::ExactlyOne(vec![vec!["A"], vec!["B"]]),
            ObjectRule::AtLeastOne(vec![vec!["A"], vec!["B"]]),
            ObjectRule::Requires { name: "A", needs: vec!["C"] },
            ObjectRule::Excludes { name: "B", others: vec!["A"] },
        ]
    );
}

#[test]
fn does_not_demand_the_impossible_of_nested_groups() {
    let found = object(json!({
        "type": "object",
        "properties": {"A": {}, "B": {}},
        "oneOf": [{"required": ["A"]}, {"required": ["A", "B"]}]
    }));
    assert_eq!(found.rules, [ObjectRule::AtLeastOne(vec![vec!["A"], vec!["A", "B"]])]);
}

#[test]
fn merges_the_members_of_a_union() {
    let found = object(json!({
        "type": "object",
        "oneOf": [
            {"type": "object", "properties": {"A": {"type": "string"}}, "required": ["A"],
             "additionalProperties": false},
            {"type": "object", "properties": {"B": {"type": "boolean"}}, "required": ["B"],
             "additionalProperties": false}
        ]
    }));
    let names: Vec<&str> = found.properties.iter().map(|property| property.name).collect();
    assert_eq!(names, ["A", "B"]);
    assert!(!found.open);
    assert_eq!(found.rules, [ObjectRule::ExactlyOne(vec![vec!["A"], vec!["B"]])]);
}

#[test]
fn reads_alternatives_of_values() {
    let found = shape(json!({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}));
    let expected = vec![Shape::Integer(NumberShape::default()), Shape::Boolean];
    assert_eq!(found, Shape::AnyOf(expected));
}

#[test]
fn reads_lists() {
    let Shape::Array(array) = shape(json!({
        "type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true,
        "insertionOrder": false
    })) else {
        panic!("not a list")
    };
    assert_eq!(array.items, Shape::String(StringShape::default()));
    assert_eq!((array.min, array.max), (Some(1), None));
    assert!(array.unique && !array.ordered);
}

#[test]
fn finds_what_text_refers_to() {
    let patterns = Patterns::default();
    let whole = json!({});
    let shapes = Shapes::new(&whole, &patterns, &any_target);
    let schema = json!({"type": "string", "anyOf": [
        {"format": "AWS::KMS::Key.Arn"},
        {"relationshipRef": {"typeName": "AWS::KMS::Alias", "propertyPath": "/properties/AliasName"}}
    ]});
    let Shape::String(string) = shapes.shape(&schema) else { panic!("not text") };
    let names: Vec<&str> = string.targets.iter().map(|target| target.resource_type).collect();
    assert_eq!(names, ["AWS::KMS::Alias", "AWS::KMS::Key"]);
    let schema =
        json!({"type": "array", "format": "AWS::EC2::Subnet.Ids", "items": {"type": "string"}});
    let Shape::Array(array) = shapes.shape(&schema) else { panic!("not a list") };
    let Shape::String(string) = &array.items else { panic!("not text") };
    assert_eq!(string.targets[0].attribute, "Id");
}

#[test]
fn follows_pointers() {
    let patterns = Patterns::default();
    let whole = json!({
        "properties": {"Endpoint": {"$ref": "#/definitions/Endpoint"}},
        "definitions": {"Endpoint": {"type": "object", "properties": {"Port": {"type": "integer"}}}}
    });
    let shapes = Shapes::new(&whole, &patterns, &no_target);
    assert_eq!(shapes.at("/properties/Endpoint/Port"), Some(&json!({"type": "integer"})));
    assert_eq!(shapes.at("/properties/Endpoint/Missing"), None);
}
