//! An attribute that CloudFormation does not give for the type.

use iotstack_aws::cloudwatch::Dashboard;
use iotstack_core::{App, Stack};

fn main() {
    let app = App::new();
    let stack = app.add("fleet", Stack::default());
    let dashboard = Dashboard { dashboard_name: "fleet".into(), rows: Vec::new() };
    let dashboard = stack.add("Dashboard", dashboard);
    stack.output("Arn", dashboard.arn());
}
