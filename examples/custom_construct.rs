//! A construct of one's own: several resources under one name.
//!
//! The struct describes it, `build` makes it, and `Ref` is what others hold afterwards.

use iotstack::aws::iot::{self, Thing, ThingGroup, ThingGroupRef, ThingRef};
use iotstack::prelude::*;

/// A greenhouse with its pumps.
struct Greenhouse {
    name: String,
    pumps: u32,
}

/// What a [`Greenhouse`] leaves in the hand.
struct GreenhouseRef {
    group: ThingGroupRef,
    pumps: Vec<ThingRef>,
}

impl Construct for Greenhouse {
    type Ref = GreenhouseRef;

    fn build(self, scope: &Scope) -> GreenhouseRef {
        let group = ThingGroup { thing_group_name: self.name.clone(), ..default() };
        let group = scope.add("Group", group);
        let pumps = (1..=self.pumps).map(|number| {
            let name = format!("{}-pump-{number}", self.name);
            scope.add(format!("Pump{number}"), Thing { thing_name: name.into(), ..default() })
        });
        let pumps = pumps.collect();
        let statements = vec![
            iot::PolicyStatement::connect_as_thing(),
            iot::PolicyStatement::publish([format!("{}/{}", self.name, iot::THING_NAME)]),
        ];
        let policy_name = format!("{}-pump", self.name).into();
        scope.add("PumpPolicy", iot::Policy { policy_name, statements });
        GreenhouseRef { group, pumps }
    }
}

fn main() -> iotstack::Result<()> {
    let app = App::from_env()?;
    let stack = app.add("garden", Stack::default());
    for (id, name, pumps) in [("North", "north", 2), ("South", "south", 3)] {
        let house = stack.add(id, Greenhouse { name: name.into(), pumps });
        stack.output(format!("{id}Group"), house.group.arn());
        if let Some(first) = house.pumps.first() {
            stack.output(format!("{id}FirstPump"), first.name());
        }
    }
    app.run()
}
