//! A template as `iotstack check` and the local CloudFormation read it.
//!
//! It is parsed and checked, its findings get their places, and it goes through all
//! pure steps up to the plan of a new stack. What is refused may be refused with any
//! words. Nothing is deployed, and no macro but the language extensions is run.
#![no_main]

use std::sync::Arc;

use iotstack_assembly::parse;
use iotstack_check::{Context, check, locate};
use iotstack_local_cloudformation::Result;
use iotstack_local_cloudformation::engine::plan::{Present, plan};
use iotstack_local_cloudformation::engine::{
    capabilities, parameters, prepare_again, rules, source, validate,
};
use iotstack_local_cloudformation::state::Definition;
use iotstack_local_kernel::Cloud;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: {
    // Cheap, and without services: everything that asks for one is refused.
    CLOUD.get_or_init(iotstack_local_kernel::testing::cloud);
}, |text: &str| {
    if let Ok((template, positions)) = parse::template(text) {
        let mut findings = check(&template, &Context::default());
        locate(&mut findings, &positions);
    }
    let _ = deploy(CLOUD.get_or_init(iotstack_local_kernel::testing::cloud), text);
});

fn deploy(cloud: &Cloud, text: &str) -> Result<()> {
    let raw = source::parse(text)?;
    let parameters = parameters::values(cloud, &raw, &[], &Default::default())?;
    let definition = Definition { text: text.to_owned(), parameters, ..Definition::default() };
    let prepared = prepare_again(&Arc::new(definition), &cloud.account, "fuzz")?;
    rules::check(&prepared, &cloud.account, "fuzz")?;
    // No type is served here, so each is refused; the plan is made nevertheless.
    let _ = validate::template(cloud, &prepared);
    let _ = capabilities::check(&prepared.template, &[]);
    plan(&prepared, &Present::default(), &cloud.account, ("fuzz", "fuzz")).map(drop)
}

static CLOUD: std::sync::OnceLock<Arc<Cloud>> = std::sync::OnceLock::new();
