//! Parameters of the Parameter Store.

use iotstack_aws::ssm::StringParameter;
use iotstack_core::{Pseudo, Value};

use crate::template::{check, check_stack};

#[test]
fn parameter_with_defaults() {
    let parameter = StringParameter {
        parameter_name: "/garden/litres".into(),
        value: "5".into(),
        description: Value::Unset,
    };
    check(parameter, "parameter_defaults");
}

#[test]
fn parameter_with_everything() {
    check_stack("parameter_everything", |stack| {
        let parameter = StringParameter {
            parameter_name: "/garden/region".into(),
            value: Pseudo::Region.into(),
            description: "Where the garden is".into(),
        };
        let parameter = stack.add("It", parameter);
        stack.output("Name", parameter.name());
        stack.output("Arn", parameter.arn());
    });
}
