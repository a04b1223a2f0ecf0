//! Dashboard and alarms, on metrics that exist.
//!
//! AWS counts executions for each job, under names of its own (`SuccededJob…` with one
//! `e`), and for no account as a whole; the account-wide counters are those that the
//! notification rules feed.

use iotstack::aws::cloudwatch::{Alarm, AlarmRef, Dashboard, DashboardRef, Metric, Widget};
use iotstack::aws::lambda::FunctionRef;
use iotstack::prelude::*;

use super::Deployment;
use super::notifications::NotificationsRef;
use super::storage::FirmwareStorageRef;

pub struct Monitoring<'a> {
    pub deployment: &'a Deployment,
    pub storage: &'a FirmwareStorageRef,
    pub manager: &'a FunctionRef,
    pub notifications: &'a NotificationsRef,
}

impl Construct for Monitoring<'_> {
    type Ref = DashboardRef;

    fn build(self, scope: &Scope) -> DashboardRef {
        let alarms = self.alarms(scope);
        let prefix = self.deployment.prefix();
        let title = Widget::Text(
            format!("# Firmware updates: {prefix}\nCounters are fed by job events; per-job lines are AWS's own and appear with the first job.")
                .into(),
        );
        let rows = vec![
            vec![title],
            vec![Widget::Alarms { title: "Alarms".into(), alarms }],
            vec![
                Widget::Numbers {
                    title: "Executions".into(),
                    metrics: self.executions(Duration::hours(1)),
                },
                Widget::Graph {
                    title: "Executions over time".into(),
                    metrics: self.executions(Duration::minutes(5)),
                },
            ],
            vec![jobs(&prefix), self.rules()],
            vec![
                functions("Calls of functions", "Invocations", &self.functions()),
                functions("Errors of functions", "Errors", &self.functions()),
                functions("Throttled calls", "Throttles", &self.functions()),
            ],
            vec![self.bucket()],
        ];
        scope.add("Dashboard", Dashboard { dashboard_name: format!("{prefix}-updates"), rows })
    }
}

impl Monitoring<'_> {
    fn functions(&self) -> [(&'static str, &FunctionRef); 2] {
        [("update manager", self.manager), ("event carrier", &self.notifications.carrier)]
    }

    fn execution(&self, operation: &str) -> Metric {
        let name = format!("JobExecutions.{operation}");
        Metric::sum(self.notifications.metric_namespace.clone(), name).labelled(operation)
    }

    fn executions(&self, period: Duration) -> Vec<Metric> {
        ["succeeded", "failed", "rejected", "timed_out", "canceled"]
            .map(|operation| Metric { period, ..self.execution(operation) })
            .into()
    }

    fn alarms(&self, scope: &Scope) -> Vec<AlarmRef> {
        let prefix = self.deployment.prefix();
        let alarm = |id: &'static str, metric: Metric, threshold: u32, description: String| {
            scope.add(
                id,
                Alarm {
                    alarm_name: format!("{prefix}-{}", id.to_lowercase()).into(),
                    description,
                    metric,
                    threshold: threshold.into(),
                    periods: 1,
                    notify: vec![self.notifications.topic.clone()],
                },
            )
        };
        let threshold = self.deployment.parameters.failure_alarm_threshold;
        vec![
            alarm(
                "ExecutionsFailed",
                self.execution("failed"),
                threshold,
                format!(
                    "Devices of {prefix} report failed updates. Look at the job's executions and their statusDetails."
                ),
            ),
            alarm(
                "ExecutionsRejected",
                self.execution("rejected"),
                threshold,
                format!("Devices of {prefix} reject updates: wrong signature, model or version."),
            ),
            alarm(
                "ExecutionsTimedOut",
                self.execution("timed_out"),
                threshold,
                format!("Devices of {prefix} begin updates and do not come back."),
            ),
            alarm(
                "ManagerErrors",
                Metric::of_function("Errors", self.manager),
                1,
                format!("The update manager of {prefix} fails. Look at its logs."),
            ),
            alarm(
                "CarrierErrors",
                Metric::of_function("Errors", &self.notifications.carrier),
                1,
                format!(
                    "Job events of {prefix} do not reach the event bus. Look at the carrier's logs."
                ),
            ),
        ]
    }

    fn rules(&self) -> Widget {
        let metrics = self
            .notifications
            .rules
            .iter()
            .flat_map(|rule| {
                [("Success", "Lambda"), ("Failure", "Lambda")].map(|(name, action)| Metric {
                    dimensions: vec![
                        ("RuleName".into(), rule.name().into()),
                        ("ActionType".into(), action.into()),
                    ],
                    ..Metric::sum("AWS/IoT", name)
                })
            })
            .collect();
        Widget::Graph { title: "Topic rules".into(), metrics }
    }

    fn bucket(&self) -> Widget {
        let daily = |name: &'static str, storage: &'static str| Metric {
            dimensions: vec![
                ("BucketName".into(), self.storage.bucket.name().into()),
                ("StorageType".into(), storage.into()),
            ],
            statistic: "Average".into(),
            period: Duration::days(1),
            ..Metric::sum("AWS/S3", name)
        };
        Widget::Graph {
            title: "Firmware bucket".into(),
            metrics: vec![
                daily("BucketSizeBytes", "StandardStorage"),
                daily("NumberOfObjects", "AllStorageTypes"),
            ],
        }
    }
}

/// AWS's own counters of every job of this environment, as far as there are any.
fn jobs(prefix: &str) -> Widget {
    // A search matches words; the words of the prefix begin every job id of this
    // environment.
    let words = prefix.replace('-', " ");
    let search = |name: &str| {
        format!("SEARCH('{{AWS/IoT,JobId}} MetricName=\"{name}\" {words}', 'Maximum', 300)")
    };
    Widget::Search {
        title: "Executions of each job".into(),
        expressions: vec![
            ("succeeded", search("SuccededJobExecutionTotalCount")),
            ("failed", search("FailedJobExecutionTotalCount")),
            ("queued", search("QueuedJobExecutionTotalCount")),
            ("in progress", search("InProgressJobExecutionTotalCount")),
        ],
    }
}

fn functions(title: &str, metric: &'static str, functions: &[(&str, &FunctionRef)]) -> Widget {
    let metrics = functions
        .iter()
        .map(|(name, function)| Metric::of_function(metric, function).labelled(*name))
        .collect();
    Widget::Graph { title: title.into(), metrics }
}
