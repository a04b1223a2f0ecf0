//! Messages of devices, counted and handed to a function by a topic rule.
//!
//! The rule's role, the function's permission and the order of it all come with it.

use iotstack::aws::iot::{Action, ErrorAction, TopicRule};
use iotstack::aws::lambda::{Code, Function, Runtime};
use iotstack::aws::logs::LogGroup;
use iotstack::prelude::*;

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let stack = app.add("garden", Stack::default());

    let code = Code::Inline("exports.handler = async (event) => console.log(event);".into());
    let waterer = Function { runtime: Runtime::Nodejs22, ..Function::new(code, "index.handler") };
    let waterer = stack.add("Waterer", waterer);
    let failures = stack.add("Failures", LogGroup::default());

    let sql = "SELECT *, topic(2) AS bed FROM 'garden/+/moisture' WHERE moisture < 20";
    let mut dry = TopicRule {
        description: "Waters beds that are dry".into(),
        error_action: Some(ErrorAction::Log(failures)),
        ..TopicRule::new("dry_beds", sql, Action::Lambda(waterer))
    };
    dry.actions.push(Action::Metric {
        namespace: "Garden".into(),
        name: "DryBeds".into(),
        value: "1".into(),
        unit: "Count",
    });
    let dry = stack.add("DryBeds", dry);
    stack.output("RuleName", dry.name());
    app.run()
}
