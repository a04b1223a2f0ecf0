//! CloudWatch: alarms, dashboards and anomaly detectors.
//!
//! The `Cfn…` types are the L1: one per CloudFormation type, with every property it
//! has. They describe resources and do nothing by themselves; nothing here calls AWS.

pub mod alarm;
pub mod cfn;
pub mod dashboard;

pub use alarm::{Alarm, AlarmRef, Metric};
pub use cfn::*;
pub use dashboard::{Dashboard, DashboardRef, Widget};
