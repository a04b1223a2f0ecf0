//! The table of operations: AWS's names, methods and paths, and which function
//! answers. One file per noun; the rules stand beside the operations, as methods
//! of [`crate::core::Tx`].

pub mod authorization;
pub mod billing;
pub mod cas;
pub mod certificates;
pub mod fleet_metrics;
pub mod groups;
pub mod indexing;
pub mod input;
pub mod membership;
pub mod policies;
pub mod principals;
mod refused;
pub mod role_aliases;
pub mod settings;
pub mod templates;
pub mod thing_types;
pub mod things;

use std::sync::Arc;

use http::Method;
use iotstack_local_kernel::{
    BoxFuture, Call, Fault, Operation, Operations, Protocol, Reply, Service,
};
use serde_json::Value;

use crate::core::{Changed, Registry};

impl Service for Registry {
    fn scopes(&self) -> &'static [&'static str] {
        // Older clients sign for API Gateway.
        &["iot", "execute-api"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidRequestException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        let table = Operations::of(self);
        let table = attachment_table(certificate_table(thing_table(table)));
        refused::table(provisioning_table(indexing_table(account_table(table)))).list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        refused::list()
    }
}

type Table = Operations<Registry>;

fn thing_table(table: Table) -> Table {
    use Method as M;
    table
        .rest_async("CreateThing", M::POST, "/things/{thingName}", write(things::create))
        .rest_async("UpdateThing", M::PATCH, "/things/{thingName}", write(things::update))
        .rest_async(
            "DeleteThing",
            M::DELETE,
            "/things/{thingName}?expectedVersion:int",
            write(things::delete),
        )
        .rest("DescribeThing", M::GET, "/things/{thingName}", read(things::describe))
        .rest(
            "ListThings",
            M::GET,
            "/things?nextToken&maxResults:int&attributeName&attributeValue&thingTypeName\
             &usePrefixAttributeValue:bool",
            read(things::list),
        )
        .rest_async(
            "CreateThingType",
            M::POST,
            "/thing-types/{thingTypeName}",
            write(thing_types::create),
        )
        .rest_async(
            "UpdateThingType",
            M::PATCH,
            "/thing-types/{thingTypeName}",
            write(thing_types::update),
        )
        .rest_async(
            "DeprecateThingType",
            M::POST,
            "/thing-types/{thingTypeName}/deprecate",
            write(thing_types::deprecate),
        )
        .rest_async(
            "DeleteThingType",
            M::DELETE,
            "/thing-types/{thingTypeName}",
            write(thing_types::delete),
        )
        .rest(
            "DescribeThingType",
            M::GET,
            "/thing-types/{thingTypeName}",
            read(thing_types::describe),
        )
        .rest(
            "ListThingTypes",
            M::GET,
            "/thing-types?nextToken&maxResults:int&thingTypeName",
            read(thing_types::list),
        )
        .rest_async(
            "CreateThingGroup",
            M::POST,
            "/thing-groups/{thingGroupName}",
            write(groups::create),
        )
        .rest_async(
            "UpdateThingGroup",
            M::PATCH,
            "/thing-groups/{thingGroupName}",
            write(groups::update),
        )
        .rest_async(
            "DeleteThingGroup",
            M::DELETE,
            "/thing-groups/{thingGroupName}?expectedVersion:int",
            write(groups::delete),
        )
        .rest(
            "DescribeThingGroup",
            M::GET,
            "/thing-groups/{thingGroupName}",
            read(groups::describe),
        )
        .rest(
            "ListThingGroups",
            M::GET,
            "/thing-groups?nextToken&maxResults:int&parentGroup&namePrefixFilter&recursive:bool",
            read(groups::list),
        )
        .rest_async(
            "CreateDynamicThingGroup",
            M::POST,
            "/dynamic-thing-groups/{thingGroupName}",
            write(groups::create_dynamic),
        )
        .rest_async(
            "UpdateDynamicThingGroup",
            M::PATCH,
            "/dynamic-thing-groups/{thingGroupName}",
            write(groups::update_dynamic),
        )
        .rest_async(
            "DeleteDynamicThingGroup",
            M::DELETE,
            "/dynamic-thing-groups/{thingGroupName}?expectedVersion:int",
            write(groups::delete_dynamic),
        )
        .rest(
            "ListThingsInThingGroup",
            M::GET,
            "/thing-groups/{thingGroupName}/things?recursive:bool&nextToken&maxResults:int",
            read(groups::things),
        )
        .rest_async(
            "AddThingToThingGroup",
            M::PUT,
            "/thing-groups/addThingToThingGroup",
            write(membership::add),
        )
        .rest_async(
            "RemoveThingFromThingGroup",
            M::PUT,
            "/thing-groups/removeThingFromThingGroup",
            write(membership::remove),
        )
        .rest_async(
            "UpdateThingGroupsForThing",
            M::PUT,
            "/thing-groups/updateThingGroupsForThing",
            write(membership::update),
        )
        .rest(
            "ListThingGroupsForThing",
            M::GET,
            "/things/{thingName}/thing-groups?nextToken&maxResults:int",
            read(membership::groups),
        )
        .rest_async(
            "CreateBillingGroup",
            M::POST,
            "/billing-groups/{billingGroupName}",
            write(billing::create),
        )
        .rest_async(
            "UpdateBillingGroup",
            M::PATCH,
            "/billing-groups/{billingGroupName}",
            write(billing::update),
        )
        .rest_async(
            "DeleteBillingGroup",
            M::DELETE,
            "/billing-groups/{billingGroupName}?expectedVersion:int",
            write(billing::delete),
        )
        .rest(
            "DescribeBillingGroup",
            M::GET,
            "/billing-groups/{billingGroupName}",
            read(billing::describe),
        )
        .rest(
            "ListBillingGroups",
            M::GET,
            "/billing-groups?nextToken&maxResults:int&namePrefixFilter",
            read(billing::list),
        )
        .rest(
            "ListThingsInBillingGroup",
            M::GET,
            "/billing-groups/{billingGroupName}/things?nextToken&maxResults:int",
            read(billing::things),
        )
        .rest_async(
            "AddThingToBillingGroup",
            M::PUT,
            "/billing-groups/addThingToBillingGroup",
            write(billing::add_thing),
        )
        .rest_async(
            "RemoveThingFromBillingGroup",
            M::PUT,
            "/billing-groups/removeThingFromBillingGroup",
            write(billing::remove_thing),
        )
}

fn certificate_table(table: Table) -> Table {
    use Method as M;
    table
        .rest_async(
            "CreateKeysAndCertificate",
            M::POST,
            "/keys-and-certificate?setAsActive:bool",
            write(certificates::create_keys),
        )
        .rest_async(
            "CreateCertificateFromCsr",
            M::POST,
            "/certificates?setAsActive:bool",
            write(certificates::create_from_csr),
        )
        .rest_async(
            "RegisterCertificate",
            M::POST,
            "/certificate/register?setAsActive:bool",
            write(certificates::register),
        )
        .rest_async(
            "RegisterCertificateWithoutCA",
            M::POST,
            "/certificate/register-no-ca",
            write(certificates::register_without_ca),
        )
        .rest(
            "DescribeCertificate",
            M::GET,
            "/certificates/{certificateId}",
            read(certificates::describe),
        )
        .rest(
            "ListCertificates",
            M::GET,
            "/certificates?pageSize:int&marker&isAscendingOrder=ascendingOrder:bool",
            read(certificates::list),
        )
        .rest(
            "ListCertificatesByCA",
            M::GET,
            "/certificates-by-ca/{caCertificateId}?pageSize:int&marker",
            read(certificates::list_by_ca),
        )
        .rest_async(
            "UpdateCertificate",
            M::PUT,
            "/certificates/{certificateId}?newStatus",
            write(certificates::update),
        )
        .rest_async(
            "DeleteCertificate",
            M::DELETE,
            "/certificates/{certificateId}?forceDelete:bool",
            write(certificates::delete),
        )
        .rest_async(
            "RegisterCACertificate",
            M::POST,
            "/cacertificate?setAsActive:bool&allowAutoRegistration:bool",
            write(cas::register),
        )
        .rest(
            "DescribeCACertificate",
            M::GET,
            "/cacertificate/{caCertificateId}",
            read(cas::describe),
        )
        .rest(
            "ListCACertificates",
            M::GET,
            "/cacertificates?pageSize:int&marker&templateName",
            read(cas::list),
        )
        .rest_async(
            "UpdateCACertificate",
            M::PUT,
            "/cacertificate/{caCertificateId}?newStatus&newAutoRegistrationStatus",
            write(cas::update),
        )
        .rest_async(
            "DeleteCACertificate",
            M::DELETE,
            "/cacertificate/{caCertificateId}",
            write(cas::delete),
        )
        .rest_async(
            "GetRegistrationCode",
            M::GET,
            "/registrationcode",
            write(cas::registration_code),
        )
        .rest_async(
            "DeleteRegistrationCode",
            M::DELETE,
            "/registrationcode",
            write(cas::delete_registration_code),
        )
        .rest_async("CreatePolicy", M::POST, "/policies/{policyName}", write(policies::create))
        .rest_async(
            "CreatePolicyVersion",
            M::POST,
            "/policies/{policyName}/version?setAsDefault:bool",
            write(policies::create_version),
        )
        .rest_async(
            "SetDefaultPolicyVersion",
            M::PATCH,
            "/policies/{policyName}/version/{policyVersionId}",
            write(policies::set_default_version),
        )
        .rest_async(
            "DeletePolicyVersion",
            M::DELETE,
            "/policies/{policyName}/version/{policyVersionId}",
            write(policies::delete_version),
        )
        .rest_async("DeletePolicy", M::DELETE, "/policies/{policyName}", write(policies::delete))
        .rest("GetPolicy", M::GET, "/policies/{policyName}", read(policies::get))
        .rest(
            "GetPolicyVersion",
            M::GET,
            "/policies/{policyName}/version/{policyVersionId}",
            read(policies::get_version),
        )
        .rest(
            "ListPolicyVersions",
            M::GET,
            "/policies/{policyName}/version",
            read(policies::versions),
        )
        .rest(
            "ListPolicies",
            M::GET,
            "/policies?marker&pageSize:int&isAscendingOrder=ascendingOrder:bool",
            read(policies::list),
        )
}

fn attachment_table(table: Table) -> Table {
    use Method as M;
    table
        .rest_async(
            "AttachThingPrincipal",
            M::PUT,
            "/things/{thingName}/principals?thingPrincipalType&@x-amzn-principal=principal",
            write(principals::attach),
        )
        .rest_async(
            "DetachThingPrincipal",
            M::DELETE,
            "/things/{thingName}/principals?@x-amzn-principal=principal",
            write(principals::detach),
        )
        .rest(
            "ListThingPrincipals",
            M::GET,
            "/things/{thingName}/principals?nextToken&maxResults:int",
            read(principals::of_thing),
        )
        .rest(
            "ListThingPrincipalsV2",
            M::GET,
            "/things/{thingName}/principals-v2?nextToken&maxResults:int&thingPrincipalType",
            read(principals::of_thing_v2),
        )
        .rest(
            "ListPrincipalThings",
            M::GET,
            "/principals/things?nextToken&maxResults:int&@x-amzn-principal=principal",
            read(principals::things),
        )
        .rest(
            "ListPrincipalThingsV2",
            M::GET,
            "/principals/things-v2?nextToken&maxResults:int&thingPrincipalType\
             &@x-amzn-principal=principal",
            read(principals::things_v2),
        )
        .rest_async(
            "AttachPolicy",
            M::PUT,
            "/target-policies/{policyName}",
            write(policies::attach),
        )
        .rest_async(
            "DetachPolicy",
            M::POST,
            "/target-policies/{policyName}",
            write(policies::detach),
        )
        .rest_async(
            "AttachPrincipalPolicy",
            M::PUT,
            "/principal-policies/{policyName}?@x-amzn-iot-principal=principal",
            write(policies::attach_principal),
        )
        .rest_async(
            "DetachPrincipalPolicy",
            M::DELETE,
            "/principal-policies/{policyName}?@x-amzn-iot-principal=principal",
            write(policies::detach_principal),
        )
        .rest(
            "ListTargetsForPolicy",
            M::POST,
            "/policy-targets/{policyName}?marker&pageSize:int",
            read(policies::targets),
        )
        .rest(
            "ListPolicyPrincipals",
            M::GET,
            "/policy-principals?marker&pageSize:int&@x-amzn-iot-policy=policyName",
            read(policies::principals),
        )
        .rest(
            "ListAttachedPolicies",
            M::POST,
            "/attached-policies/{target}?recursive:bool&marker&pageSize:int",
            read(policies::attached),
        )
        .rest(
            "ListPrincipalPolicies",
            M::GET,
            "/principal-policies?marker&pageSize:int&@x-amzn-iot-principal=principal",
            read(policies::of_principal),
        )
        .rest(
            "GetEffectivePolicies",
            M::POST,
            "/effective-policies?thingName",
            read(authorization::effective),
        )
        .rest(
            "TestAuthorization",
            M::POST,
            "/test-authorization?clientId",
            read(authorization::test),
        )
}

fn account_table(table: Table) -> Table {
    use Method as M;
    table
        .rest("DescribeEndpoint", M::GET, "/endpoint?endpointType", read(settings::endpoint))
        .rest(
            "DescribeEventConfigurations",
            M::GET,
            "/event-configurations",
            read(settings::events),
        )
        .rest_async(
            "UpdateEventConfigurations",
            M::PATCH,
            "/event-configurations",
            write(settings::update_events),
        )
        .rest("GetLoggingOptions", M::GET, "/loggingOptions", read(settings::logging))
        .rest_async("SetLoggingOptions", M::POST, "/loggingOptions", write(settings::set_logging))
        .rest("GetV2LoggingOptions", M::GET, "/v2LoggingOptions", read(settings::logging_v2))
        .rest_async(
            "SetV2LoggingOptions",
            M::POST,
            "/v2LoggingOptions",
            write(settings::set_logging_v2),
        )
        .rest(
            "ListV2LoggingLevels",
            M::GET,
            "/v2LoggingLevel?targetType&nextToken&maxResults:int",
            read(settings::logging_levels),
        )
        .rest_async(
            "SetV2LoggingLevel",
            M::POST,
            "/v2LoggingLevel",
            write(settings::set_logging_level),
        )
        .rest_async(
            "DeleteV2LoggingLevel",
            M::DELETE,
            "/v2LoggingLevel?targetType&targetName",
            write(settings::delete_logging_level),
        )
        .rest("ListTagsForResource", M::GET, "/tags?resourceArn&nextToken", read(settings::tags))
        .rest_async("TagResource", M::POST, "/tags", write(settings::tag))
        .rest_async("UntagResource", M::POST, "/untag", write(settings::untag))
        .rest_async(
            "CreateRoleAlias",
            M::POST,
            "/role-aliases/{roleAlias}",
            write(role_aliases::create),
        )
        .rest_async(
            "UpdateRoleAlias",
            M::PUT,
            "/role-aliases/{roleAlias}",
            write(role_aliases::update),
        )
        .rest_async(
            "DeleteRoleAlias",
            M::DELETE,
            "/role-aliases/{roleAlias}",
            write(role_aliases::delete),
        )
        .rest(
            "DescribeRoleAlias",
            M::GET,
            "/role-aliases/{roleAlias}",
            read(role_aliases::describe),
        )
        .rest(
            "ListRoleAliases",
            M::GET,
            "/role-aliases?pageSize:int&marker&isAscendingOrder=ascendingOrder:bool",
            read(role_aliases::list),
        )
}

fn indexing_table(table: Table) -> Table {
    use Method as M;
    table
        .rest("GetIndexingConfiguration", M::GET, "/indexing/config", read(indexing::configuration))
        .rest_async(
            "UpdateIndexingConfiguration",
            M::POST,
            "/indexing/config",
            write(indexing::update_configuration),
        )
        .rest("DescribeIndex", M::GET, "/indices/{indexName}", read(indexing::describe))
        .rest("ListIndices", M::GET, "/indices?nextToken&maxResults:int", read(indexing::list))
        .rest("SearchIndex", M::POST, "/indices/search", read(indexing::search))
        .rest("GetStatistics", M::POST, "/indices/statistics", read(indexing::statistics))
        .rest("GetCardinality", M::POST, "/indices/cardinality", read(indexing::cardinality))
        .rest("GetPercentiles", M::POST, "/indices/percentiles", read(indexing::percentiles))
        .rest("GetBucketsAggregation", M::POST, "/indices/buckets", read(indexing::buckets))
        .rest(
            "GetThingConnectivityData",
            M::POST,
            "/things/{thingName}/connectivity-data",
            read(indexing::connectivity),
        )
        .rest_async(
            "CreateFleetMetric",
            M::PUT,
            "/fleet-metric/{metricName}",
            write(fleet_metrics::create),
        )
        .rest_async(
            "UpdateFleetMetric",
            M::PATCH,
            "/fleet-metric/{metricName}",
            write(fleet_metrics::update),
        )
        .rest_async(
            "DeleteFleetMetric",
            M::DELETE,
            "/fleet-metric/{metricName}?expectedVersion:int",
            write(fleet_metrics::delete),
        )
        .rest(
            "DescribeFleetMetric",
            M::GET,
            "/fleet-metric/{metricName}",
            read(fleet_metrics::describe),
        )
        .rest(
            "ListFleetMetrics",
            M::GET,
            "/fleet-metrics?nextToken&maxResults:int",
            read(fleet_metrics::list),
        )
}

fn provisioning_table(table: Table) -> Table {
    use Method as M;
    table
        .rest_async(
            "CreateProvisioningTemplate",
            M::POST,
            "/provisioning-templates",
            write(templates::create),
        )
        .rest(
            "ListProvisioningTemplates",
            M::GET,
            "/provisioning-templates?maxResults:int&nextToken",
            read(templates::list),
        )
        .rest(
            "DescribeProvisioningTemplate",
            M::GET,
            "/provisioning-templates/{templateName}",
            read(templates::describe),
        )
        .rest_async(
            "UpdateProvisioningTemplate",
            M::PATCH,
            "/provisioning-templates/{templateName}",
            write(templates::update),
        )
        .rest_async(
            "DeleteProvisioningTemplate",
            M::DELETE,
            "/provisioning-templates/{templateName}",
            write(templates::delete),
        )
        .rest_async(
            "CreateProvisioningTemplateVersion",
            M::POST,
            "/provisioning-templates/{templateName}/versions?setAsDefault:bool",
            write(templates::create_version),
        )
        .rest(
            "ListProvisioningTemplateVersions",
            M::GET,
            "/provisioning-templates/{templateName}/versions?maxResults:int&nextToken",
            read(templates::versions),
        )
        .rest(
            "DescribeProvisioningTemplateVersion",
            M::GET,
            "/provisioning-templates/{templateName}/versions/{versionId}",
            read(templates::describe_version),
        )
        .rest_async(
            "DeleteProvisioningTemplateVersion",
            M::DELETE,
            "/provisioning-templates/{templateName}/versions/{versionId}",
            write(templates::delete_version),
        )
        .rest_async(
            "CreateProvisioningClaim",
            M::POST,
            "/provisioning-templates/{templateName}/provisioning-claim",
            write(templates::claim),
        )
        .rest_async("RegisterThing", M::POST, "/things", write(templates::register_thing))
}

/// An operation that only looks.
fn read(
    run: fn(&Registry, &Call) -> Result<Value, Fault>,
) -> impl Fn(&Registry, Call) -> Result<Reply, Fault> + Send + Sync + 'static {
    move |registry, call| run(registry, &call).map(Reply::from)
}

/// An operation that changes something: its answer waits until the change is stored.
fn write(
    run: fn(&Registry, &Call) -> Changed,
) -> impl Fn(Arc<Registry>, Call) -> BoxFuture<'static, Result<Reply, Fault>> + Send + Sync + 'static
{
    move |registry, call| {
        let outcome = run(&registry, &call);
        Box::pin(async move {
            let (members, commit) = outcome?;
            commit.stored().await?;
            Ok(Reply::from(members))
        })
    }
}
