//! Resources that need each other in a circle.
//!
//! CloudFormation makes resources one after the other and refuses a template in which
//! no order exists. It names all resources involved, but not the circle; this does.

use iotstack_assembly::graph::Graph;
use iotstack_assembly::intrinsic::Trail;

use crate::{Code, Findings, Rule, Subject};

/// The rule.
pub(super) struct Cycles;

impl Rule for Cycles {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&CIRCLE]
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        for circle in Graph::of(subject.template).circles() {
            let Some(first) = circle.first() else { continue };
            let message = match circle.as_slice() {
                [alone] => format!("`{alone}` refers to itself"),
                several => {
                    let way: Vec<_> =
                        several.iter().chain([first]).map(|id| format!("`{id}`")).collect();
                    format!("resources refer to each other in a circle: {}", way.join(" → "))
                }
            };
            findings.advise(
                &CIRCLE,
                &Trail::Root.key("Resources").key(first),
                message,
                "cut one of the references: give a name instead, or move the part that refers \
                 back into a resource of its own",
            );
        }
    }
}

static CIRCLE: Code = Code::error(
    "circular-dependency",
    "Each resource on the circle waits for the next one, so none can be made first. `Ref`, \
     `Fn::GetAtt`, `Fn::Sub` and `DependsOn` all count. Usual ways out: a literal name for one \
     of them, or a policy or permission as a resource of its own, which may refer to both.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::json;

    #[test]
    fn names_the_circle() {
        let found = findings(json!({"Resources": {
            "A": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "B"}}},
            "B": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "${C}"}}},
            "C": {"Type": "AWS::SNS::Topic", "DependsOn": "A"}
        }}));
        assert_eq!(
            only(&found),
            "circular-dependency Resources/A: \
             resources refer to each other in a circle: `A` → `B` → `C` → `A`"
        );
    }

    #[test]
    fn a_chain_is_no_circle() {
        clean(&findings(json!({"Resources": {
            "A": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "B"}}},
            "B": {"Type": "AWS::SNS::Topic", "DependsOn": "C"},
            "C": {"Type": "AWS::SNS::Topic"}
        }})));
    }
}
