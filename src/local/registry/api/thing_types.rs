//! Thing types: create, update, deprecate, delete.
//!
//! A type is deleted five minutes after it was deprecated at the earliest, and
//! only when no thing has it. CloudFormation does not wait.

use std::collections::BTreeMap;
use std::time::Duration;

use iotstack_local_kernel::{Call, Fault, id, tags};
use serde_json::{Map, Value, json};

use super::input::{description, listed, object, text_of, texts, type_name};
use crate::core::{Changed, Registry, Tx};
use crate::state::ThingType;
use crate::{events, fault};

pub fn create(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("thingTypeName")?;
    let properties = object(&call.input, "thingTypeProperties")?;
    let tags = tags::read(&call.input)?;
    registry.change(|tx| {
        let made = tx.create_type(name, &properties)?;
        let arn = tx.arn(format_args!("thingtype/{name}"));
        tx.put_tags(&arn, tags);
        Ok(json!({"thingTypeName": name, "thingTypeArn": arn, "thingTypeId": made.id}))
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("thingTypeName")?;
    let properties = object(&call.input, "thingTypeProperties")?;
    registry.change(|tx| {
        tx.update_type(name, &properties)?;
        Ok(json!({}))
    })
}

pub fn deprecate(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("thingTypeName")?;
    let undo = call.flag("undoDeprecate")?;
    registry.change(|tx| {
        tx.deprecate_type(name, !undo)?;
        Ok(json!({}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("thingTypeName")?;
    registry.change(|tx| {
        let found = tx.thing_type(name)?;
        let Some(deprecated) = found.deprecated else {
            return Err(fault::invalid(format!(
                "thing type `{name}` must be deprecated for five minutes before it is deleted"
            )));
        };
        if tx.now < deprecated.after(BEFORE_DELETION) {
            return Err(fault::invalid(format!(
                "thing type `{name}` was deprecated at {} and can be deleted five minutes later",
                deprecated.iso8601()
            )));
        }
        tx.delete_type(name)?;
        Ok(json!({}))
    })
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("thingTypeName")?;
    registry.read(|state| {
        let found = state.types.get(name).ok_or_else(|| fault::not_found("thing type", name))?;
        let mut answer = show(registry, found);
        answer["thingTypeId"] = json!(found.id);
        Ok(answer)
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let wanted = call.optional_text("thingTypeName")?;
    registry.read(|state| {
        let types =
            state.types.values().filter(|found| wanted.is_none_or(|name| *found.name == *name));
        listed(
            call,
            "thingTypes",
            types,
            |found| found.name.to_string(),
            |found| show(registry, found),
        )
    })
}

fn show(registry: &Registry, found: &ThingType) -> Value {
    let mut properties = json!({"searchableAttributes": found.searchable});
    if let Some(description) = &found.description {
        properties["thingTypeDescription"] = json!(description);
    }
    if let Some(mqtt5) = &found.mqtt5 {
        properties["mqtt5Configuration"] = mqtt5.clone();
    }
    let mut metadata = json!({
        "deprecated": found.deprecated.is_some(),
        "creationDate": found.created.fractional_seconds(),
    });
    if let Some(deprecated) = found.deprecated {
        metadata["deprecationDate"] = json!(deprecated.fractional_seconds());
    }
    json!({
        "thingTypeName": &*found.name,
        "thingTypeArn": registry.account.arn("iot", format_args!("thingtype/{}", found.name)),
        "thingTypeProperties": properties,
        "thingTypeMetadata": metadata,
    })
}

impl Tx<'_> {
    pub fn thing_type(&self, name: &str) -> Result<&ThingType, Fault> {
        self.state.types.get(name).ok_or_else(|| fault::not_found("thing type", name))
    }

    /// Makes a type; one that exists must be the same.
    pub fn create_type(
        &mut self,
        name: &str,
        properties: &Map<String, Value>,
    ) -> Result<ThingType, Fault> {
        type_name(name)?;
        let new = ThingType {
            name: name.into(),
            id: id::uuid(),
            description: description(text_of(properties, "thingTypeDescription")?, "a thing type")?,
            searchable: searchable(properties)?,
            mqtt5: properties.get("mqtt5Configuration").filter(|value| !value.is_null()).cloned(),
            deprecated: None,
            created: self.now,
        };
        if let Some(found) = self.state.types.get(name) {
            if found.description == new.description
                && found.searchable == new.searchable
                && found.mqtt5 == new.mqtt5
            {
                return Ok(found.clone());
            }
            let arn = self.arn(format_args!("thingtype/{name}"));
            return Err(fault::exists("thing type", name, &found.id, &arn));
        }
        self.put_type(new.clone());
        events::thing_type(self, &new, "CREATED");
        Ok(new)
    }

    /// Changes a type's description and MQTT 5 properties.
    pub fn update_type(
        &mut self,
        name: &str,
        properties: &Map<String, Value>,
    ) -> Result<(), Fault> {
        let mut found = self.thing_type(name)?.clone();
        if properties.contains_key("searchableAttributes") {
            let wanted = searchable(properties)?;
            if wanted != found.searchable {
                return Err(fault::invalid(format!(
                    "the searchable attributes of thing type `{name}` cannot be changed"
                )));
            }
        }
        if let Some(text) = text_of(properties, "thingTypeDescription")? {
            found.description = description(Some(text), "a thing type")?;
        }
        if let Some(mqtt5) = properties.get("mqtt5Configuration").filter(|value| !value.is_null()) {
            found.mqtt5 = Some(mqtt5.clone());
        }
        self.put_type(found.clone());
        events::thing_type(self, &found, "UPDATED");
        Ok(())
    }

    /// Deprecates a type, or takes that back.
    pub fn deprecate_type(&mut self, name: &str, deprecated: bool) -> Result<(), Fault> {
        let mut found = self.thing_type(name)?.clone();
        if found.deprecated.is_some() != deprecated {
            found.deprecated = deprecated.then_some(self.now);
            self.put_type(found.clone());
            events::thing_type(self, &found, "UPDATED");
        }
        Ok(())
    }

    /// Deletes a type that no thing has.
    pub fn delete_type(&mut self, name: &str) -> Result<(), Fault> {
        let found = self.thing_type(name)?.clone();
        let used =
            self.state.things.values().any(|thing| thing.thing_type.as_deref() == Some(name));
        if used {
            return Err(fault::invalid(format!(
                "thing type `{name}` cannot be deleted: things of this type exist"
            )));
        }
        self.remove_type(name);
        let arn = self.arn(format_args!("thingtype/{name}"));
        self.put_tags(&arn, BTreeMap::new());
        events::thing_type(self, &found, "DELETED");
        Ok(())
    }
}

fn searchable(properties: &Map<String, Value>) -> Result<Vec<String>, Fault> {
    let found = texts(properties, "searchableAttributes")?;
    if found.len() > 3 {
        return Err(fault::invalid(format!(
            "a thing type has at most 3 searchable attributes, not {}",
            found.len()
        )));
    }
    Ok(found)
}

const BEFORE_DELETION: Duration = Duration::from_secs(300);
