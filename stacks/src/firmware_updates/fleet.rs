//! The fleet: thing type, thing group, device policy, and the things.
//!
//! CloudFormation can neither give a thing its type nor put it into a group, so a custom
//! resource does that, one for each stack of things.

use iotstack::aws::cloudformation::CfnWaitConditionHandle;
use iotstack::aws::iam::{Grantee, Statement};
use iotstack::aws::iot::{
    self, Policy, PolicyRef, PolicyStatement, Thing, ThingGroup, ThingGroupRef, ThingType,
    ThingTypeRef,
};
use iotstack::aws::patterns::{CustomResource, ProviderRef};
use iotstack::prelude::*;

use super::Deployment;
use super::functions::Functions;

/// How many things one stack holds: below CloudFormation's 500 resources with room for
/// everything that exists once.
pub const THINGS_PER_STACK: usize = 400;

pub struct Fleet<'a> {
    pub deployment: &'a Deployment,
    pub functions: &'a Functions,
}

pub struct FleetRef {
    pub thing_type: ThingTypeRef,
    pub group: ThingGroupRef,
    pub policy: PolicyRef,
    membership: ProviderRef,
}

impl Construct for Fleet<'_> {
    type Ref = FleetRef;

    fn build(self, scope: &Scope) -> FleetRef {
        let prefix = self.deployment.prefix();
        let thing_type = scope.add(
            "ThingType",
            ThingType {
                thing_type_name: prefix.clone().into(),
                description: format!("Devices of {prefix}").into(),
                ..default()
            },
        );
        let group = scope.add(
            "ThingGroup",
            ThingGroup {
                thing_group_name: prefix.clone(),
                description: format!("Every device of {prefix}").into(),
                ..default()
            },
        );
        let policy = scope.add(
            "DevicePolicy",
            Policy {
                policy_name: format!("{prefix}-device").into(),
                statements: device_policy(&prefix),
            },
        );
        let membership = scope.add(
            "Membership",
            self.functions.provider("fleet-membership", "Gives things their type and their group"),
        );
        allow_membership(membership.function(), self.deployment, &group);
        FleetRef { thing_type, group, policy, membership }
    }
}

/// A device may connect as the thing its certificate belongs to, run its jobs, keep its
/// shadow and send telemetry. Nothing else, and nothing of any other device.
fn device_policy(prefix: &str) -> Vec<PolicyStatement> {
    let own = format!("$aws/things/{}", iot::THING_NAME);
    let answers = [format!("{own}/jobs/*"), format!("{own}/shadow/*")];
    vec![
        PolicyStatement::connect_as_thing(),
        PolicyStatement::publish([
            format!("{own}/jobs/get"),
            format!("{own}/jobs/start-next"),
            format!("{own}/jobs/*/get"),
            format!("{own}/jobs/*/update"),
            format!("{own}/shadow/get"),
            format!("{own}/shadow/update"),
            format!("dt/{prefix}/{}/telemetry", iot::THING_NAME),
        ]),
        PolicyStatement::subscribe(answers.clone()),
        PolicyStatement::receive(answers),
    ]
}

fn allow_membership(function: &impl Grantee, deployment: &Deployment, group: &ThingGroupRef) {
    let things = match deployment.parameters.fleet.names.is_empty() {
        true => iot::thing_arns(&format!("{}-", deployment.prefix())),
        // Names of one's own have no beginning in common.
        false => iot::thing_arns(""),
    };
    let _ = function.allow(Statement::allow(["iot:UpdateThing"], [things.clone()]));
    let _ = function.allow(Statement::allow(
        ["iot:AddThingToThingGroup", "iot:RemoveThingFromThingGroup"],
        [things, group.arn().into()],
    ));
}

/// The things of one stack.
pub struct Members<'a> {
    pub fleet: &'a FleetRef,
    /// Names by place; nothing where a thing was taken out.
    pub names: &'a [Option<String>],
    pub deployment: &'a Deployment,
}

impl Construct for Members<'_> {
    type Ref = ();

    fn build(self, scope: &Scope) {
        let attributes = &self.deployment.parameters.fleet.attributes;
        let mut names: Vec<Expr> = Vec::with_capacity(self.names.len());
        for name in self.names.iter().flatten() {
            let thing = Thing { thing_name: name.into(), attributes: attributes.clone() };
            names.push(scope.add(name.clone(), thing).name().into());
        }
        if names.is_empty() {
            // A stack cannot be empty, and one whose things have all gone must still be
            // there to see them go. This resource is nothing and costs nothing.
            scope.resource("Nothing", CfnWaitConditionHandle::new());
            return;
        }
        let mut properties = Props::new();
        properties.set("ThingNames", names);
        properties.set("ThingGroupName", self.fleet.group.name());
        properties.set("ThingTypeName", self.fleet.thing_type.name());
        let membership = CustomResource {
            kind: "Custom::IoTStackFleetMembership",
            provider: self.fleet.membership.clone(),
            properties,
        };
        scope.add("Membership", membership);
    }
}
