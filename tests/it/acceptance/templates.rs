//! The ready stacks before judges that are not ours: every environment, every variant.
//!
//! All templates are judged in one call, because the judges load longer than they judge.
//! What is explained stands in `judge/allowed.json`; an explanation that nothing needs any
//! more fails here as well. A large fleet is judged as one with holes, of the same three
//! stacks: four hundred equal things teach a linter nothing and take it a minute.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::live::json_file;
use crate::judge::lint::{Template, lint};
use crate::project::Project;

/// A firmware-update system as somebody may configure it.
struct Variant {
    name: &'static str,
    environment: &'static str,
    region: &'static str,
    parameters: Vec<String>,
}

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const CERTIFICATE: &str =
    "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";

fn variants() -> Vec<Variant> {
    let variant = |name, environment, region, parameters: &[&str]| Variant {
        name,
        environment,
        region,
        parameters: parameters.iter().map(|&parameter| parameter.to_owned()).collect(),
    };
    let key = json!({ "kms_key_arn": KEY });
    let vpc = json!({
        "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "security_group_ids": ["sg-0123456789abcdef0"],
    });
    let addresses: Vec<String> = (1..=12).map(|n| format!("operator-{n}@example.com")).collect();
    let attributes = "fleet.attributes={\"site\":\"north\",\"model\":\"p-100\"}";
    vec![
        variant("dev", "dev", "us-east-1", &["fleet.count=3"]),
        variant("staging", "staging", "eu-central-1", &["fleet.count=3"]),
        // Its account and region are fixed in iotstack.yaml.
        variant("prod", "prod", "eu-central-1", &["fleet.count=3"]),
        variant("kms", "dev", "us-west-2", &["fleet.count=1", "encryption=kms"]),
        variant("kms-arn", "dev", "eu-west-1", &[&format!("encryption={key}")]),
        variant("vpc", "dev", "ap-southeast-2", &["fleet.count=1", &format!("vpc={vpc}")]),
        variant(
            "names",
            "dev",
            "ap-northeast-1",
            &[&format!("fleet.names={}", holes()), attributes],
        ),
        variant("empty", "dev", "us-east-2", &[]),
        variant(
            "certificate",
            "dev",
            "us-east-1",
            &[&format!("signing.certificate_arn={CERTIFICATE}")],
        ),
        variant("notify", "dev", "eu-west-1", &[&format!("notify={}", json!(addresses))]),
        variant("no-concurrency", "dev", "ca-central-1", &["manager_concurrency=null"]),
        variant(
            "kept",
            "staging",
            "sa-east-1",
            &["retain=true", "expire_old_versions_after_days=null"],
        ),
    ]
}

/// Nine hundred places, of which six hold a thing.
fn holes() -> Value {
    let mut names = vec![Value::Null; 900];
    for place in [0, 1, 399, 400, 500, 899] {
        names[place] = format!("pump-{place}").into();
    }
    names.into()
}

fn project() -> Project {
    Project::with_config(
        "environments:\n  dev:\n  staging:\n  prod:\n    account: \"123456789012\"\n    \
         region: eu-central-1\n",
    )
}

#[test]
fn every_environment_and_variant_passes_the_judges() {
    let project = project();
    let mut templates = Vec::new();
    for variant in variants() {
        let folder = format!("{}.out", variant.name);
        let run = synthesize(&project, &variant, &folder);
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "", ""), "{run:#?}");
        for name in project.names(&folder).iter().filter(|name| name.ends_with(".template.json")) {
            templates.push(Template {
                name: format!("{} {name}", variant.name),
                path: project.path(&folder).join(name),
                region: variant.region.to_owned(),
            });
        }
    }
    assert_eq!(templates.len(), variants().len() + 2, "the fleet with holes has three stacks");

    let verdict = lint(&templates);
    let findings: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    assert_eq!(verdict.unused, Vec::<Value>::new(), "explanations that explain nothing");
    // Every stack with everything in it has at least its roles' documents.
    assert!(verdict.policies >= 15 * variants().len() as u64, "{} policies", verdict.policies);
}

#[test]
fn synthesizing_twice_writes_the_same_bytes() {
    let project = project();
    for variant in variants().iter().filter(|variant| ["prod", "names"].contains(&variant.name)) {
        for folder in ["first.out", "second.out"] {
            assert_eq!(synthesize(&project, variant, folder).code, 0);
        }
        let (first, second) =
            (files(&project.path("first.out")), files(&project.path("second.out")));
        assert!(first.len() >= 4, "manifest, assets, template and program: {:?}", first.keys());
        assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
        for (name, bytes) in &first {
            assert!(*bytes == second[name], "{name} of {} differs", variant.name);
        }
    }
}

#[test]
fn nine_hundred_things_take_three_stacks_and_one_more_moves_none() {
    let project = project();
    let places = |count: u32, folder: &str| {
        let variant = Variant {
            name: "large",
            environment: "dev",
            region: "us-east-1",
            parameters: vec![format!("fleet.count={count}")],
        };
        assert_eq!(synthesize(&project, &variant, folder).code, 0);
        things(&project.path(folder))
    };
    let before = places(900, "before.out");
    let counts: Vec<usize> = before.values().map(Vec::len).collect();
    assert_eq!(
        before.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "IoTFirmwareUpdatesStack-dev",
            "IoTFirmwareUpdatesStack-dev-Things2",
            "IoTFirmwareUpdatesStack-dev-Things3",
        ]
    );
    assert_eq!(counts, [400, 400, 100]);
    let after = places(901, "after.out");
    let last = "IoTFirmwareUpdatesStack-dev-Things3";
    for (stack, names) in &before {
        let now = &after[stack];
        if stack == last {
            assert_eq!(now[..100], names[..], "the new thing comes last");
            assert_eq!(now[100], "firmware-dev-0901");
        } else {
            assert_eq!(now, names, "{stack}");
        }
    }
}

fn synthesize(project: &Project, variant: &Variant, folder: &str) -> crate::project::Run {
    let mut arguments = vec!["synth", "-q", "--strict", "--env", variant.environment, "-o", folder];
    for parameter in &variant.parameters {
        arguments.extend(["-c", parameter]);
    }
    project.run(arguments)
}

/// The things of each stack, by name.
fn things(assembly: &Path) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (name, _) in files(assembly) {
        let Some(stack) = name.strip_suffix(".template.json") else { continue };
        let template = json_file(&assembly.join(&name));
        let resources = template["Resources"].as_object().unwrap();
        assert!(resources.len() <= 500, "{stack} has {} resources", resources.len());
        let mut names: Vec<String> = resources
            .values()
            .filter(|resource| resource["Type"] == "AWS::IoT::Thing")
            .map(|thing| thing["Properties"]["ThingName"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        found.insert(stack.to_owned(), names);
    }
    found
}

/// All files of a folder with their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}
