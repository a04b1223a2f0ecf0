//! CloudFormation's limits on a template.
//!
//! Counts, sizes and lengths, with the value found and the limit. A fleet that does
//! not fit one stack is split by the app; a template cannot be split afterwards.

use iotstack_assembly::intrinsic::Trail;
use serde_json::{Map, Value};

use crate::{Code, Findings, Rule, Subject};

/// The rule.
pub(super) struct Limits;

impl Rule for Limits {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&TOO_MANY, &TEMPLATE_SIZE, &NEEDS_BUCKET, &DESCRIPTION_SIZE]
    }

    fn template(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let template = subject.template;
        for (section, count, limit) in [
            ("Parameters", template.parameters.len(), PARAMETERS),
            ("Mappings", template.mappings.len(), MAPPINGS),
            ("Resources", template.resources.len(), RESOURCES),
            ("Outputs", template.outputs.len(), OUTPUTS),
        ] {
            if count > limit {
                let what = section.to_lowercase();
                findings.advise(
                    &TOO_MANY,
                    &Trail::Root.key(section),
                    format!("the template has {count} {what}; CloudFormation accepts {limit}"),
                    "divide the template over several stacks",
                );
            }
        }
        for (name, mapping) in &template.mappings {
            let widest = mapping.as_object().map_or(0, Map::len);
            if widest > MAPPING_ATTRIBUTES {
                findings.add(
                    &TOO_MANY,
                    &Trail::Root.key("Mappings").key(name),
                    format!(
                        "mapping `{name}` has {widest} keys; CloudFormation accepts \
                         {MAPPING_ATTRIBUTES}"
                    ),
                );
            }
        }
        let description = template.description.as_ref().map_or(0, String::len);
        if description > DESCRIPTION {
            findings.add(
                &DESCRIPTION_SIZE,
                &Trail::Root.key("Description"),
                format!(
                    "the description has {description} bytes; CloudFormation accepts {DESCRIPTION}"
                ),
            );
        }
        self.size(subject, findings);
    }
}

impl Limits {
    fn size(&self, subject: &Subject<'_>, findings: &mut Findings<'_>) {
        let size = subject.context.size.unwrap_or_else(|| estimate(subject));
        if size > IN_A_BUCKET {
            findings.advise(
                &TEMPLATE_SIZE,
                &Trail::Root,
                format!("the template has {size} bytes; CloudFormation accepts {IN_A_BUCKET}"),
                "divide the template over several stacks",
            );
        } else if size > INLINE {
            findings.advise(
                &NEEDS_BUCKET,
                &Trail::Root,
                format!(
                    "the template has {size} bytes; beyond {INLINE} it reaches CloudFormation \
                     only through a bucket"
                ),
                "`iotstack bootstrap` makes one",
            );
        }
    }
}

/// The size of the template as compact JSON, without making it.
fn estimate(subject: &Subject<'_>) -> usize {
    let template = subject.template;
    let named = |section: &indexmap::IndexMap<String, Value>| -> usize {
        section.iter().map(|(name, value)| name.len() + 4 + size_of_value(value)).sum()
    };
    let resources: usize = template
        .resources
        .iter()
        .map(|(id, resource)| {
            let texts = [&resource.condition, &resource.deletion_policy]
                .into_iter()
                .chain([&resource.update_replace_policy])
                .flatten()
                .map(|text| text.len() + 20)
                .sum::<usize>();
            let depends: usize = resource.depends_on.iter().map(|id| id.len() + 3).sum();
            let values = [&resource.creation_policy, &resource.update_policy];
            let values: usize = values.into_iter().flatten().map(size_of_value).sum();
            let maps: usize = [&resource.properties, &resource.metadata]
                .into_iter()
                .filter(|map| !map.is_empty())
                .map(|map| 13 + size_of_map(map))
                .sum();
            id.len() + resource.kind.len() + 15 + texts + depends + values + maps
        })
        .sum();
    resources
        + named(&template.parameters)
        + named(&template.rules)
        + named(&template.mappings)
        + named(&template.conditions)
        + named(&template.outputs)
        + size_of_map(&template.metadata)
        + size_of_map(&template.generators)
        + template.description.as_ref().map_or(0, String::len)
}

fn size_of_map(map: &Map<String, Value>) -> usize {
    2 + map.iter().map(|(key, value)| key.len() + 4 + size_of_value(value)).sum::<usize>()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(_) => 5,
        // Most numbers are short, and none decides over the size of a template.
        Value::Number(_) => 3,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| 1 + size_of_value(item)).sum::<usize>(),
        Value::Object(map) => size_of_map(map),
    }
}

const RESOURCES: usize = 500;
const PARAMETERS: usize = 200;
const OUTPUTS: usize = 200;
const MAPPINGS: usize = 200;
const MAPPING_ATTRIBUTES: usize = 200;
const DESCRIPTION: usize = 1_024;
const INLINE: usize = 51_200;
const IN_A_BUCKET: usize = 1_048_576;

static TOO_MANY: Code = Code::error(
    "too-many",
    "CloudFormation limits how much one template holds: 500 resources, and 200 parameters, \
     mappings and outputs each. These limits cannot be raised. Divide the template; resources \
     of one stack can refer to exported outputs of another.",
);

static TEMPLATE_SIZE: Code = Code::error(
    "template-size",
    "CloudFormation reads templates of at most 1 MiB, and only from a bucket if they are larger \
     than 51,200 bytes. Divide the template, or move long literal text out of it.",
);

static NEEDS_BUCKET: Code = Code::info(
    "needs-bucket",
    "Templates beyond 51,200 bytes cannot be handed to CloudFormation directly. They are first \
     published to the bucket of the bootstrap stack, so the environment has to be bootstrapped.",
);

static DESCRIPTION_SIZE: Code = Code::error(
    "description-size",
    "The description of a template has at most 1,024 bytes. Characters outside ASCII count as \
     several bytes.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use crate::{Context, check};
    use iotstack_assembly::Template;
    use serde_json::json;

    fn topics(count: usize) -> Value {
        let topics: Map<String, Value> =
            (0..count).map(|n| (format!("T{n}"), json!({"Type": "AWS::SNS::Topic"}))).collect();
        json!({ "Resources": topics })
    }

    #[test]
    fn five_hundred_resources_are_accepted_and_one_more_is_not() {
        clean(&findings(topics(500)));
        assert_eq!(
            only(&findings(topics(501))),
            "too-many Resources: the template has 501 resources; CloudFormation accepts 500"
        );
    }

    #[test]
    fn counts_the_bytes_of_the_description() {
        let with = |text: String| {
            let mut template = topics(1);
            template["Description"] = text.into();
            findings(template)
        };
        clean(&with("x".repeat(1_024)));
        has_codes(&with("ü".repeat(513)), &["description-size"]);
    }

    #[test]
    fn tells_when_a_bucket_is_needed() {
        let template = Template::from_value(topics(1)).unwrap();
        let of = |size| check(&template, &Context { size: Some(size), ..Context::default() });
        clean(&of(51_200));
        has_codes(&of(51_201), &["needs-bucket"]);
        has_codes(&of(1_048_577), &["template-size"]);
    }

    #[test]
    fn the_estimate_is_close_to_the_real_size() {
        let value = topics(400);
        let template = Template::from_value(value.clone()).unwrap();
        let context = Context::default();
        let estimated = estimate(&Subject::new(&template, &context)) as f64;
        let real = value.to_string().len() as f64;
        assert!((estimated / real - 1.0).abs() < 0.1, "{estimated} for {real}");
    }
}
