//! Things, types, groups and billing groups as CloudFormation has them.
//!
//! A thing has a name and attributes and nothing else; a group with a query is
//! dynamic and cannot become static. A name that is taken is an error here even
//! where the API would let the same thing be made twice.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Fault, ResourceRequest, ResourceState};
use serde_json::{Map, Value, json};

use super::{
    Kind, Outcome, changed, flag, gone, name_or_made, nested, properties, small, text, unchanged,
};
use crate::api::groups::NewGroup;
use crate::api::input;
use crate::api::things::{NewThing, ThingChange};
use crate::core::{Registry, Tx};
use crate::fault;

pub const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::IoT::Thing",
        create: create_thing,
        update: update_thing,
        delete: delete_thing,
    },
    Kind {
        name: "AWS::IoT::ThingType",
        create: create_type,
        update: update_type,
        delete: delete_type,
    },
    Kind {
        name: "AWS::IoT::ThingGroup",
        create: create_group,
        update: update_group,
        delete: delete_group,
    },
    Kind {
        name: "AWS::IoT::BillingGroup",
        create: create_billing_group,
        update: update_billing_group,
        delete: delete_billing_group,
    },
];

fn create_thing(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let name = name_or_made(request, "ThingName", 128);
    let attributes = attributes(&properties(request))?;
    changed(registry.change(|tx| {
        if tx.state.things.contains_key(&*name) {
            return Err(taken(tx, "thing", &name, "thing"));
        }
        let new = NewThing { name: name.clone(), attributes, ..NewThing::default() };
        tx.check_new_thing(&new)?;
        let thing = tx.create_thing(new);
        Ok(thing_state(tx, &name, &thing.id))
    }))
}

fn update_thing(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["ThingName"])?;
    let name = request.physical_id()?;
    let attributes = attributes(&properties(request))?;
    changed(registry.change(|tx| {
        let id = tx.thing(name)?.id.clone();
        let change =
            ThingChange { attributes: Some((attributes, false)), ..ThingChange::default() };
        tx.update_thing(name, change)?;
        Ok(thing_state(tx, name, &id))
    }))
}

fn delete_thing(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let name = request.physical_id()?;
    gone(registry.change(|tx| tx.delete_thing(name, None)))
}

fn thing_state(tx: &Tx<'_>, name: &str, id: &str) -> ResourceState {
    let arn = tx.arn(format_args!("thing/{name}"));
    ResourceState::new(name).with("Arn", arn).with("Id", id)
}

fn create_type(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let name = name_or_made(request, "ThingTypeName", 128);
    let all = properties(request);
    let wanted = type_properties(&all);
    let (deprecated, tags) = (flag(&all, "DeprecateThingType"), request.tags()?);
    changed(registry.change(|tx| {
        if tx.state.types.contains_key(&*name) {
            return Err(taken(tx, "thing type", &name, "thingtype"));
        }
        let made = tx.create_type(&name, &wanted)?;
        tx.deprecate_type(&name, deprecated)?;
        let arn = tx.arn(format_args!("thingtype/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(&*name).with("Arn", arn).with("Id", made.id))
    }))
}

fn update_type(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["ThingTypeName"])?;
    let name = request.physical_id()?;
    let all = properties(request);
    let wanted = type_properties(&all);
    let (deprecated, tags) = (flag(&all, "DeprecateThingType"), request.tags()?);
    changed(registry.change(|tx| {
        let id = tx.thing_type(name)?.id.clone();
        tx.update_type(name, &wanted)?;
        tx.deprecate_type(name, deprecated)?;
        let arn = tx.arn(format_args!("thingtype/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(name).with("Arn", arn).with("Id", id))
    }))
}

fn delete_type(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let name = request.physical_id()?;
    gone(registry.change(|tx| tx.delete_type(name)))
}

fn type_properties(all: &Map<String, Value>) -> Map<String, Value> {
    let mut wanted = small(nested(all, "ThingTypeProperties"));
    if let Some(Value::Object(mqtt5)) = wanted.get("mqtt5Configuration") {
        let mqtt5 = small(mqtt5.clone());
        wanted.insert("mqtt5Configuration".to_owned(), Value::Object(mqtt5));
    }
    wanted
}

fn create_group(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let all = properties(request);
    let wanted = nested(&all, "ThingGroupProperties");
    let new = NewGroup {
        name: name_or_made(request, "ThingGroupName", 128),
        parent: text(&all, "ParentGroupName"),
        description: text(&wanted, "ThingGroupDescription"),
        attributes: attributes(&wanted)?,
        query: text(&all, "QueryString"),
    };
    let tags = request.tags()?;
    if new.query.is_some() {
        registry.know_shadows();
    }
    changed(registry.change(|tx| {
        if tx.state.groups.contains_key(&*new.name) {
            return Err(taken(tx, "thing group", &new.name, "thinggroup"));
        }
        if new.query.is_some() && new.parent.is_some() {
            return Err(fault::invalid("a dynamic thing group takes no ParentGroupName"));
        }
        let group = tx.create_group(new)?;
        let arn = tx.arn(format_args!("thinggroup/{}", group.name));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(&*group.name).with("Arn", arn).with("Id", group.id))
    }))
}

fn update_group(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["ThingGroupName", "ParentGroupName"])?;
    let name = request.physical_id()?;
    let all = properties(request);
    let wanted = nested(&all, "ThingGroupProperties");
    let query = text(&all, "QueryString");
    let update = Map::from_iter([
        ("thingGroupDescription".to_owned(), json!(text(&wanted, "ThingGroupDescription"))),
        ("attributePayload".to_owned(), json!({"attributes": attributes(&wanted)?})),
    ]);
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        let group = tx.group(name)?;
        if group.dynamic.is_some() != query.is_some() {
            return Err(fault::invalid(format!(
                "thing group `{name}` cannot change between static and dynamic; give it another name"
            )));
        }
        let id = group.id.clone();
        tx.update_group(name, &update, query, None)?;
        let arn = tx.arn(format_args!("thinggroup/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(name).with("Arn", arn).with("Id", id))
    }))
}

fn delete_group(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let name = request.physical_id()?;
    gone(registry.change(|tx| tx.delete_group(name, None)))
}

fn create_billing_group(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let name = name_or_made(request, "BillingGroupName", 128);
    let wanted = small(nested(&properties(request), "BillingGroupProperties"));
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        if tx.state.billing_groups.contains_key(&*name) {
            return Err(taken(tx, "billing group", &name, "billinggroup"));
        }
        let made = tx.create_billing_group(&name, &wanted)?;
        let arn = tx.arn(format_args!("billinggroup/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(&*name).with("Arn", arn).with("Id", made.id))
    }))
}

fn update_billing_group(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["BillingGroupName"])?;
    let name = request.physical_id()?;
    let wanted = small(nested(&properties(request), "BillingGroupProperties"));
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        tx.update_billing_group(name, &wanted, None)?;
        let id = tx.state.billing_groups.get(name).map(|group| group.id.clone());
        let arn = tx.arn(format_args!("billinggroup/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(name).with("Arn", arn).with("Id", id.unwrap_or_default()))
    }))
}

fn delete_billing_group(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let name = request.physical_id()?;
    gone(registry.change(|tx| tx.delete_billing_group(name, None)))
}

fn attributes(members: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    input::attributes(nested(members, "AttributePayload").get("Attributes"))
}

fn taken(tx: &Tx<'_>, what: &str, name: &str, kind: &str) -> Fault {
    let arn = tx.arn(format_args!("{kind}/{name}"));
    Fault::new("ResourceAlreadyExistsException", 409, format!("{what} `{name}` already exists"))
        .with("resourceId", name)
        .with("resourceArn", arn)
}
