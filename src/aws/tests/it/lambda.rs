//! Functions, with code from a file and from the template.

use iotstack_aws::iam::{Grantee, Role, Service, Statement};
use iotstack_aws::lambda::{Architecture, Code, Function, Runtime, VpcConfig};
use iotstack_core::testing::{Template, object_like};
use iotstack_core::{App, Duration, Pseudo, Size, Stack, text};

use crate::template::{check, check_stack};

#[test]
fn function_with_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("waterer");
    std::fs::write(&program, "a program that never changes").unwrap();
    check(Function::new(Code::program(&program).unwrap(), "water"), "function_defaults");
}

#[test]
fn function_with_everything() {
    check_stack("function_everything", |stack| {
        let function = Function {
            function_name: "waterer".into(),
            description: "Waters the garden".into(),
            code: Code::Inline("def handler(event, context):\n    return event\n".into()),
            runtime: Runtime::Python3_13,
            handler: "index.handler".into(),
            architecture: Architecture::Arm64,
            memory: Size::gibibytes(1),
            timeout: Duration::minutes(2),
            environment: vec![("REGION", Pseudo::Region.into()), ("BED", "roses".into())],
            reserved_concurrency: Some(2),
            vpc: Some(VpcConfig {
                subnet_ids: vec!["subnet-0123456789abcdef0".into()],
                security_group_ids: vec!["sg-0123456789abcdef0".into()],
            }),
            log_retention: Duration::days(8),
        };
        let function = stack.add("It", function);
        function.add_environment("LITRES", "5");
        let _ = function.allow(Statement::allow(["iot:DescribeThing"], ["*"]));
        let caller = stack.add("Caller", Role::new(Service::EVENTS));
        let _ = function.grant_invoke(&caller);
        let source = text!(
            "arn:{}:events:{}:{}:rule/evening",
            Pseudo::Partition,
            Pseudo::Region,
            Pseudo::AccountId
        );
        function.allow_service(stack, "AllowEvening", Service::EVENTS, source);
        stack.output("Name", function.name());
        stack.output("Arn", function.arn());
        stack.output("Role", function.role().name());
        stack.output("Logs", function.logs().name());
    });
}

#[test]
fn an_environment_can_begin_after_the_function() {
    let app = App::new();
    let stack = app.add("garden", Stack::default());
    let code = Code::Inline("exports.handler = async () => {};".into());
    let function = Function { runtime: Runtime::Nodejs22, ..Function::new(code, "index.handler") };
    let function = stack.add("It", function);
    function.add_environment("BED", "roses");
    function.add_environment("LITRES", "5");
    let variables = object_like([("BED", "roses"), ("LITRES", "5")]);
    Template::from(&stack).has_properties(
        "AWS::Lambda::Function",
        object_like([("Environment", object_like([("Variables", variables)]))]),
    );
}

#[test]
fn code_that_is_missing_is_named() {
    for code in [Code::program("/nowhere/waterer"), Code::folder("/nowhere/waterer")] {
        let error = code.unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/waterer: "), "{error}");
    }
}
