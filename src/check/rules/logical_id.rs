//! Names inside a template: letters and digits, and not too many.
//!
//! The names of resources, parameters, outputs and mappings. Physical names have rules
//! of their own.

use iotstack_assembly::intrinsic::Trail;

use crate::{Code, Findings, Rule, Subject};

/// The rule.
pub(super) struct LogicalIds;

impl Rule for LogicalIds {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&LOGICAL_ID]
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let template = subject.template;
        let mut judge = |section: &'static str, name: &str| {
            // Generated outputs and conditions are named by their transform.
            if name.starts_with("Fn::") {
                return;
            }
            let is_plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
            if !is_plain || name.len() > LONGEST {
                let help = (!is_plain).then(|| {
                    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                    format!("for example `{plain}`")
                });
                let message = if is_plain {
                    format!(
                        "name `{name}` has {} characters; expected {LONGEST} at most",
                        name.len()
                    )
                } else {
                    format!("name `{name}` is not valid: expected letters and digits only")
                };
                findings.add(&LOGICAL_ID, &Trail::Root.key(section).key(name), message).help = help;
            }
        };
        template.parameters.keys().for_each(|name| judge("Parameters", name));
        template.mappings.keys().for_each(|name| judge("Mappings", name));
        template.resources.keys().for_each(|name| judge("Resources", name));
        template.outputs.keys().for_each(|name| judge("Outputs", name));
    }
}

const LONGEST: usize = 255;

static LOGICAL_ID: Code = Code::error(
    "logical-id",
    "Logical ids, and the names of parameters, mappings and outputs, consist of letters and \
     digits and have at most 255 of them. Hyphens, underscores, dots and spaces are refused.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn accepts_letters_and_digits() {
        clean(&findings(json!({"Resources": {"Topic1": {"Type": "AWS::SNS::Topic"}}})));
    }

    #[test]
    fn refuses_hyphens_and_long_names() {
        let found = findings(json!({"Resources": {
            "my-topic": {"Type": "AWS::SNS::Topic"},
            "x".repeat(256): {"Type": "AWS::SNS::Topic"}
        }}));
        has_codes(&found, &["logical-id", "logical-id"]);
        let first = found.iter().next().unwrap();
        assert_eq!(first.message, "name `my-topic` is not valid: expected letters and digits only");
        assert_eq!(first.help.as_deref(), Some("for example `mytopic`"));
    }
}
