//! Decisions that CloudFormation takes when it deploys.
//!
//! Most differences between environments belong into the program, where they are typed.
//! A parameter is for what only the person deploying knows.

use iotstack::aws::iot::CfnThing;
use iotstack::aws::sns::Topic;
use iotstack::prelude::*;

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let stack = app.add("garden", Stack::default());

    let size = Parameter {
        description: "How much the garden matters".into(),
        default: "hobby".into(),
        allowed_values: vec!["hobby".into(), "farm".into()],
        ..default()
    };
    let size = stack.parameter("Size", size);
    let is_farm = stack.condition("IsFarm", intrinsic::equals(size, "farm"));

    // One of two values …
    let display_name = is_farm.choose("The farm", "The garden").into();
    let alarms = stack.add("Alarms", Topic { display_name, ..default() });
    stack.output("AlarmTopic", alarms.arn());

    // … and a resource that is there only where the condition holds.
    let spare = stack.resource("SparePump", CfnThing::new().thing_name("spare-pump"));
    spare.condition(&is_farm);

    // Text with late values inside.
    let greeting = text!("{} in {}", is_farm.choose("Farm", "Garden"), Pseudo::Region);
    stack.output("Greeting", greeting);
    app.run()
}
