//! Lambda's CloudFormation types: functions, permissions, versions, aliases, event
//! sources and the treatment of asynchronous invocations.
//!
//! They make the same calls as the API does. Only functions wait for something, the
//! code that they bring; all other types change at once.

use std::sync::Arc;

use iotstack_local_kernel::{
    BoxFuture, Cloud, Commit, Fault, Immediate, ResourceFault, ResourceHandler, ResourceRequest,
    ResourceState, id, loose,
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
    Immediate {
        service: lambda.clone(),
        type_name: "AWS::Lambda::Permission",
        create: create_permission,
        update: replace,
        delete: |lambda, request| {
            let (name, _) = function_of(request)?;
            Ok(lambda.forbid(&name, request.physical_id()?, None)?)
        },
    }
    .register(cloud);
    Immediate {
        service: lambda.clone(),
        type_name: "AWS::Lambda::Version",
        create: create_version,
        update: replace,
        delete: delete_version,
    }
    .register(cloud);
    Immediate {
        service: lambda.clone(),
        type_name: "AWS::Lambda::Alias",
        create: |lambda, request| {
            let (name, input) = function_of(request)?;
            let (shown, commit) = lambda.make_alias(&name, &input)?;
            Ok((alias_state(shown["AliasArn"].as_str().unwrap_or_default()), commit))
        },
        update: |lambda, request| {
            let arn = request.physical_id()?;
            let (name, alias) = alias_of(arn)?;
            let (_, commit) = lambda.change_alias(&name, &alias, &request.members()?)?;
            Ok((alias_state(arn), commit))
        },
        delete: |lambda, request| {
            let (name, alias) = alias_of(request.physical_id()?)?;
            let ((), commit) = lambda.change(&name, |function| {
                function.aliases.remove(&alias);
                function.statements.remove(&alias);
                Ok(())
            })?;
            Ok(commit)
        },
    }
    .register(cloud);
    Immediate {
        service: lambda.clone(),
        type_name: "AWS::Lambda::EventInvokeConfig",
        create: put_event_config,
        update: put_event_config,
        delete: |lambda, request| {
            let (name, input) = function_of(request)?;
            let qualifier = loose::required(&input, "Qualifier")?;
            let ((), commit) = lambda.change(&name, |function| {
                function.event_configs.remove(&qualifier);
                Ok(())
            })?;
            Ok(commit)
        },
    }
    .register(cloud);
    Immediate {
        // A mapping polls on a task of its own, which shares the service.
        service: Arc::new(lambda.clone()),
        type_name: "AWS::Lambda::EventSourceMapping",
        create: |lambda, request| {
            let (mapping, commit) = lambda.make_mapping(&request.members()?)?;
            Ok((mapping_state(lambda, mapping.id), commit))
        },
        update: |lambda, request| {
            let (id, input) = (request.physical_id()?, request.members()?);
            let (mapping, commit) = lambda.change_mapping(id, &input)?;
            Ok((mapping_state(lambda, mapping.id), commit))
        },
        delete: |lambda, request| Ok(lambda.remove_mapping(request.physical_id()?)?.1),
    }
    .register(cloud);
}

type Changed = Result<(ResourceState, Commit), ResourceFault>;

fn replace(_: &Lambda, _: &ResourceRequest) -> Changed {
    Err(ResourceFault::Replace)
}

/// The function that the properties name, and the properties.
fn function_of(request: &ResourceRequest) -> Result<(FunctionName, Map<String, Value>), Fault> {
    let input = request.members()?;
    Ok((FunctionName::parse(&loose::required(&input, "FunctionName")?, None)?, input))
}

fn create_permission(lambda: &Lambda, request: &ResourceRequest) -> Changed {
    let (name, mut input) = function_of(request)?;
    let statement = request.generated_name(100);
    input.insert("StatementId".to_owned(), json!(statement));
    let (_, commit) = lambda.permit(&name, &input)?;
    Ok((ResourceState::new(statement.clone()).with("Id", statement), commit))
}

fn create_version(lambda: &Lambda, request: &ResourceRequest) -> Changed {
    let (name, input) = function_of(request)?;
    let description = loose::text(&input, "Description")?;
    let at = lambda.now();
    let (shown, commit) =
        lambda.change(&name, |function| Ok(lambda.publish(function, description, at)))?;
    let arn = shown["FunctionArn"].as_str().unwrap_or_default();
    let state = ResourceState::new(arn).with("FunctionArn", arn);
    Ok((state.with("Version", shown["Version"].clone()), commit))
}

fn delete_version(lambda: &Lambda, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    let name = FunctionName::parse(request.physical_id()?, None)?;
    let number: Option<u64> = name.qualifier.as_deref().and_then(|number| number.parse().ok());
    let removed = lambda.change(&name, |function| {
        if let Some(number) = number {
            function.versions.remove(&number);
        }
        Ok(())
    });
    lambda.settle(&name.name);
    Ok(removed?.1)
}

/// The function and the name of an alias by its ARN.
fn alias_of(arn: &str) -> Result<(FunctionName, String), Fault> {
    let name = FunctionName::parse(arn, None)?;
    let alias = name.qualifier.clone().unwrap_or_default();
    Ok((FunctionName { qualifier: None, ..name }, alias))
}

fn alias_state(arn: &str) -> ResourceState {
    ResourceState::new(arn).with("AliasArn", arn)
}

fn put_event_config(lambda: &Lambda, request: &ResourceRequest) -> Changed {
    let (name, input) = function_of(request)?;
    let qualifier = loose::required(&input, "Qualifier")?;
    let name = FunctionName::parse(&name.name, Some(&qualifier))?;
    let (_, commit) = lambda.configure_events(&name, EventConfig::default(), &input)?;
    let id = match &request.physical_id {
        Some(id) => id.clone(),
        None => format!("{}|{}|{}", name.name, qualifier, id::hex_digits(8)),
    };
    Ok((ResourceState::new(id), commit))
}

fn mapping_state(lambda: &Lambda, id: String) -> ResourceState {
    let arn = lambda.account.arn("lambda", format_args!("event-source-mapping:{id}"));
    ResourceState::new(id.clone()).with("Id", id).with("EventSourceMappingArn", arn)
}

struct FunctionType(Arc<Lambda>);

impl FunctionType {
    /// The properties as the API wants them.
    fn input(request: &ResourceRequest) -> Result<Map<String, Value>, Fault> {
        let mut input = request.members()?;
        let runtime = loose::text(&input, "Runtime")?.unwrap_or_default();
        let code = code_of_template(&loose::object(&input, "Code")?, &runtime)?;
        input.insert("Code".to_owned(), Value::Object(code));
        for ignored in ["RuntimeManagementConfig", "RecursiveLoop"] {
            // They choose among AWS's own runtimes and guards, of which there are none here.
            input.remove(ignored);
        }
        Ok(input)
    }

    async fn make(&self, request: &ResourceRequest) -> Result<ResourceState, Fault> {
        let mut input = Self::input(request)?;
        let name = match loose::text(&input, "FunctionName")? {
            Some(name) => name,
            None => request.generated_name(64),
        };
        input.insert("FunctionName".to_owned(), json!(name));
        let reserved = loose::integer(&input, "ReservedConcurrentExecutions")?;
        let (_, commit) = self.0.make(&input, request.tags()?).await?;
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
        let tags = request.tags()?;
        let previous = request.previous.as_ref().unwrap_or(&Value::Null);
        if previous.get("Code") != request.properties.get("Code")
            || previous.get("Architectures") != input.get("Architectures")
        {
            let mut code = loose::object(&input, "Code")?;
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
                // What is already gone needs no deletion.
                Err(fault) if fault.code == not_found("").code => Ok(()),
                Err(fault) => Err(fault.into()),
            }
        })
    }
}
