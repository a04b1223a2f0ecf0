//! Fleet metrics: what the service demands beyond the schema.
//!
//! A query that finds nothing, or a field that is not indexed, cannot be seen from a
//! template.

use serde_json::Value;

use crate::value::{Given, given};
use crate::{Code, Findings, ResourceSubject, Rule, Subject, Types};

/// The rule.
pub(super) struct FleetMetrics;

impl Rule for FleetMetrics {
    fn codes(&self) -> Vec<&'static Code> {
        vec![&FLEET_METRIC]
    }

    fn types(&self) -> Types {
        Types::Only(&["AWS::IoT::FleetMetric"])
    }

    fn resource(
        &self,
        resource: &ResourceSubject<'_>,
        _: &Subject<'_>,
        findings: &mut Findings<'_>,
    ) {
        for name in DEMANDED {
            if given(&resource.resource.properties, name) == Given::No {
                findings.add(
                    &FLEET_METRIC,
                    resource.properties,
                    format!("fleet metric without `{name}`, which AWS IoT demands"),
                );
            }
        }
        let period = resource.property("Period").and_then(|value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        if let Some(period) = period
            && (!(60..=86_400).contains(&period) || !period.is_multiple_of(60))
        {
            findings.add(
                &FLEET_METRIC,
                &resource.properties.key("Period"),
                format!("found a period of {period} s; expected 60 to 86400 in steps of 60"),
            );
        }
    }
}

const DEMANDED: &[&str] = &["QueryString", "AggregationField", "AggregationType", "Period"];

static FLEET_METRIC: Code = Code::error(
    "fleet-metric",
    "A fleet metric counts what a query finds: AWS IoT demands a query, a field, a kind of \
     aggregation and a period of whole minutes up to a day, though the schema names none of them.",
);

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use serde_json::{Value, json};

    fn metric(period: Value) -> Value {
        json!({"MetricName": "m", "QueryString": "*", "AggregationField": "registry.version",
            "AggregationType": {"Name": "Statistics", "Values": ["count"]}, "Period": period})
    }

    #[test]
    fn accepts_a_complete_metric() {
        clean(&resource("AWS::IoT::FleetMetric", metric(json!(300))));
    }

    #[test]
    fn finds_what_is_missing() {
        has_codes(
            &resource("AWS::IoT::FleetMetric", json!({"MetricName": "m"})),
            &["fleet-metric"; 4],
        );
        has_codes(&resource("AWS::IoT::FleetMetric", metric(json!(90))), &["fleet-metric"]);
    }
}
