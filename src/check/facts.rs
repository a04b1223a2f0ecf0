//! The schema's facts, in the form in which the comparison of templates asks for them.
//!
//! The comparison knows no resource type, and the facts know no comparison; this joins
//! them. It decides nothing.

use iotstack_assembly::diff::{Replacement, ReplacementFacts};

/// Tells from the embedded schemas what a change replaces.
#[derive(Debug, Clone, Copy, Default)]
pub struct SchemaFacts;

impl ReplacementFacts for SchemaFacts {
    fn replacement(&self, resource_type: &str, path: &[&str]) -> Replacement {
        // What CloudFormation does with custom resources and types that are not known
        // here is decided elsewhere. A custom resource is replaced when its function
        // answers with another physical id.
        match iotstack_schema::resource_type(resource_type) {
            Some(facts) if path.first() != Some(&"ServiceToken") => match facts.replacement(path) {
                iotstack_schema::Replacement::Never => Replacement::Never,
                iotstack_schema::Replacement::Conditional => Replacement::Conditional,
                iotstack_schema::Replacement::Always => Replacement::Always,
            },
            Some(_) => Replacement::Always,
            None => Replacement::Conditional,
        }
    }

    fn is_stateful(&self, resource_type: &str) -> bool {
        iotstack_schema::resource_type(resource_type).is_some_and(|facts| facts.stateful)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_thing_name_replaces_and_new_attributes_do_not() {
        let of = |path: &[&str]| SchemaFacts.replacement("AWS::IoT::Thing", path);
        assert_eq!(of(&["ThingName"]), Replacement::Always);
        assert_eq!(of(&["AttributePayload", "Attributes", "x"]), Replacement::Never);
    }

    #[test]
    fn nothing_is_promised_about_unknown_types() {
        let found = SchemaFacts.replacement("Some::Third::Party", &["Name"]);
        assert_eq!(found, Replacement::Conditional);
    }

    #[test]
    fn buckets_and_tables_hold_data() {
        assert!(SchemaFacts.is_stateful("AWS::S3::Bucket"));
        assert!(!SchemaFacts.is_stateful("AWS::IoT::TopicRule"));
    }
}
