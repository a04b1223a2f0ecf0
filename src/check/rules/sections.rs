//! The outline: sections, and what stands beside a resource's properties.
//!
//! CloudFormation refuses a template with a section or a resource attribute that it
//! does not know. Most of these are properties that slipped one level out.

use iotstack_assembly::intrinsic::Trail;
use iotstack_assembly::template::is_custom;

use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct Sections;

impl Rule for Sections {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&UNKNOWN_SECTION, &UNKNOWN_ATTRIBUTE, &FORMAT_VERSION, &NO_RESOURCES]
    }

    fn types(&self) -> Types {
        Types::All
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let template = subject.template;
        for name in template.other.keys() {
            if KNOWN_ELSEWHERE.contains(&name.as_str()) || subject.has_macros() {
                continue;
            }
            let help = iotstack_schema::nearest(name, SECTIONS.iter().copied())
                .map(|near| format!("did you mean `{near}`?"));
            findings
                .add(
                    &UNKNOWN_SECTION,
                    &Trail::Root.key(name),
                    format!("CloudFormation knows no section `{name}`"),
                )
                .help = help.or(Some(format!("expected one of {}", SECTIONS.join(", "))));
        }
        if let Some(version) = &template.format_version
            && version != "2010-09-09"
        {
            findings.add(
                &FORMAT_VERSION,
                &Trail::Root.key("AWSTemplateFormatVersion"),
                format!("found version `{version}`; expected `2010-09-09`, the only one"),
            );
        }
        if template.resources.is_empty() && !subject.is_open() {
            findings.add(
                &NO_RESOURCES,
                &Trail::Root,
                "the template has no resources; CloudFormation expects one at least",
            );
        }
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        subject: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        for (name, value) in &resource.resource.other {
            // Policies that are function calls are kept among the other attributes.
            // Custom resources may state a version, which means nothing.
            if is_custom(&resource.resource.kind) && name == "Version" {
                continue;
            }
            let is_policy_call = ATTRIBUTES.contains(&name.as_str()) && value.is_object();
            if subject.has_macros() || name.starts_with("Fn::") || is_policy_call {
                continue;
            }
            let is_property =
                resource.facts.is_some_and(|facts| facts.properties.property(name).is_some());
            let help = if is_property {
                Some(format!("move `{name}` below `Properties`"))
            } else {
                iotstack_schema::nearest(name, ATTRIBUTES.iter().copied())
                    .map(|near| format!("did you mean `{near}`?"))
            };
            findings
                .add(
                    &UNKNOWN_ATTRIBUTE,
                    &resource.place.key(name),
                    format!("a resource has no attribute `{name}`"),
                )
                .help = help.or(Some(format!("expected one of {}", ATTRIBUTES.join(", "))));
        }
    }
}

static UNKNOWN_SECTION: Code = Code::error(
    "unknown-section",
    "A template is made of a few sections with fixed names, and CloudFormation refuses it if \
     there is another. Data that you want to keep in a template belongs below `Metadata`.",
);

static UNKNOWN_ATTRIBUTE: Code = Code::error(
    "unknown-attribute",
    "Beside `Type` and `Properties` a resource has a few attributes with fixed names, such as \
     `DependsOn` or `DeletionPolicy`. CloudFormation refuses others. A property that stands here \
     was most likely indented one level too little.",
);

static FORMAT_VERSION: Code = Code::error(
    "format-version",
    "`AWSTemplateFormatVersion` has had one value since the beginning, 2010-09-09. Write that, or \
     leave the line away.",
);

static NO_RESOURCES: Code = Code::error(
    "no-resources",
    "A stack without resources cannot be created. If conditions decide over all resources, make \
     sure that one always remains.",
);

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Resources",
    "Outputs",
];

/// Sections that some templates may have: hooks of code deployments.
const KNOWN_ELSEWHERE: &[&str] = &["Hooks"];

const ATTRIBUTES: &[&str] = &[
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "CreationPolicy",
    "UpdatePolicy",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
];

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn accepts_all_sections_and_attributes() {
        clean(&findings(json!({
            "AWSTemplateFormatVersion": "2010-09-09", "Description": "d", "Metadata": {"a": 1},
            "Resources": {"A": {"Type": "AWS::SNS::Topic", "DependsOn": "B",
                "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain", "Metadata": {"x": 1}},
                "B": {"Type": "AWS::SNS::Topic"}}
        })));
    }

    #[test]
    fn finds_what_is_in_the_wrong_place() {
        let found = findings(json!({
            "AWSTemplateFormatVersion": "2020-01-01", "Ressources": {},
            "Resources": {"A": {"Type": "AWS::SNS::Topic", "TopicName": "x", "DependOn": []}}
        }));
        has_codes(
            &found,
            &["unknown-section", "format-version", "unknown-attribute", "unknown-attribute"],
        );
        let help: Vec<_> = found.iter().filter_map(|found| found.help.as_deref()).collect();
        assert_eq!(
            help,
            [
                "did you mean `Resources`?",
                "move `TopicName` below `Properties`",
                "did you mean `DependsOn`?"
            ]
        );
    }

    #[test]
    fn finds_a_template_without_resources() {
        has_codes(&findings(json!({"Description": "d"})), &["no-resources"]);
    }
}
