//! Names that a template refers to and does not have.
//!
//! `Ref`, `Fn::GetAtt`, `Fn::Sub`, `DependsOn` and `Fn::FindInMap`. Attributes are
//! looked up in the facts of the type. Where macros or modules may bring further
//! resources, an unknown name proves nothing and is left alone.

use iotstack_assembly::intrinsic::{Target, Trail, each_reference};
use serde_json::Value;

use crate::value::choices;
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct References;

impl Rule for References {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&UNKNOWN_NAME, &UNKNOWN_RESOURCE_ATTRIBUTE, &UNKNOWN_MAPPING]
    }

    fn types(&self) -> Types {
        Types::All
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let template = subject.template;
        for (section, values) in [
            ("Rules", &template.rules),
            ("Conditions", &template.conditions),
            ("Outputs", &template.outputs),
        ] {
            for (name, value) in values {
                let trail = Trail::Root.key(section);
                judge(value, &trail.key(name), subject, findings);
            }
        }
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        subject: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        for (name, value) in &resource.resource.properties {
            judge(value, &resource.properties.key(name), subject, findings);
        }
        for (index, id) in resource.resource.depends_on.iter().enumerate() {
            if !subject.template.resources.contains_key(id) && !subject.is_open() {
                let help = nearest(id, subject, false);
                let trail = resource.place.key("DependsOn");
                findings
                    .add(
                        &UNKNOWN_NAME,
                        &trail.item(index),
                        format!("the template has no resource `{id}`"),
                    )
                    .help = help;
            }
        }
    }
}

fn judge(value: &Value, trail: &Trail<'_>, subject: &Subject<'_>, findings: &mut Findings<'_>) {
    each_reference(value, trail, &mut |target, trail| match target {
        Target::Name(name) => {
            if !is_known(name, subject) {
                unknown(name, trail, subject, findings);
            }
        }
        Target::Attribute(id, attribute) => attribute_of(id, attribute, trail, subject, findings),
        Target::Mapping(name) => {
            if !subject.template.mappings.contains_key(name) && !subject.is_open() {
                let names = subject.template.mappings.keys().map(String::as_str);
                let help = iotstack_schema::nearest(name, names)
                    .map(|near| format!("did you mean `{near}`?"));
                findings
                    .add(&UNKNOWN_MAPPING, trail, format!("the template has no mapping `{name}`"))
                    .help = help;
            }
        }
        Target::Condition(name) => super::conditions::exists(name, trail, subject, findings),
    });
}

fn attribute_of(
    id: &str,
    attribute: &str,
    trail: &Trail<'_>,
    subject: &Subject<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(resource) = subject.template.resources.get(id) else {
        if !subject.is_open() {
            unknown_owner(id, attribute, trail, subject, findings);
        }
        return;
    };
    // Attributes of types that are not known here are not known either.
    let Some(facts) = iotstack_schema::resource_type(&resource.kind) else { return };
    if attribute.is_empty() || facts.has_attribute(attribute) || attribute.contains("${") {
        return;
    }
    let names: Vec<&str> = facts.attributes.iter().map(|attribute| attribute.name).collect();
    let help = match iotstack_schema::nearest(attribute, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "the type has no attributes; use `Ref`".to_owned(),
        None => format!("expected one of {}", choices(names)),
    };
    findings.advise(
        &UNKNOWN_RESOURCE_ATTRIBUTE,
        trail,
        format!("{} `{id}` has no attribute `{attribute}`", resource.kind),
        help,
    );
}

fn unknown(name: &str, trail: &Trail<'_>, subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let (message, help) = match name.strip_prefix("AWS::") {
        Some(_) => (
            format!("there is no pseudo parameter `{name}`"),
            iotstack_schema::nearest(name, PSEUDO_PARAMETERS.iter().copied())
                .map(|near| format!("did you mean `{near}`?"))
                .or_else(|| Some(format!("expected one of {}", choices(PSEUDO_PARAMETERS)))),
        ),
        None => (
            format!("the template has no resource or parameter `{name}`"),
            nearest(name, subject, true).or_else(|| escaped(name)),
        ),
    };
    findings.add(&UNKNOWN_NAME, trail, message).help = help;
}

fn unknown_owner(
    id: &str,
    attribute: &str,
    trail: &Trail<'_>,
    subject: &Subject<'_>,
    findings: &mut Findings<'_>,
) {
    let (message, help) = if subject.template.parameters.contains_key(id) {
        (format!("`{id}` is a parameter and has no attributes"), Some("use `Ref`".to_owned()))
    } else {
        (
            format!("the template has no resource `{id}`"),
            nearest(id, subject, false).or_else(|| escaped(&format!("{id}.{attribute}"))),
        )
    };
    findings.add(&UNKNOWN_NAME, trail, message).help = help;
}

/// Variables of AWS IoT and IAM look like CloudFormation's own.
fn escaped(name: &str) -> Option<String> {
    let is_variable = name.contains(':') && !name.starts_with("AWS::");
    is_variable.then(|| format!("write `${{!{name}}}` to leave it as it is"))
}

fn nearest(name: &str, subject: &Subject<'_>, with_parameters: bool) -> Option<String> {
    let resources = subject.template.resources.keys();
    let parameters = subject.template.parameters.keys().filter(|_| with_parameters);
    let names = resources.chain(parameters).map(String::as_str);
    iotstack_schema::nearest(name, names).map(|near| format!("did you mean `{near}`?"))
}

fn is_known(name: &str, subject: &Subject<'_>) -> bool {
    let template = subject.template;
    template.resources.contains_key(name)
        || template.parameters.contains_key(name)
        || PSEUDO_PARAMETERS.contains(&name)
        || (subject.is_open() && !name.starts_with("AWS::"))
}

const PSEUDO_PARAMETERS: &[&str] = &[
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

static UNKNOWN_NAME: Code = Code::error(
    "unknown-reference",
    "A function or `DependsOn` names something that the template does not have. References reach \
     the resources and parameters of the same template only; for values of other stacks use \
     `Fn::ImportValue`. In `Fn::Sub`, `${!Name}` leaves `${Name}` as it is, which the variables \
     of AWS IoT policies need.",
);

static UNKNOWN_RESOURCE_ATTRIBUTE: Code = Code::error(
    "unknown-resource-attribute",
    "`Fn::GetAtt` asks for an attribute that resources of this type do not have. What `Ref` \
     returns, often the name, is not an attribute.",
);

static UNKNOWN_MAPPING: Code = Code::error(
    "unknown-mapping",
    "`Fn::FindInMap` names a mapping that the template does not have.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn topic_named(name: Value) -> Value {
        json!({
            "Parameters": {"Stage": {"Type": "String"}},
            "Mappings": {"Sizes": {"dev": {"x": "1"}}},
            "Resources": {
                "A": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name,
                    "DisplayName": {"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "x"]}}},
                "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
                "Nested": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://x"}},
                "Mine": {"Type": "Custom::Mine", "Properties": {"ServiceToken": "x"}}
            }
        })
    }

    fn named(name: Value) -> iotstack_assembly::Diagnostics {
        findings(topic_named(name))
    }

    #[test]
    fn accepts_names_that_exist() {
        clean(&named(
            json!({"Fn::Sub": ["${Stage}-${AWS::Region}-${X}-${!iot:ClientId}", {"X": 1}]}),
        ));
        clean(&named(json!({"Fn::GetAtt": ["Role", "RoleId"]})));
        clean(&named(json!({"Fn::GetAtt": "Nested.Outputs.Name"})));
        clean(&named(json!({"Fn::GetAtt": ["Mine", "Anything.At.All"]})));
    }

    #[test]
    fn suggests_the_name_that_was_meant() {
        let found = named(json!({"Ref": "Stag"}));
        assert_eq!(
            only(&found),
            "unknown-reference Resources/A/Properties/TopicName/Ref: \
             the template has no resource or parameter `Stag`"
        );
        assert_eq!(found.iter().next().unwrap().help.as_deref(), Some("did you mean `Stage`?"));
        has_codes(&named(json!({"Fn::Sub": "${Nope.Arn}"})), &["unknown-reference"]);
        has_codes(&named(json!({"Ref": "AWS::Stack"})), &["unknown-reference"]);
    }

    #[test]
    fn shows_how_to_keep_a_policy_variable() {
        let found = named(json!({"Fn::Sub": "client/${iot:Connection.Thing.ThingName}"}));
        has_codes(&found, &["unknown-reference"]);
        assert_eq!(
            found.iter().next().unwrap().help.as_deref(),
            Some("write `${!iot:Connection.Thing.ThingName}` to leave it as it is")
        );
    }

    #[test]
    fn finds_an_attribute_that_the_type_does_not_have() {
        let found = named(json!({"Fn::GetAtt": ["Role", "Name"]}));
        assert_eq!(
            only(&found),
            "unknown-resource-attribute Resources/A/Properties/TopicName/Fn::GetAtt: \
             AWS::IAM::Role `Role` has no attribute `Name`"
        );
    }

    #[test]
    fn finds_unknown_mappings_and_dependencies() {
        let mut template = topic_named(json!("x"));
        template["Resources"]["A"]["Properties"]["DisplayName"]["Fn::FindInMap"][0] = "Size".into();
        template["Resources"]["A"]["DependsOn"] = json!(["Rol"]);
        template["Resources"]["Nested"]["Properties"]["TemplateURL"] =
            json!({"Fn::FindInMap": ["Sizes", "dev", "x"]});
        has_codes(&findings(template), &["unknown-mapping", "unknown-reference"]);
    }

    #[test]
    fn accuses_nobody_where_a_macro_may_bring_names() {
        let mut template = topic_named(json!({"Ref": "FromTheMacro"}));
        template["Transform"] = "MyMacro".into();
        clean(&findings(template));
    }
}
