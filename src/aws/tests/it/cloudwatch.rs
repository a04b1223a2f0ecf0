//! Alarms and dashboards.

use iotstack_aws::cloudwatch::{Alarm, Dashboard, Metric, Widget};
use iotstack_aws::lambda::{Code, Function, Runtime};
use iotstack_aws::sns::Topic;
use iotstack_core::{Duration, Pseudo, Value, text};

use crate::template::{check, check_stack};

fn alarm() -> Alarm {
    Alarm {
        alarm_name: Value::Unset,
        description: "A bed is dry: look after its pump".into(),
        metric: Metric::sum("Garden", "DryBeds"),
        threshold: 1.0,
        periods: 1,
        notify: Vec::new(),
    }
}

#[test]
fn alarm_with_defaults() {
    check(alarm(), "alarm_defaults");
}

#[test]
fn alarm_with_everything() {
    check_stack("alarm_everything", |stack| {
        let topic = stack.add("Topic", Topic::default());
        let alarm = Alarm {
            alarm_name: "dry-beds".into(),
            metric: Metric {
                dimensions: vec![("Bed".into(), "roses".into())],
                statistic: "Maximum".into(),
                period: Duration::minutes(1),
                ..Metric::sum("Garden", "DryBeds").labelled("Dry beds")
            },
            threshold: 2.5,
            periods: 3,
            notify: vec![topic],
            ..alarm()
        };
        let alarm = stack.add("It", alarm);
        stack.output("Arn", alarm.arn());
    });
}

#[test]
fn dashboard_with_defaults() {
    let rows = vec![vec![Widget::Text("# The garden".into())]];
    check(Dashboard { dashboard_name: "garden".into(), rows }, "dashboard_defaults");
}

#[test]
fn dashboard_with_everything() {
    check_stack("dashboard_everything", |stack| {
        let code = Code::Inline("exports.handler = async () => {};".into());
        let function =
            Function { runtime: Runtime::Nodejs22, ..Function::new(code, "index.handler") };
        let function = stack.add("Function", function);
        let alarm = stack.add("Alarm", alarm());
        let errors = Metric::of_function("Errors", &function);
        let dry = Metric::sum("Garden", "DryBeds").labelled("Dry beds");
        let rows = vec![
            vec![Widget::Text(text!("# The garden in {}", Pseudo::Region))],
            vec![
                Widget::Graph { title: "Errors".into(), metrics: vec![errors, dry.clone()] },
                Widget::Numbers { title: "Dry beds".into(), metrics: vec![dry] },
            ],
            vec![Widget::Search {
                title: "All beds".into(),
                expressions: vec![(
                    "Moisture",
                    "SEARCH('{Garden,Bed} Moisture', 'Average', 300)".into(),
                )],
            }],
            vec![Widget::Alarms { title: "Alarms".into(), alarms: vec![alarm] }],
        ];
        let dashboard = Dashboard { dashboard_name: "garden".into(), rows };
        let dashboard = stack.add("It", dashboard);
        stack.output("Name", dashboard.name());
        stack.output("Url", dashboard.url());
    });
}
