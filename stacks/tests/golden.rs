//! The templates of the ready stacks, byte for byte.
//!
//! `golden/` holds what each stack is in each environment, and once with every option
//! used, in an environment called `full`. `IOTSTACK_BLESS=1 cargo test -p
//! iotstack-stacks` rewrites the files; their diff is what a change means for people who
//! have the stacks deployed, and is reviewed like code.

// Test code throughout: a panic is how it reports.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use iotstack::assembly::CloudAssembly;
use iotstack::aws::lambda::Architecture;
use iotstack_stacks::{Handlers, Request, synthesize};
use serde_json::{Value, json};

/// Environments with their account, region and parameters.
fn environments() -> [(&'static str, Option<&'static str>, Option<&'static str>, Value); 4] {
    let fleet = || json!({"fleet": {"count": 3}});
    let every_option = json!({
        "project": "pumps",
        "fleet": {
            "names": ["pump-roses", null, "pump-tulips"],
            "attributes": {"garden": "north"}
        },
        "signing": {
            "certificate_arn": "arn:aws:acm:eu-central-1:123456789012:certificate/0d2f4a5c",
            "organization": "Garden",
            "validity_days": 400,
            "certificate_name": "/etc/pumps/signer.pem"
        },
        "jobs": {
            "rollout": {"maximum_per_minute": 20},
            "abort": [],
            "in_progress_timeout_minutes": 15,
            "retries": [{"failure_type": "ALL", "number_of_retries": 3}],
            "presigned_url_expires_seconds": 600
        },
        "encryption": "kms",
        "tier_old_versions_after_days": 10,
        "expire_old_versions_after_days": null,
        "retain": true,
        "notify": ["ops@example.com", "gardener@example.com"],
        "failure_alarm_threshold": 5,
        "manager_concurrency": null,
        "log_retention_days": 90,
        "vpc": {
            "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
            "security_group_ids": ["sg-0123456789abcdef0"]
        },
        "tags": {"team": "garden"}
    });
    [
        ("dev", None, None, fleet()),
        ("staging", None, None, fleet()),
        ("prod", None, None, fleet()),
        ("full", Some("123456789012"), Some("eu-central-1"), every_option),
    ]
}

/// The assembly of an environment, with a program that is the same on every machine.
fn assembly(folder: &Path, environment: &str) -> CloudAssembly {
    let (name, account, region, parameters) =
        environments().into_iter().find(|(name, ..)| *name == environment).unwrap();
    let program = folder.join("iotstack-handlers");
    fs::write(&program, "a program that never changes").unwrap();
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    let request = Request {
        environment_name: name.into(),
        account: account.map(Into::into),
        region: region.map(Into::into),
        parameters,
        handlers: Handlers { program, architecture: Architecture::Arm64 },
        output: folder.join("out"),
    };
    synthesize(&request).unwrap();
    CloudAssembly::read(&request.output).unwrap()
}

/// File names and contents of all templates.
fn templates() -> BTreeMap<String, String> {
    let mut templates = BTreeMap::new();
    for (environment, ..) in environments() {
        let folder = tempfile::tempdir().unwrap();
        for stack in assembly(folder.path(), environment).stacks() {
            let text = String::from_utf8(stack.template_bytes().unwrap()).unwrap();
            templates.insert(format!("{}.template.json", stack.id), text);
        }
    }
    templates
}

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn templates_are_those_of_the_goldens_and_the_reverse() {
    let found = templates();
    if std::env::var_os("IOTSTACK_BLESS").is_some() {
        let _ = fs::remove_dir_all(goldens());
        fs::create_dir_all(goldens()).unwrap();
        for (name, text) in &found {
            fs::write(goldens().join(name), text).unwrap();
        }
        return;
    }
    let known: BTreeMap<String, String> = fs::read_dir(goldens())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    let names = |templates: &BTreeMap<String, String>| -> Vec<String> {
        templates.keys().cloned().collect()
    };
    assert_eq!(names(&found), names(&known), "templates and goldens; IOTSTACK_BLESS=1 rewrites");
    for (name, text) in &found {
        let golden = &known[name];
        if text == golden {
            continue;
        }
        let end = (golden.lines().count().min(text.lines().count()), ("(one ends)", "(here)"));
        let mut lines = golden.lines().zip(text.lines()).enumerate();
        let (line, (expected, given)) =
            lines.find(|(_, (left, right))| left != right).unwrap_or(end);
        panic!(
            "{name} differs in line {}:\n- {expected}\n+ {given}\nIOTSTACK_BLESS=1 accepts what \
             was found",
            line + 1
        );
    }
}

#[test]
fn the_checks_find_nothing_in_any_template() {
    for (environment, ..) in environments() {
        let folder = tempfile::tempdir().unwrap();
        for stack in assembly(folder.path(), environment).stacks() {
            let context =
                iotstack_check::Context::stack(&stack.stack_name, stack.environment.clone());
            let found = iotstack_check::check(&stack.template().unwrap(), &context);
            // The functions of the stacks need the bucket anyway.
            let found: Vec<_> = found.iter().filter(|found| found.code != "needs-bucket").collect();
            assert!(found.is_empty(), "{}: {found:#?}", stack.id);
        }
    }
}

#[test]
fn environments_share_no_physical_name() {
    // What people and policies refer to; all of it holds the environment's name.
    const NAMES: [&str; 9] = [
        "AlarmName",
        "DashboardName",
        "FunctionName",
        "Name",
        "PolicyName",
        "RuleName",
        "ThingGroupName",
        "ThingName",
        "ThingTypeName",
    ];
    let (dev, prod) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = |assembly: CloudAssembly| -> Vec<(String, String)> {
        let template = assembly.stacks()[0].template().unwrap();
        let resources = template.resources.into_values();
        resources
            // Policies of a role are named within their role.
            .filter(|resource| resource.kind != "AWS::IAM::Policy")
            .flat_map(|resource| {
                let kind = resource.kind;
                resource.properties.into_iter().filter_map(move |(name, value)| {
                    let value = value.as_str()?;
                    NAMES.contains(&name.as_str()).then(|| (kind.clone(), value.to_owned()))
                })
            })
            .filter(|(kind, _)| !kind.starts_with("Custom::"))
            .collect()
    };
    let dev = names(assembly(dev.path(), "dev"));
    let prod = names(assembly(prod.path(), "prod"));
    assert!(dev.len() > 10, "{dev:?}");
    for name in &dev {
        assert!(!prod.contains(name), "{name:?} is in dev and in prod");
    }
}

#[test]
fn every_ready_stack_is_in_the_app() {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let list = fs::read_to_string(source.join("lib.rs")).unwrap();
    let mut stacks = 0;
    for entry in fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.is_file() && !["lib", "parameters"].contains(&name) {
            assert!(list.contains(&format!("pub mod {name};")), "{name} has no line in lib.rs");
            assert!(list.contains(&format!("{name}::add_to(")), "{name} is not in the app");
            stacks += 1;
        }
    }
    assert!(stacks > 0);
}
