//! How synthesis and checking grow with the fleet.
//!
//! `cargo bench --bench fleet` measures the two in this process; `benches/peers.py`
//! measures the whole program beside the `cdk` program. Both should grow with the number
//! of things and not faster.

use std::path::PathBuf;

use divan::{Bencher, counter::ItemsCount};
use iotstack::aws::lambda::Architecture;
use iotstack_assembly::CloudAssembly;
use iotstack_check::Context;
use iotstack_stacks::{Handlers, Request, synthesize};
use serde_json::json;

fn main() {
    divan::main();
}

const FLEETS: [u32; 3] = [100, 1_000, 10_000];

/// From parameters to an assembly on disk.
#[divan::bench(args = FLEETS)]
fn synth(bencher: Bencher<'_, '_>, things: u32) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let request = request(folder.path().join("out"), things);
    bencher
        .counter(ItemsCount::new(things))
        .bench_local(|| synthesize(&request).expect("the ready stacks synthesize"));
}

/// From the templates on disk to findings.
#[divan::bench(args = FLEETS)]
fn check(bencher: Bencher<'_, '_>, things: u32) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let request = request(folder.path().join("out"), things);
    synthesize(&request).expect("the ready stacks synthesize");
    let assembly = CloudAssembly::read(&request.output).expect("the assembly can be read");
    bencher.counter(ItemsCount::new(things)).bench_local(|| {
        for stack in assembly.stacks() {
            let template = stack.template().expect("the template can be read");
            let context = Context::stack(&stack.display_name, stack.environment.clone());
            divan::black_box(iotstack_check::check(&template, &context));
        }
    });
}

fn request(output: PathBuf, things: u32) -> Request {
    let parameters = json!({"fleet": {"count": things}});
    let program = output.with_file_name("handlers");
    std::fs::write(&program, "stands for the handlers").expect("a file can be written");
    Request {
        environment_name: "dev".into(),
        account: None,
        region: Some("eu-central-1".into()),
        parameters: parameters.as_object().cloned().unwrap_or_default(),
        handlers: Handlers { program, architecture: Architecture::X86_64 },
        output,
    }
}
