//! What alarms do when their state changes: they tell topics, functions and the
//! event bus.
//!
//! An action that fails is logged and does not keep the others from running.

use std::sync::Arc;

use iotstack_local_kernel::ports::BusEvent;
use iotstack_local_kernel::{Cloud, Fault, Timestamp};
use serde_json::{Value, json};

use super::alarm::{Alarm, Kind, State};
use super::operations::shown_dimensions;

/// A change of state.
pub(super) struct Change {
    pub(super) alarm: Alarm,
    pub(super) arn: String,
    pub(super) before: State,
    pub(super) at: Timestamp,
}

/// Whether an ARN may be an action.
pub(super) fn is_known(arn: &str) -> bool {
    arn.starts_with("arn:") && matches!(arn.split(':').nth(2), Some("sns" | "lambda"))
}

/// Tells everybody who wants to know.
pub(super) async fn run(cloud: Arc<Cloud>, changes: Vec<Change>) {
    for change in changes {
        let (alarm, state) = (&change.alarm.name, change.alarm.state.name());
        tracing::info!(%alarm, state, "an alarm changed");
        let told = change.told(&cloud).to_string();
        let subject = format!("{state}: \"{alarm}\" in {}", cloud.account.region);
        let actions = if change.alarm.actions_enabled { change.alarm.actions() } else { &[] };
        for arn in actions {
            let outcome = match arn.split(':').nth(2) {
                Some("lambda") => invoke(&cloud, arn, &change),
                // SNS takes subjects of a hundred characters.
                _ => {
                    publish(&cloud, arn, &told, &subject.chars().take(100).collect::<String>())
                        .await
                }
            };
            if let Err(error) = outcome {
                tracing::warn!(%alarm, action = %arn, %error, "an action of an alarm failed");
            }
        }
        if let Ok(buses) = cloud.ports.event_buses() {
            let event = BusEvent {
                source: "aws.cloudwatch".to_owned(),
                detail_type: "CloudWatch Alarm State Change".to_owned(),
                detail: change.detail(),
                resources: vec![change.arn.clone()],
            };
            if let Err(error) = buses.put("default", event).await {
                tracing::warn!(%alarm, %error, "the event bus is not told of an alarm");
            }
        }
    }
}

async fn publish(cloud: &Cloud, arn: &str, told: &str, subject: &str) -> Result<(), Fault> {
    cloud.ports.topics()?.publish(arn, told, Some(subject)).await.map(drop)
}

fn invoke(cloud: &Cloud, arn: &str, change: &Change) -> Result<(), Fault> {
    let functions = cloud.ports.functions()?;
    if !functions.permits(arn, "lambda.alarms.cloudwatch.amazonaws.com", &change.arn) {
        return Err(Fault::new("AccessDeniedException", 403, "the function does not permit it"));
    }
    let event = json!({
        "source": "aws.cloudwatch",
        "alarmArn": change.arn,
        "accountId": cloud.account.id,
        "time": change.at.iso8601(),
        "region": cloud.account.region,
        "alarmData": change.detail(),
    });
    functions.invoke_event(arn, event.to_string().into());
    Ok(())
}

impl Change {
    /// The message to a topic.
    fn told(&self, cloud: &Cloud) -> Value {
        let alarm = &self.alarm;
        let mut told = json!({
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AWSAccountId": cloud.account.id,
            "AlarmConfigurationUpdatedTimestamp": alarm.configured.iso8601(),
            "NewStateValue": alarm.state.name(),
            "NewStateReason": alarm.reason,
            "StateChangeTime": self.at.iso8601(),
            "Region": cloud.account.region,
            "AlarmArn": self.arn,
            "OldStateValue": self.before.name(),
            "OKActions": alarm.ok_actions,
            "AlarmActions": alarm.alarm_actions,
            "InsufficientDataActions": alarm.insufficient_actions,
        });
        match &alarm.kind {
            Kind::Composite { rule } => told["AlarmRule"] = json!(rule),
            Kind::Metric(threshold) => {
                told["Trigger"] = json!({
                    "MetricName": threshold.metric,
                    "Namespace": threshold.namespace,
                    "StatisticType": "Statistic",
                    "Statistic": threshold.statistic.as_ref().map(|name| name.to_uppercase()),
                    "Unit": threshold.unit,
                    "Dimensions": shown_dimensions(&threshold.dimensions),
                    "Period": threshold.period_seconds,
                    "EvaluationPeriods": threshold.evaluation_periods,
                    "DatapointsToAlarm": threshold.datapoints_to_alarm,
                    "ComparisonOperator": threshold.comparison,
                    "Threshold": threshold.threshold,
                    "TreatMissingData": threshold.missing.as_deref().unwrap_or("missing"),
                    "Metrics": threshold.queries,
                });
            }
        }
        told
    }

    /// The detail of the event.
    fn detail(&self) -> Value {
        let alarm = &self.alarm;
        let configuration = match &alarm.kind {
            Kind::Composite { rule } => {
                json!({"description": alarm.description, "alarmRule": rule})
            }
            Kind::Metric(threshold) => json!({
                "description": alarm.description,
                "metrics": [{
                    "metricStat": {
                        "metric": {"namespace": threshold.namespace, "name": threshold.metric},
                        "period": threshold.period_seconds,
                        "stat": threshold.statistic,
                    },
                    "returnData": true,
                }],
            }),
        };
        json!({
            "alarmName": alarm.name,
            "state": {
                "value": alarm.state.name(),
                "reason": alarm.reason,
                "reasonData": alarm.reason_data,
                "timestamp": self.at.iso8601(),
            },
            "previousState": {"value": self.before.name()},
            "configuration": configuration,
        })
    }
}
