//! Routes of the account's settings, of indexing and of provisioning.
//!
//! Methods and paths are those of AWS's model; the answers are given in the files
//! of the same names one folder up.

use http::Method;

use super::{Table, read, write};
use crate::api::{fleet_metrics, indexing, role_aliases, settings, tags, templates};

/// Adds the routes of settings, tags and role aliases.
pub fn add(table: Table) -> Table {
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
        .rest("ListTagsForResource", M::GET, "/tags?resourceArn&nextToken", read(tags::list))
        .rest_async("TagResource", M::POST, "/tags", tags::tag)
        .rest_async("UntagResource", M::POST, "/untag", tags::untag)
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

/// Adds the routes of fleet indexing.
pub fn add_indexing(table: Table) -> Table {
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

/// Adds the routes of provisioning.
pub fn add_provisioning(table: Table) -> Table {
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
            templates::claim,
        )
        .rest_async("RegisterThing", M::POST, "/things", write(templates::register_thing))
}
