//! Lambda's CloudFormation types: functions, permissions, versions, aliases, event
//! sources and the treatment of asynchronous invocations.
//!
//! They make the same calls as the API does.

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::{
    BoxFuture, Cloud, Fault, ResourceFault, ResourceHandler, ResourceRequest, ResourceState, id,
    loose,
};
use serde_json::{Map, Value, json};

use crate::error::not_found;
use crate::name::FunctionName;
use crate::operations::code_of_template;
use crate::record::EventConfig;
use crate::service::Lambda;

/// Registers the handlers.
pub(crate) fn register(cloud: &Cloud, lambda: &Arc<Lambda>) {
    cloud.add_resource(Arc::new(FunctionType(lambda.clone())));
    cloud.add_resource(Arc::new(PermissionType(lambda.clone())));
    cloud.add_resource(Arc::new(VersionType(lambda.clone())));
    cloud.add_resource(Arc::new(AliasType(lambda.clone())));
    cloud.add_resource(Arc::new(EventInvokeConfigType(lambda.clone())));
    cloud.add_resource(Arc::new(EventSourceMappingType(lambda.clone())));
}

struct FunctionType(Arc<Lambda>);

impl FunctionType {
    /// The properties as the API wants them.
    fn input(request: &ResourceRequest) -> Result<Map<String, Value>, Fault> {
        let mut input = object(&request.properties)?;
        let runtime = loose::text(&input, "Runtime")?.unwrap_or_default();
        let code = code_of_template(&loose::object(&input, "Code")?, &runtime)?;
        input.insert("Code".to_owned(), Value::Object(code));
        for ignored in ["RuntimeManagementConfig", "RecursiveLoop"] {
            // They choose among AWS's own runtimes and guards, of which there are none here.
            input.remove(ignored);
        }
        Ok(input)
    }

    fn tags(
        request: &ResourceRequest,
        input: &Map<String, Value>,
    ) -> Result<BTreeMap<String, String>, Fault> {
        let mut tags = request.stack_tags.clone();
        tags.extend(loose::pairs(input, "Tags", ("Key", "Value"))?);
        Ok(tags)
    }

    async fn make(&self, request: &ResourceRequest) -> Result<ResourceState, Fault> {
        let mut input = Self::input(request)?;
        let name = match loose::text(&input, "FunctionName")? {
            Some(name) => name,
            None => request.generated_name(64),
        };
        input.insert("FunctionName".to_owned(), json!(name));
        let reserved = loose::integer(&input, "ReservedConcurrentExecutions")?;
        let (_, commit) = self.0.make(&input, Self::tags(request, &input)?).await?;
        commit.stored().await?;
        if reserved.is_some() {
            let name = FunctionName::parse(&name, None)?;
            if let Err(fault) = self.0.reserve(&name, reserved) {
                // What the engine does not know of must not stay behind.
                self.0.remove(&name)?.stored().await?;
                return Err(fault);
            }
        }
        Ok(self.state(name))
    }

    async fn change(&self, request: &ResourceRequest, name: &str) -> Result<ResourceState, Fault> {
        let name = FunctionName::parse(name, None)?;
        let mut input = Self::input(request)?;
        let tags = Self::tags(request, &input)?;
        let previous = object(request.previous.as_ref().unwrap_or(&Value::Null))?;
        let code = loose::object(&input, "Code")?;
        if previous.get("Code") != object(&request.properties)?.get("Code")
            || previous.get("Architectures") != input.get("Architectures")
        {
            let mut code = code;
            if let Some(architectures) = input.get("Architectures") {
                code.insert("Architectures".to_owned(), architectures.clone());
            }
            let (_, commit) = self.0.replace_code(&name, &code).await?;
            commit.stored().await?;
        }
        // A property that is no longer there has its default again.
        for (member, default) in [
            ("Description", json!("")),
            ("Timeout", json!(3)),
            ("MemorySize", json!(128)),
            ("Environment", json!({})),
            ("VpcConfig", json!({})),
            ("DeadLetterConfig", json!({})),
            ("LoggingConfig", json!({})),
            ("TracingConfig", json!({"Mode": "PassThrough"})),
            ("EphemeralStorage", json!({"Size": 512})),
            ("KmsKeyArn", json!("")),
        ] {
            input.entry(member).or_insert(default);
        }
        let (_, commit) = self.0.configure(&name, &input)?;
        commit.stored().await?;
        let reserved = loose::integer(&input, "ReservedConcurrentExecutions")?;
        self.0.reserve(&name, reserved)?.stored().await?;
        let ((), commit) = self.0.change(&name, |function| {
            function.tags = tags;
            Ok(())
        })?;
        commit.stored().await?;
        Ok(self.state(name.name))
    }

    fn state(&self, name: String) -> ResourceState {
        let arn = self.0.arn(&name);
        ResourceState::new(name).with("Arn", arn)
    }
}

impl ResourceHandler for FunctionType {
    fn type_name(&self) -> &'static str {
        "AWS::Lambda::Function"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move { Ok(self.make(request).await?) })
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move { Ok(self.change(request, request.physical_id()?).await?) })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            let name = FunctionName::parse(request.physical_id()?, None)?;
            match self.0.remove(&name) {
                Ok(commit) => Ok(commit.stored().await.map_err(Fault::from)?),
                Err(fault) => gone_is_fine(fault),
            }
        })
    }
}

struct PermissionType(Arc<Lambda>);

impl ResourceHandler for PermissionType {
    fn type_name(&self) -> &'static str {
        "AWS::Lambda::Permission"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let mut input = object(&request.properties)?;
            let name = FunctionName::parse(&loose::required(&input, "FunctionName")?, None)?;
            let statement = request.generated_name(100);
            input.insert("StatementId".to_owned(), json!(statement));
            let (_, commit) = self.0.permit(&name, &input)?;
            commit.stored().await.map_err(Fault::from)?;
            Ok(ResourceState::new(statement.clone()).with("Id", statement))
        })
    }

    fn update<'a>(
        &'a self,
        _: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async { Err(ResourceFault::Replace) })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            let input = object(&request.properties)?;
            let name = FunctionName::parse(&loose::required(&input, "FunctionName")?, None)?;
            match self.0.forbid(&name, request.physical_id()?, None) {
                Ok(commit) => Ok(commit.stored().await.map_err(Fault::from)?),
                Err(fault) => gone_is_fine(fault),
            }
        })
    }
}

struct VersionType(Arc<Lambda>);

impl ResourceHandler for VersionType {
    fn type_name(&self) -> &'static str {
        "AWS::Lambda::Version"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let input = object(&request.properties)?;
            let name = FunctionName::parse(&loose::required(&input, "FunctionName")?, None)?;
            let description = loose::text(&input, "Description")?;
            let at = self.0.now();
            let (shown, commit) =
                self.0.change(&name, |function| Ok(self.0.publish(function, description, at)))?;
            commit.stored().await.map_err(Fault::from)?;
            let arn = shown["FunctionArn"].as_str().unwrap_or_default().to_owned();
            Ok(ResourceState::new(arn.clone())
                .with("FunctionArn", arn)
                .with("Version", shown["Version"].clone()))
        })
    }

    fn update<'a>(
        &'a self,
        _: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async { Err(ResourceFault::Replace) })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            let name = FunctionName::parse(request.physical_id()?, None)?;
            let number: Option<u64> =
                name.qualifier.as_deref().and_then(|number| number.parse().ok());
            let removed = self.0.change(&name, |function| {
                if let Some(number) = number {
                    function.versions.remove(&number);
                }
                Ok(())
            });
            self.0.settle(&name.name);
            match removed {
                Ok(((), commit)) => Ok(commit.stored().await.map_err(Fault::from)?),
                Err(fault) => gone_is_fine(fault),
            }
        })
    }
}

struct AliasType(Arc<Lambda>);

impl ResourceHandler for AliasType {
    fn type_name(&self) -> &'static str {
        "AWS::Lambda::Alias"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let input = object(&request.properties)?;
            let name = FunctionName::parse(&loose::required(&input, "FunctionName")?, None)?;
            let (shown, commit) = self.0.make_alias(&name, &input)?;
            commit.stored().await.map_err(Fault::from)?;
            let arn = shown["AliasArn"].as_str().unwrap_or_default();
            Ok(ResourceState::new(arn).with("AliasArn", arn))
        })
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let arn = request.physical_id()?;
            let name = FunctionName::parse(arn, None)?;
            let alias = name.qualifier.clone().unwrap_or_default();
            let name = FunctionName { qualifier: None, ..name };
            let (_, commit) = self.0.change_alias(&name, &alias, &object(&request.properties)?)?;
            commit.stored().await.map_err(Fault::from)?;
            Ok(ResourceState::new(arn).with("AliasArn", arn))
        })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            let name = FunctionName::parse(request.physical_id()?, None)?;
            let alias = name.qualifier.clone().unwrap_or_default();
            let removed = self.0.change(&name, |function| {
                function.aliases.remove(&alias);
                function.statements.remove(&alias);
                Ok(())
            });
            match removed {
                Ok(((), commit)) => Ok(commit.stored().await.map_err(Fault::from)?),
                Err(fault) => gone_is_fine(fault),
            }
        })
    }
}

struct EventInvokeConfigType(Arc<Lambda>);

impl EventInvokeConfigType {
    async fn put(&self, request: &ResourceRequest) -> Result<ResourceState, Fault> {
        let input = object(&request.properties)?;
        let qualifier = loose::required(&input, "Qualifier")?;
        let name =
            FunctionName::parse(&loose::required(&input, "FunctionName")?, Some(&qualifier))?;
        let (_, commit) = self.0.configure_events(&name, EventConfig::default(), &input)?;
        commit.stored().await?;
        let id = match &request.physical_id {
            Some(id) => id.clone(),
            None => format!("{}|{}|{}", name.name, qualifier, id::hex_digits(8)),
        };
        Ok(ResourceState::new(id))
    }
}

impl ResourceHandler for EventInvokeConfigType {
    fn type_name(&self) -> &'static str {
        "AWS::Lambda::EventInvokeConfig"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move { Ok(self.put(request).await?) })
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move { Ok(self.put(request).await?) })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            let input = object(&request.properties)?;
            let name = FunctionName::parse(&loose::required(&input, "FunctionName")?, None)?;
            let qualifier = loose::required(&input, "Qualifier")?;
            let removed = self.0.change(&name, |function| {
                function.event_configs.remove(&qualifier);
                Ok(())
            });
            match removed {
                Ok(((), commit)) => Ok(commit.stored().await.map_err(Fault::from)?),
                Err(fault) => gone_is_fine(fault),
            }
        })
    }
}

struct EventSourceMappingType(Arc<Lambda>);

impl EventSourceMappingType {
    fn state(&self, id: String) -> ResourceState {
        let arn = self.0.account.arn("lambda", format_args!("event-source-mapping:{id}"));
        ResourceState::new(id.clone()).with("Id", id).with("EventSourceMappingArn", arn)
    }
}

impl ResourceHandler for EventSourceMappingType {
    fn type_name(&self) -> &'static str {
        "AWS::Lambda::EventSourceMapping"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let (mapping, commit) = self.0.make_mapping(&object(&request.properties)?)?;
            commit.stored().await.map_err(Fault::from)?;
            Ok(self.state(mapping.id))
        })
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let input = object(&request.properties)?;
            let (mapping, commit) = self.0.change_mapping(request.physical_id()?, &input)?;
            commit.stored().await.map_err(Fault::from)?;
            Ok(self.state(mapping.id))
        })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            match self.0.remove_mapping(request.physical_id()?) {
                Ok((_, commit)) => Ok(commit.stored().await.map_err(Fault::from)?),
                Err(fault) => gone_is_fine(fault),
            }
        })
    }
}

fn object(properties: &Value) -> Result<Map<String, Value>, Fault> {
    match properties {
        Value::Object(members) => Ok(members.clone()),
        Value::Null => Ok(Map::new()),
        other => Err(Fault::invalid_input(format!("properties must be an object, not {other}"))),
    }
}

/// What is already gone needs no deletion.
fn gone_is_fine(fault: Fault) -> Result<(), ResourceFault> {
    if fault.code == not_found("").code { Ok(()) } else { Err(fault.into()) }
}
