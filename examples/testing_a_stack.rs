//! How a stack is tested: assertions about its template.
//!
//! In a project these lines stand in a `#[test]`. An assertion that does not hold panics
//! with what was looked for and the nearest things found.

use iotstack::aws::iot::{CfnThing, Thing, ThingGroup};
use iotstack::prelude::*;
use iotstack::testing::{Capture, Template, absent, any, object_like};

fn garden(app: &App) -> StackRef {
    let stack = app.add("garden", Stack::default());
    let group = ThingGroup { thing_group_name: "pumps".into(), ..default() };
    let group = stack.add("Pumps", group);
    for number in 1..=3 {
        let name = format!("pump-{number}").into();
        stack.add(format!("Pump{number}"), Thing { thing_name: name, ..default() });
    }
    stack.output("GroupArn", group.arn());
    stack
}

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let template = Template::from(&garden(&app));

    template.has_count::<CfnThing>(3);
    template.resource_count_is("AWS::IoT::ThingGroup", 1);
    template.has_resource::<CfnThing>(object_like([("ThingName", "pump-2")]));
    template.has_resource::<CfnThing>(object_like([
        ("ThingName", any()),
        ("AttributePayload", absent()),
    ]));

    // What was found can be looked at afterwards.
    let name = Capture::new();
    template
        .has_properties("AWS::IoT::ThingGroup", object_like([("ThingGroupName", name.anything())]));
    assert_eq!(name.text(), "pumps");
    template.has_output("GroupArn", object_like([("Value", any())]));
    app.run()
}
