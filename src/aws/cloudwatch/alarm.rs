//! Metrics and alarms.

use iotstack_core::{Arn, Construct, Duration, Expr, Handle, Scope, Text, Value, object, text};

use super::{CfnAlarm, CfnAlarmTreatMissingData};
use crate::empty::unless_empty;
use crate::iam::{Condition, Service};
use crate::sns::TopicRef;

/// A metric: what a widget draws and an alarm watches.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Such as `AWS/Lambda`.
    pub namespace: Text,
    /// Such as `Errors`.
    pub name: Text,
    /// What tells this one from others of its name.
    pub dimensions: Vec<(Text, Expr)>,
    /// How values of a period become one: `Sum`, `Average`, `Maximum`, `p99`, …
    pub statistic: Text,
    /// How long a period is.
    pub period: Duration,
    /// What charts call it; the name where nothing is said.
    pub label: Option<String>,
}

impl Metric {
    /// The sum over five minutes.
    pub fn sum(namespace: impl Into<Text>, name: impl Into<Text>) -> Self {
        Metric {
            namespace: namespace.into(),
            name: name.into(),
            dimensions: Vec::new(),
            statistic: "Sum".into(),
            period: Duration::minutes(5),
            label: None,
        }
    }

    /// One of a Lambda function's metrics, such as `Errors`.
    pub fn of_function(name: &'static str, function: &crate::lambda::FunctionRef) -> Self {
        Metric {
            dimensions: vec![("FunctionName".into(), function.name().into())],
            ..Metric::sum("AWS/Lambda", name)
        }
    }

    /// The same metric under another name in charts.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// As a dashboard writes it: namespace, name, dimensions, options.
    pub(super) fn for_dashboard(self) -> Expr {
        let mut parts: Vec<Expr> = vec![self.namespace.into(), self.name.into()];
        for (name, value) in self.dimensions {
            parts.extend([name.into(), value]);
        }
        parts.push(object! {
            "stat": self.statistic,
            "period": Expr::Int(self.period.as_seconds() as i64),
            "label": self.label.map_or(Expr::Null, Expr::from),
        });
        Expr::List(parts)
    }
}

/// An alarm on one metric. No data counts as good.
#[derive(Debug, Clone)]
pub struct Alarm {
    /// The name; CloudFormation makes one where none is given.
    pub alarm_name: Value<String>,
    /// What happened and what to do, for whoever is woken up.
    pub description: String,
    /// What is watched.
    pub metric: Metric,
    /// Alarms at this value and above.
    pub threshold: f64,
    /// After so many periods in a row.
    pub periods: u32,
    /// Who hears of it.
    pub notify: Vec<TopicRef>,
}

impl Construct for Alarm {
    type Ref = AlarmRef;

    fn build(self, scope: &Scope) -> AlarmRef {
        let Metric { namespace, name, dimensions, statistic, period, .. } = self.metric;
        let actions = unless_empty(Expr::list(self.notify.iter().map(|topic| topic.arn())));
        let dimensions =
            dimensions.into_iter().map(|(name, value)| object! { "Name": name, "Value": value });
        let alarm = CfnAlarm::new()
            .comparison_operator(Expr::from("GreaterThanOrEqualToThreshold"))
            .evaluation_periods(self.periods)
            .alarm_name(self.alarm_name)
            .alarm_description(self.description)
            .namespace(Expr::from(namespace))
            .metric_name(Expr::from(name))
            .dimensions(unless_empty(Expr::list(dimensions)))
            .statistic(Expr::from(statistic))
            .period(period.as_seconds() as i64)
            .threshold(self.threshold)
            .treat_missing_data(CfnAlarmTreatMissingData::NotBreaching)
            .alarm_actions(actions.clone())
            .ok_actions(actions);
        let alarm = scope.resource("Resource", alarm);
        for topic in &self.notify {
            let own = text!(
                "arn:{}:cloudwatch:{}:{}:alarm:*",
                iotstack_core::Pseudo::Partition,
                iotstack_core::Pseudo::Region,
                iotstack_core::Pseudo::AccountId
            );
            topic.allow_service(
                Service::CLOUDWATCH,
                vec![Condition::source_account(), Condition::source_arn(own)],
            );
        }
        AlarmRef { alarm }
    }
}

/// What an [`Alarm`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct AlarmRef {
    alarm: Handle<CfnAlarm>,
}

impl AlarmRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Alarm> {
        Arn::from_expr(self.alarm.attribute(CfnAlarm::ARN))
    }
}
