//! CloudWatch: metrics, alarms and dashboards.
//!
//! Metrics are kept per minute, for fifteen days or as many minutes as fit.
//! Alarms are evaluated at every full minute of the cloud's clock, over the
//! minutes that are complete.

mod action;
mod alarm;
mod alarm_operations;
mod composite;
mod dashboard;
mod evaluate;
mod evaluation;
mod math;
mod moment;
mod operations;
mod query;
mod resource;
mod search;
mod series;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use iotstack_local_kernel::ports::Metrics;
use iotstack_local_kernel::{
    Account, Clock, Cloud, Fault, Operation, Operations, Protocol, Service, Store, StoreError,
    Timestamp,
};

use alarm::{Alarm, HistoryItem};
use dashboard::Dashboard;
use series::Series;

/// The service.
pub(crate) struct CloudWatch {
    cloud: Weak<Cloud>,
    account: Account,
    clock: Clock,
    store: Store,
    series: Mutex<Series>,
    alarms: Mutex<Alarms>,
    dashboards: Mutex<BTreeMap<String, Dashboard>>,
}

#[derive(Default)]
struct Alarms {
    all: BTreeMap<String, Alarm>,
    history: VecDeque<HistoryItem>,
}

/// Restores alarms and dashboards, registers the service, and begins to evaluate.
pub(crate) fn install(cloud: &Arc<Cloud>) -> Result<(), StoreError> {
    let all = cloud.store.load(ALARMS)?.into_iter().collect();
    let dashboards = cloud.store.load(DASHBOARDS)?.into_iter().collect();
    let watch = Arc::new(CloudWatch {
        cloud: Arc::downgrade(cloud),
        account: cloud.account.clone(),
        clock: cloud.clock.clone(),
        store: cloud.store.clone(),
        series: Mutex::default(),
        alarms: Mutex::new(Alarms { all, history: VecDeque::new() }),
        dashboards: Mutex::new(dashboards),
    });
    cloud.services.add(watch.clone());
    cloud.ports.serve_metrics(watch.clone());
    resource::register(cloud, &watch);
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(evaluate_every_minute(Arc::downgrade(&watch), cloud.clock.clone()));
    }
    Ok(())
}

async fn evaluate_every_minute(watch: Weak<CloudWatch>, clock: Clock) {
    let mut next = clock.now();
    loop {
        // A clock that jumped over minutes is not followed step by step.
        next = Timestamp(next.0.max(clock.now().0).div_euclid(MINUTE) * MINUTE + MINUTE);
        clock.sleep_until(next).await;
        let Some(watch) = watch.upgrade() else { return };
        watch.evaluate_all(clock.now()).await;
    }
}

impl CloudWatch {
    fn series(&self) -> MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn alarms(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn dashboards(&self) -> MutexGuard<'_, BTreeMap<String, Dashboard>> {
        self.dashboards.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Metrics for CloudWatch {
    fn put(
        &self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        value: f64,
        unit: &str,
    ) {
        if value.is_finite() {
            let at = self.clock.now();
            self.series().add(namespace, name, dimensions, unit, at, value, 1.0);
        }
    }

    fn set_alarm_state(&self, alarm: &str, state: &str, reason: &str) -> Result<(), Fault> {
        let state = alarm::State::parse(state)?;
        let changed = self.set_state(alarm, state, reason, None)?;
        if let Some(cloud) = self.cloud.upgrade()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !changed.is_empty()
        {
            runtime.spawn(action::run(cloud, changed));
        }
        Ok(())
    }
}

impl Service for CloudWatch {
    fn scopes(&self) -> &'static [&'static str] {
        &["monitoring"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[
            Protocol::Cbor { service: GRANITE },
            Protocol::AwsJson { version: "1.0", target: GRANITE },
            Protocol::Query { namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/" },
        ]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named("PutMetricData", Self::put_metric_data)
            .named("GetMetricData", Self::get_metric_data)
            .named("GetMetricStatistics", Self::get_metric_statistics)
            .named("ListMetrics", Self::list_metrics)
            .named_stored("PutMetricAlarm", Self::put_metric_alarm)
            .named_stored("PutCompositeAlarm", Self::put_composite_alarm)
            .named_stored("DeleteAlarms", Self::delete_alarms)
            .named("DescribeAlarms", Self::describe_alarms)
            .named("DescribeAlarmsForMetric", Self::describe_alarms_for_metric)
            .named("DescribeAlarmHistory", Self::describe_history)
            .named_async("SetAlarmState", Self::set_alarm_state_by_hand)
            .named_stored("EnableAlarmActions", Self::enable_actions)
            .named_stored("DisableAlarmActions", Self::enable_actions)
            .named_stored("PutDashboard", Self::put_dashboard)
            .named("GetDashboard", Self::get_dashboard)
            .named("ListDashboards", Self::list_dashboards)
            .named_stored("DeleteDashboards", Self::delete_dashboards)
            .named_stored("TagResource", Self::tag)
            .named_stored("UntagResource", Self::untag)
            .named("ListTagsForResource", Self::list_tags)
            .list()
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidParameterValue"
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("PutAnomalyDetector", "no bands are learned here"),
            ("PutInsightRule", "there are no contributor insights here"),
            ("PutMetricStream", "metrics are not streamed; read them with GetMetricData"),
            ("GetMetricWidgetImage", "the console draws dashboards; read GetMetricData"),
        ]
    }
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValue", 400, message)
}

/// What most operations call invalid, and alarms and queries this.
fn unfit(message: impl Into<String>) -> Fault {
    Fault::new("ValidationError", 400, message)
}

/// The name of the service in the newer formats.
const GRANITE: &str = "GraniteServiceVersion20100801";

const ALARMS: &str = "cloudwatch-alarms";
const DASHBOARDS: &str = "cloudwatch-dashboards";

const MINUTE: i64 = 60_000;

/// As far as metrics reach back.
const LONGEST: Duration = Duration::from_secs(15 * 86_400);
