//! The list of rules.
//!
//! One rule is one file, or one folder where it is large, and one line in [`ALL`].
//! The order is that in which findings about one resource are told: what the template
//! is made of first, then its types, then what AWS IoT and others refuse although the
//! schema accepts it.

mod conditions;
mod cycles;
mod deletion_policy;
mod fifo;
mod functions;
mod iot_certificate;
mod iot_group;
mod iot_job;
mod iot_metric;
mod iot_name;
mod iot_policy;
mod iot_provisioning;
mod iot_rule;
mod iot_thing;
mod limits;
mod logical_id;
mod null_value;
mod outputs;
mod parameters;
mod physical_name;
mod references;
mod region;
mod reserved;
mod resource_type;
mod role_reference;
mod sections;
mod shape;
mod signing;
mod singleton;
mod unused;

use crate::Rule;

/// Every rule.
pub(crate) static ALL: &[&dyn Rule] = &[
    &sections::Sections,
    &limits::Limits,
    &logical_id::LogicalIds,
    &parameters::Parameters,
    &conditions::Conditions,
    &outputs::Outputs,
    &null_value::NullValues,
    &functions::Functions,
    &references::References,
    &role_reference::RoleReferences,
    &cycles::Cycles,
    &unused::Unused,
    &resource_type::ResourceTypes,
    &region::Regions,
    &deletion_policy::DeletionPolicies,
    &shape::ShapeRule,
    &physical_name::PhysicalNames,
    &reserved::Reserved,
    &singleton::Singletons,
    &fifo::Fifo,
    &signing::Signing,
    &iot_name::Names,
    &iot_thing::Things,
    &iot_group::Groups,
    &iot_job::Jobs,
    &iot_metric::FleetMetrics,
    &iot_policy::Policies,
    &iot_provisioning::Provisioning,
    &iot_certificate::Certificates,
    &iot_rule::TopicRules,
];
