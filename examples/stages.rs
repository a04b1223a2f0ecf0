//! One description, several environments: a stage is a copy of the whole system.
//!
//! Each stage becomes an assembly of its own, and its stacks carry its name.

use iotstack::aws::iot::Thing;
use iotstack::aws::sns::Topic;
use iotstack::prelude::*;

/// The system, in one environment.
struct Garden {
    pumps: u32,
}

impl Garden {
    fn add_to(&self, stage: &StageRef) {
        let alarms = stage.add("Alarms", Stack::default());
        let topic = alarms.add("Topic", Topic::default());

        let pumps = stage.add("Pumps", Stack::default());
        for number in 1..=self.pumps {
            pumps.add(format!("Pump{number}"), Thing::default());
        }
        pumps.output("AlarmTopic", topic.arn());
    }
}

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let dev = Stage { environment: Environment::new("111111111111", "eu-central-1") };
    Garden { pumps: 1 }.add_to(&app.stage("Dev", dev));
    let prod = Stage { environment: Environment::new("222222222222", "eu-central-1") };
    Garden { pumps: 20 }.add_to(&app.stage("Prod", prod));
    app.run()
}
