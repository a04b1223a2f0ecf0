//! A small table, used as a generated one would be.

#![allow(dead_code)]

use super::*;
use crate::{Pseudo, Resource, Tagging};

crate::l1_resources! {
    /// A made-up pump.
    CfnPump = "Test::Garden::Pump", List("Tags")
    new(name = "Name": Value<String>)
    {
        name = "Name": Value<String>, replaces;
        mode = "Mode": Value<CfnPumpMode>;
        valves = "Valves": List<String>;
        limits = "Limits": Map<i64>;
        motor = "Motor": Value<CfnPumpMotor>;
        notes = "Notes": Expr;
        tags = "Tags": List<CfnTag>;
    }
    [ARN = "Arn", MOTOR_SPEED = "Motor.Speed"]
}

crate::l1_property_types! {
    CfnPumpMotor = "Test::Garden::Pump" at "Motor"
    new()
    { speed = "Speed": Value<i64>; }
}

crate::l1_choices! {
    CfnPumpMode { Gentle = "GENTLE", Strong = "STRONG" }
}

fn text(text: &'static str) -> Expr {
    Expr::Text(Text::Borrowed(text))
}

#[test]
fn keeps_properties_in_the_order_they_were_set() {
    let pump = CfnPump::new("well").mode(CfnPumpMode::Strong).valves(["a", "b"]);
    let names: Vec<&str> = pump.properties().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Name", "Mode", "Valves"]);
    assert_eq!(pump.properties().get("Mode"), Some(&text("STRONG")));
    assert_eq!(CfnPump::TYPE, "Test::Garden::Pump");
    assert_eq!(CfnPump::TAGGING, Tagging::List("Tags"));
}

#[test]
fn takes_late_values_everywhere() {
    let region = Expr::from(Pseudo::Region);
    let pump = CfnPump::new(region.clone())
        .mode(region.clone())
        .valves(vec![Value::from("a"), Value::Token(region.clone())])
        .limits([("Low", Value::Token(region.clone())), ("High", 5.into())])
        .tags([CfnTag::new("Stage", region.clone())]);
    let at = |name: &str| pump.properties().get(name);
    assert_eq!(at("Name"), Some(&region));
    assert_eq!(at("Mode"), Some(&region));
    assert_eq!(at("Valves"), Some(&Expr::List(vec!["a".into(), region.clone()])));
    let limits = Expr::object([("Low", region.clone()), ("High", Expr::Int(5))]);
    assert_eq!(at("Limits"), Some(&limits));
    let tag = Expr::object([("Key", "Stage".into()), ("Value", region.clone())]);
    assert_eq!(at("Tags"), Some(&Expr::List(vec![tag])));
    let whole = CfnPump::new("well").valves(region.clone());
    assert_eq!(whole.properties().get("Valves"), Some(&region));
}

#[test]
fn leaves_out_what_is_unset() {
    let none: Option<Vec<String>> = None;
    let pump = CfnPump::new("well").mode(Value::Unset).valves(none).limits(Map::UNSET);
    assert_eq!(pump, CfnPump::new("well"));
}

#[test]
fn sets_what_the_table_does_not_know() {
    let pump = CfnPump::new("well").set("Colour", "blue").mode(Expr::from("SILENT"));
    assert_eq!(pump.properties().get("Colour"), Some(&text("blue")));
    assert_eq!(pump.properties().get("Mode"), Some(&text("SILENT")));
}

#[test]
fn nests_objects() {
    let pump = CfnPump::new("well").motor(CfnPumpMotor::new().speed(900));
    let motor = Expr::object([("Speed", Expr::Int(900))]);
    assert_eq!(pump.properties().get("Motor"), Some(&motor));
}

#[test]
fn lists_its_tables() {
    assert_eq!(RESOURCES[0].properties, CfnPump::PROPERTIES);
    assert_eq!(PROPERTY_TYPES[0].path, "Motor");
    assert_eq!(CfnPump::MOTOR_SPEED.name(), "Motor.Speed");
    assert_eq!(CfnPump::ARN.name(), "Arn");
}
