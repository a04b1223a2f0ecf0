//! The table of Lambda's operations.
//!
//! Methods and paths are those of AWS's model. What is missing here and is not
//! listed as refused is refused by its path.

use std::sync::{Arc, LazyLock};

use http::Method;
use iotstack_local_kernel::service::{Refused, reasons};
use iotstack_local_kernel::{Commit, Fault, Operation, Operations, Protocol, Reply, Service};

use crate::service::Lambda;

impl Service for Lambda {
    fn scopes(&self) -> &'static [&'static str] {
        &["lambda"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        const GET: Method = Method::GET;
        const PUT: Method = Method::PUT;
        const POST: Method = Method::POST;
        const DELETE: Method = Method::DELETE;
        Operations::of(self)
            .refusing("lambda", REFUSED)
            .rest_async("CreateFunction", POST, "/2015-03-31/functions", Self::create_function)
            .rest_async(
                "UpdateFunctionCode",
                PUT,
                "/2015-03-31/functions/{FunctionName}/code",
                Self::update_function_code,
            )
            .rest_stored(
                "UpdateFunctionConfiguration",
                PUT,
                "/2015-03-31/functions/{FunctionName}/configuration",
                Self::update_function_configuration,
            )
            .rest(
                "GetFunction",
                GET,
                "/2015-03-31/functions/{FunctionName}?Qualifier",
                Self::get_function,
            )
            .rest(
                "GetFunctionConfiguration",
                GET,
                "/2015-03-31/functions/{FunctionName}/configuration?Qualifier",
                Self::get_function_configuration,
            )
            .rest(
                "ListFunctions",
                GET,
                "/2015-03-31/functions?FunctionVersion&Marker&MaxItems:int",
                Self::list_functions,
            )
            .rest_stored(
                "DeleteFunction",
                DELETE,
                "/2015-03-31/functions/{FunctionName}?Qualifier",
                Self::delete_function,
            )
            .rest_async(
                "Invoke",
                POST,
                "/2015-03-31/functions/{FunctionName}/invocations?Qualifier&@x-amz-invocation-type=InvocationType&@x-amz-log-type=LogType&@x-amz-client-context=ClientContext",
                Self::invoke,
            )
            .raw()
            .rest_stored(
                "AddPermission",
                POST,
                "/2015-03-31/functions/{FunctionName}/policy?Qualifier",
                Self::add_permission,
            )
            .rest_stored(
                "RemovePermission",
                DELETE,
                "/2015-03-31/functions/{FunctionName}/policy/{StatementId}?Qualifier&RevisionId",
                Self::remove_permission,
            )
            .rest(
                "GetPolicy",
                GET,
                "/2015-03-31/functions/{FunctionName}/policy?Qualifier",
                Self::get_policy,
            )
            .rest_stored(
                "PublishVersion",
                POST,
                "/2015-03-31/functions/{FunctionName}/versions",
                Self::publish_version,
            )
            .rest(
                "ListVersionsByFunction",
                GET,
                "/2015-03-31/functions/{FunctionName}/versions?Marker&MaxItems:int",
                Self::list_versions,
            )
            .rest_stored(
                "CreateAlias",
                POST,
                "/2015-03-31/functions/{FunctionName}/aliases",
                Self::create_alias,
            )
            .rest(
                "GetAlias",
                GET,
                "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
                Self::get_alias,
            )
            .rest_stored(
                "UpdateAlias",
                PUT,
                "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
                Self::update_alias,
            )
            .rest_stored(
                "DeleteAlias",
                DELETE,
                "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
                Self::delete_alias,
            )
            .rest(
                "ListAliases",
                GET,
                "/2015-03-31/functions/{FunctionName}/aliases?FunctionVersion&Marker&MaxItems:int",
                Self::list_aliases,
            )
            .rest_stored(
                "PutFunctionConcurrency",
                PUT,
                "/2017-10-31/functions/{FunctionName}/concurrency",
                Self::put_concurrency,
            )
            .rest(
                "GetFunctionConcurrency",
                GET,
                "/2019-09-30/functions/{FunctionName}/concurrency",
                Self::get_concurrency,
            )
            .rest_stored(
                "DeleteFunctionConcurrency",
                DELETE,
                "/2017-10-31/functions/{FunctionName}/concurrency",
                Self::delete_concurrency,
            )
            .rest_stored(
                "PutFunctionEventInvokeConfig",
                PUT,
                "/2019-09-25/functions/{FunctionName}/event-invoke-config?Qualifier",
                Self::put_event_config,
            )
            .rest_stored(
                "UpdateFunctionEventInvokeConfig",
                POST,
                "/2019-09-25/functions/{FunctionName}/event-invoke-config?Qualifier",
                Self::update_event_config,
            )
            .rest(
                "GetFunctionEventInvokeConfig",
                GET,
                "/2019-09-25/functions/{FunctionName}/event-invoke-config?Qualifier",
                Self::get_event_config,
            )
            .rest(
                "ListFunctionEventInvokeConfigs",
                GET,
                "/2019-09-25/functions/{FunctionName}/event-invoke-config/list?Marker&MaxItems:int",
                Self::list_event_configs,
            )
            .rest_stored(
                "DeleteFunctionEventInvokeConfig",
                DELETE,
                "/2019-09-25/functions/{FunctionName}/event-invoke-config?Qualifier",
                Self::delete_event_config,
            )
            .rest_stored("TagResource", POST, "/2017-03-31/tags/{Resource}", Self::tag)
            .rest_stored(
                "UntagResource",
                DELETE,
                "/2017-03-31/tags/{Resource}?tagKeys=TagKeys:list",
                Self::untag,
            )
            .rest("ListTags", GET, "/2017-03-31/tags/{Resource}", Self::list_tags)
            .rest_async(
                "CreateEventSourceMapping",
                POST,
                "/2015-03-31/event-source-mappings",
                |lambda, call| stored(lambda.create_mapping(&call)),
            )
            .rest(
                "GetEventSourceMapping",
                GET,
                "/2015-03-31/event-source-mappings/{UUID}",
                Self::get_mapping,
            )
            .rest(
                "ListEventSourceMappings",
                GET,
                "/2015-03-31/event-source-mappings?EventSourceArn&FunctionName&Marker&MaxItems:int",
                Self::list_mappings,
            )
            .rest_async(
                "UpdateEventSourceMapping",
                PUT,
                "/2015-03-31/event-source-mappings/{UUID}",
                |lambda, call| stored(lambda.update_mapping(&call)),
            )
            .rest_stored(
                "DeleteEventSourceMapping",
                DELETE,
                "/2015-03-31/event-source-mappings/{UUID}",
                Self::delete_mapping,
            )
            .rest("GetAccountSettings", GET, "/2016-08-19/account-settings", Self::account_settings)
            .rest(
                "GetFunctionCodeSigningConfig",
                GET,
                "/2020-06-30/functions/{FunctionName}/code-signing-config",
                Self::get_code_signing,
            )
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        static LIST: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| reasons(REFUSED));
        &LIST
    }
}

#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    ("PublishLayerVersion", Method::POST, "/2018-10-31/layers/{LayerName}/versions", "layers are not unpacked; put everything into the zip"),
    ("CreateFunctionUrlConfig", Method::POST, "/2021-10-31/functions/{FunctionName}/url", "functions have no URLs here; invoke them"),
    ("CreateCodeSigningConfig", Method::POST, "/2020-04-22/code-signing-configs", "signatures of zips are not checked"),
    ("PutProvisionedConcurrencyConfig", Method::PUT, "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "warm processes are kept anyway"),
    ("InvokeWithResponseStream", Method::POST, "/2021-11-15/functions/{FunctionName}/response-streaming-invocations", "responses are not streamed; use Invoke"),
    ("InvokeAsync", Method::POST, "/2014-11-13/functions/{FunctionName}/invoke-async", "it was replaced by Invoke with the type Event"),
];

/// Answers when the change is stored.
async fn stored(changed: Result<(Reply, Commit), Fault>) -> Result<Reply, Fault> {
    let (reply, commit) = changed?;
    commit.stored().await?;
    Ok(reply)
}
