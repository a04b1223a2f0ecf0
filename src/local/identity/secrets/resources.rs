//! `AWS::SecretsManager::Secret`, with a value, a generated one, or none.
//!
//! A generated value is made once: an update that does not ask for another one
//! leaves it. Rotation and replication are not offered.

use std::sync::Arc;

use iotstack_local_kernel::{
    Cloud, Commit, Fault, Immediate, ResourceFault, ResourceRequest, ResourceState, id, loose,
};
use serde_json::{Map, Value, json};

use super::{Content, Secrets, password};
use crate::wire::add_tags;

/// Registers the handler.
pub(crate) fn register(cloud: &Cloud, secrets: &Arc<Secrets>) {
    Immediate {
        service: secrets.clone(),
        type_name: "AWS::SecretsManager::Secret",
        create,
        update,
        delete,
    }
    .register(cloud);
}

type Made = Result<(ResourceState, Commit), ResourceFault>;

fn create(secrets: &Secrets, request: &ResourceRequest) -> Made {
    let mut members = request.members()?;
    if loose::text(&members, "Name")?.is_none() {
        members.insert("Name".to_owned(), json!(request.generated_name(512)));
    }
    if let Some(generated) = generated(&members)? {
        members.insert("SecretString".to_owned(), json!(generated));
    }
    members.insert("Tags".to_owned(), json!(request.tags()?));
    members
        .remove("ReplicaRegions")
        .map_or(Ok(()), |_| Err(Fault::not_implemented("secrets in several regions")))?;
    let (secret, _, commit) = secrets.add(&members)?;
    Ok((state(&secret.arn), commit))
}

fn update(secrets: &Secrets, request: &ResourceRequest) -> Made {
    let arn = request.physical_id()?.to_owned();
    let members = request.members()?;
    let secret = secrets.named(&arn)?;
    if loose::text(&members, "Name")?.is_some_and(|name| name != secret.name) {
        return Err(ResourceFault::Replace);
    }
    let none = Map::new();
    let previous = request.previous.as_ref().and_then(Value::as_object).unwrap_or(&none);
    // A value is only written again if the template wants another one: somebody
    // may have put a newer one since.
    let same = |name: &str| members.get(name) == previous.get(name);
    let value = if !same("GenerateSecretString") {
        generated(&members)?.map(Content::Text)
    } else if !same("SecretString") {
        Content::read(&members)?
    } else {
        None
    };
    let description = loose::text(&members, "Description")?;
    let key = loose::text(&members, "KmsKeyId")?;
    let tags = request.tags()?.into_iter().collect();
    let now = secrets.clock.now();
    let ((), commit) = secrets.edit(&secret.name, |secret| {
        if let Some(value) = value {
            secret.put(id::uuid(), value, &[], now)?;
        }
        secret.description = description;
        secret.kms_key_id = key;
        secret.tags.clear();
        add_tags(&mut secret.tags, tags)
    })?;
    Ok((state(&arn), commit))
}

fn delete(secrets: &Secrets, request: &ResourceRequest) -> Result<Commit, ResourceFault> {
    // CloudFormation deletes without a recovery window.
    let secret = secrets
        .named(request.physical_id()?)
        .map_err(|fault| ResourceFault::failed("NotFound", fault.message))?;
    Ok(secrets.erase(&secret.name)?)
}

fn state(arn: &str) -> ResourceState {
    ResourceState::new(arn).with("Id", arn)
}

/// The value that `GenerateSecretString` asks for: a password, or a JSON
/// document with a password in it.
fn generated(members: &Map<String, Value>) -> Result<Option<String>, Fault> {
    if members.get("GenerateSecretString").is_none_or(Value::is_null) {
        return Ok(None);
    }
    let wanted = loose::object(members, "GenerateSecretString")?;
    if members.get("SecretString").is_some_and(|value| !value.is_null()) {
        return Err(Fault::invalid_input(
            "SecretString and GenerateSecretString exclude each other",
        ));
    }
    let password = password::Wanted::read(&wanted)?.make()?;
    let template = loose::text(&wanted, "SecretStringTemplate")?;
    let key = loose::text(&wanted, "GenerateStringKey")?;
    match (template, key) {
        (None, None) => Ok(Some(password)),
        (Some(template), Some(key)) => {
            let document: Value = serde_json::from_str(&template).unwrap_or_default();
            let Value::Object(mut document) = document else {
                return Err(Fault::invalid_input("SecretStringTemplate must be a JSON object"));
            };
            document.insert(key, json!(password));
            Ok(Some(Value::Object(document).to_string()))
        }
        _ => {
            Err(Fault::invalid_input("SecretStringTemplate and GenerateStringKey belong together"))
        }
    }
}
