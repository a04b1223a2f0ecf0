//! What the tables of well-known types contain.

use super::*;
use iotstack_schema::resource_type;

fn table(names: &[&str]) -> String {
    let types: Vec<&ResourceType> = names
        .iter()
        .map(|name| resource_type(name).unwrap_or_else(|| panic!("no facts of {name}")))
        .collect();
    let mut files = generate(&types);
    assert_eq!(files.len(), 1);
    files.remove(0).1
}

#[test]
fn writes_a_setter_per_settable_property() {
    let text = table(&["AWS::IoT::Thing"]);
    assert!(text.contains("CfnThing = \"AWS::IoT::Thing\", None\n    new()\n"));
    assert!(text.contains("thing_name = \"ThingName\": Value<String>, replaces;"));
    assert!(text.contains("attributes = \"Attributes\": Map<String>;"));
    assert!(text.contains("[ARN = \"Arn\", ID = \"Id\"]"));
    assert!(!text.contains("arn = \"Arn\""), "read-only properties have no setter");
    assert!(text.contains("aws-resource-iot-thing.html"));
}

#[test]
fn writes_what_is_required_into_new() {
    let text = table(&["AWS::IoT::Policy"]);
    assert!(text.contains("new(policy_document = \"PolicyDocument\": Expr)"));
    assert!(text.contains("\"AWS::IoT::Policy\", List(\"Tags\")"));
    assert!(text.contains("tags = \"Tags\": List<CfnTag>;"));
}

#[test]
fn writes_enums_for_listed_text() {
    let text = table(&["AWS::IoT::Certificate"]);
    assert!(
        text.contains(
            "certificate_mode = \"CertificateMode\": Value<CfnCertificateCertificateMode>"
        )
    );
    assert!(text.contains("SniOnly = \"SNI_ONLY\""));
}

#[test]
fn no_two_tables_of_a_service_share_a_name() {
    for (service, text) in generate(&all()) {
        let mut names = BTreeSet::new();
        let defined = text.lines().filter_map(|line| line.strip_prefix("    Cfn"));
        for line in defined {
            let name = line.split(' ').next().unwrap_or_default();
            assert!(names.insert(name), "Cfn{name} is defined twice in {service}");
        }
    }
}

#[test]
fn no_two_methods_or_variants_of_a_table_share_a_name() {
    for (service, text) in generate(&all()) {
        for table in text.split("\n\n") {
            let mut names = BTreeSet::new();
            for line in table.lines().filter(|line| line.starts_with("        ")) {
                let name = line.trim_start().split(" = ").next().unwrap_or_default();
                assert!(names.insert(name), "{name} is defined twice in {service}:\n{table}");
            }
        }
    }
}

fn all() -> Vec<&'static ResourceType> {
    crate::TYPES.lines().filter_map(resource_type).collect()
}
