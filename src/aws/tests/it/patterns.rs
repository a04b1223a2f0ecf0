//! Patterns of several resources.

use iotstack_aws::lambda::{Code, Function, Runtime};
use iotstack_aws::patterns::{CustomResource, Provider};
use iotstack_core::{Duration, Props};

use crate::template::check_stack;

fn provider() -> Provider {
    let code = Code::Inline("exports.handler = async () => {};".into());
    Provider {
        function: Function {
            runtime: Runtime::Nodejs22,
            timeout: Duration::minutes(5),
            ..Function::new(code, "index.handler")
        },
    }
}

#[test]
fn custom_resource_with_defaults() {
    check_stack("custom_resource_defaults", |stack| {
        let provider = stack.add("Provider", provider());
        let resource = CustomResource { kind: "Custom::Bed", provider, properties: Props::new() };
        stack.add("It", resource);
    });
}

#[test]
fn custom_resource_with_everything() {
    check_stack("custom_resource_everything", |stack| {
        let provider = stack.add("Provider", provider());
        let mut properties = Props::new();
        properties.set("Flowers", ["roses", "tulips"]);
        let resource =
            CustomResource { kind: "Custom::Bed", provider: provider.clone(), properties };
        let bed = stack.add("It", resource);
        let topic = stack.untyped("Topic", "AWS::SNS::Topic", Props::new());
        topic.depends_on(bed.resource());
        stack.output("Bed", bed.physical_id());
        stack.output("Size", bed.value("Size"));
        stack.output("Function", provider.name());
    });
}
