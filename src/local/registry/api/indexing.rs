//! Fleet indexing: configuration, search, aggregation, connectivity.
//!
//! An index is ready as soon as it is on. Searching looks at every thing once;
//! nothing is approximated.

use iotstack_local_kernel::{Call, Fault};
use serde_json::{Map, Value, json};

use super::input::{object, size, text_of};
use crate::core::{Changed, Registry};
use crate::fault;
use crate::index::{
    self, Aggregate, Document, Fields, GROUP_FIELDS, GROUPS_INDEX, GroupDocument, Query,
    THING_FIELDS, THINGS_INDEX,
};
use crate::state::State;

pub fn configuration(registry: &Registry, _: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        let mut answer = serde_json::to_value(&state.settings.indexing)
            .map_err(|error| Fault::internal(error.to_string()))?;
        let managed = |fields: &[(&str, &str)]| {
            fields
                .iter()
                .map(|(name, kind)| json!({"name": name, "type": kind}))
                .collect::<Vec<_>>()
        };
        if state.settings.indexing.things_indexed() {
            answer["thingIndexingConfiguration"]["managedFields"] = json!(managed(THING_FIELDS));
        }
        if state.settings.indexing.groups_indexed() {
            answer["thingGroupIndexingConfiguration"]["managedFields"] =
                json!(managed(GROUP_FIELDS));
        }
        Ok(answer)
    })
}

pub fn update_configuration(registry: &Registry, call: &Call) -> Changed {
    let read = |name: &str| {
        call.input
            .get(name)
            .filter(|value| !value.is_null())
            .cloned()
            .map(|value| (name.to_owned(), value))
    };
    let things = match read("thingIndexingConfiguration") {
        None => None,
        Some((name, value)) => {
            let found: index::ThingIndexing = serde_json::from_value(value)
                .map_err(|error| fault::invalid(format!("{name}: {error}")))?;
            found.check()?;
            Some(found)
        }
    };
    let groups = match read("thingGroupIndexingConfiguration") {
        None => None,
        Some((name, value)) => {
            let found: index::GroupIndexing = serde_json::from_value(value)
                .map_err(|error| fault::invalid(format!("{name}: {error}")))?;
            found.check()?;
            Some(found)
        }
    };
    let changed = registry.change(|tx| {
        let off = things.as_ref().is_some_and(|things| things.thing_indexing_mode == "OFF");
        if off && tx.state.any_dynamic() {
            return Err(fault::invalid(
                "indexing of things cannot be switched off while there are dynamic thing groups",
            ));
        }
        let indexing = &mut tx.state.settings.indexing;
        if let Some(things) = things {
            indexing.thing_indexing_configuration = things;
        }
        if let Some(groups) = groups {
            indexing.thing_group_indexing_configuration = groups;
        }
        tx.save_settings();
        if tx.state.any_dynamic() {
            tx.mark_all();
        }
        Ok(json!({}))
    })?;
    // Other shadows may be indexed now.
    registry.shadows_known.store(false, std::sync::atomic::Ordering::Release);
    Ok(changed)
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("indexName")?;
    registry.read(|state| {
        let indexing = &state.settings.indexing;
        let schema = match name {
            THINGS_INDEX if indexing.things_indexed() => indexing.schema(),
            GROUPS_INDEX if indexing.groups_indexed() => "THING_GROUPS",
            _ => return Err(fault::not_found("index", name)),
        };
        Ok(json!({"indexName": name, "indexStatus": "ACTIVE", "schema": schema}))
    })
}

pub fn list(registry: &Registry, _: &Call) -> Result<Value, Fault> {
    registry.read(|state| {
        let mut names = Vec::new();
        if state.settings.indexing.groups_indexed() {
            names.push(GROUPS_INDEX);
        }
        if state.settings.indexing.things_indexed() {
            names.push(THINGS_INDEX);
        }
        Ok(json!({"indexNames": names}))
    })
}

pub fn search(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let (query, groups) = asked(registry, call)?;
    let limit = size(call, "maxResults", 500, 100)?;
    let token = call.optional_text("nextToken")?;
    registry.read(|state| {
        let (list, shown, next) = if groups {
            let found = state
                .groups
                .values()
                .map(|group| GroupDocument { group, state })
                .filter(|document| query.fits(document));
            let (found, next) = iotstack_local_kernel::page::page(
                found,
                |document| document.group.name.to_string(),
                token,
                limit,
            )?;
            ("thingGroups", found.iter().map(GroupDocument::show).collect::<Vec<_>>(), next)
        } else {
            let found = state
                .things
                .values()
                .map(|thing| Document::of(state, thing))
                .filter(|document| query.fits(document));
            let (found, next) = iotstack_local_kernel::page::page(
                found,
                |document| document.thing.name.to_string(),
                token,
                limit,
            )?;
            ("things", found.iter().map(Document::show).collect::<Vec<_>>(), next)
        };
        let mut answer = json!({ list: shown });
        if let Some(next) = next {
            answer["nextToken"] = json!(next);
        }
        Ok(answer)
    })
}

pub fn statistics(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let (found, kind) = aggregated(registry, call)?;
    Ok(json!({"statistics": index::aggregate(&found, kind == "Number")}))
}

pub fn cardinality(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let (found, _) = aggregated(registry, call)?;
    Ok(json!({"cardinality": found.values.len()}))
}

pub fn percentiles(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let percents = match call.input.get("percents") {
        None | Some(Value::Null) => USUAL_PERCENTS.to_vec(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                item.as_f64().filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| {
                    fault::invalid(format!("percents must be numbers from 0 to 100, not {item}"))
                })
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(fault::invalid(format!("percents must be a list, not {other}"))),
    };
    let (found, kind) = aggregated(registry, call)?;
    check_numeric(&kind, "percentiles")?;
    let shown: Vec<Value> = index::percentiles(&found, &percents)
        .into_iter()
        .map(|(percent, value)| json!({"percent": percent, "value": value}))
        .collect();
    Ok(json!({"percentiles": shown}))
}

pub fn buckets(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let kind = object(&call.input, "bucketsAggregationType")?;
    let terms = object(&kind, "termsAggregation")?;
    let most = match terms.get("maxBuckets") {
        None | Some(Value::Null) => 10,
        Some(most) => match most.as_u64() {
            Some(most @ 1..=10_000) => usize::try_from(most).unwrap_or(10_000),
            _ => return Err(fault::invalid(format!("maxBuckets must be 1 to 10000, not {most}"))),
        },
    };
    let (found, _) = aggregated(registry, call)?;
    let shown: Vec<Value> = index::buckets(&found, most)
        .into_iter()
        .map(|(value, count)| json!({"keyValue": value, "count": count}))
        .collect();
    Ok(json!({"totalCount": found.documents, "buckets": shown}))
}

pub fn connectivity(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("thingName")?;
    let found = registry.read(|state| {
        if !state.settings.indexing.connectivity_indexed() {
            return Err(fault::index_not_ready(THINGS_INDEX));
        }
        if !state.things.contains_key(name) {
            return Err(fault::not_found("thing", name));
        }
        Ok(state.indexed.get(name).and_then(|indexed| indexed.connectivity))
    })?;
    let mut answer = json!({"thingName": name, "connected": false, "clientId": name});
    if let Some(found) = found {
        answer["connected"] = json!(found.connected);
        answer["timestamp"] = json!(found.at.fractional_seconds());
        if let Some(reason) = found.reason {
            answer["disconnectReason"] = json!(reason);
        }
    }
    if call.flag("includeSocketInformation")?
        && let Ok(messages) = registry.cloud()?.ports.messages()
        && let Some(info) = messages.connection(name).filter(|info| info.connected)
    {
        answer["keepAliveDuration"] = json!(info.keep_alive);
        answer["cleanSession"] = json!(info.clean_session);
        if let Some(source) = info.source {
            answer["sourceIp"] = json!(source.ip().to_string());
            answer["sourcePort"] = json!(source.port());
        }
    }
    Ok(answer)
}

/// The values of a field over what a query finds, and the field's type.
pub fn collect(
    state: &State,
    query: &Query,
    field: &str,
    groups: bool,
) -> Result<(Aggregate, String), Fault> {
    let Some(kind) = state.settings.indexing.aggregated(field, groups) else {
        return Err(fault::invalid_aggregation(format!(
            "field `{field}` cannot be aggregated: it is neither a managed nor a custom field of the \
             index"
        )));
    };
    let numeric = kind == "Number";
    let mut found = Aggregate::default();
    if groups {
        for group in state.groups.values() {
            take(&mut found, query, &GroupDocument { group, state }, field, numeric);
        }
    } else {
        for thing in state.things.values() {
            take(&mut found, query, &Document::of(state, thing), field, numeric);
        }
    }
    Ok((found, kind.to_owned()))
}

/// Percentiles and the like need numbers.
pub fn check_numeric(kind: &str, what: &str) -> Result<(), Fault> {
    match kind {
        "Number" => Ok(()),
        other => Err(fault::invalid_aggregation(format!(
            "{what} need a field of type Number, not {other}"
        ))),
    }
}

/// Whether `name` is the index of groups. Only indexes that are on can be asked.
pub fn check_index(state: &State, name: Option<&str>) -> Result<bool, Fault> {
    let indexing = &state.settings.indexing;
    match name.unwrap_or(THINGS_INDEX) {
        THINGS_INDEX if indexing.things_indexed() => Ok(false),
        GROUPS_INDEX if indexing.groups_indexed() => Ok(true),
        known @ (THINGS_INDEX | GROUPS_INDEX) => Err(fault::index_not_ready(known)),
        other => Err(fault::not_found("index", other)),
    }
}

fn take(found: &mut Aggregate, query: &Query, document: &impl Fields, field: &str, numeric: bool) {
    if query.fits(document) {
        found.documents += 1;
        document.field(field, &mut |value| found.add(value, numeric));
    }
}

fn asked(registry: &Registry, call: &Call) -> Result<(Query, bool), Fault> {
    index::check_version(call.optional_text("queryVersion")?)?;
    let name = text_of(&call.input as &Map<String, Value>, "indexName")?;
    let groups = registry.read(|state| check_index(state, name.as_deref()))?;
    let query = index::parse(call.text("queryString")?)?;
    registry.know_shadows();
    Ok((query, groups))
}

fn aggregated(registry: &Registry, call: &Call) -> Result<(Aggregate, String), Fault> {
    let (query, groups) = asked(registry, call)?;
    let usual = if groups { "thingGroupName" } else { "registry.version" };
    let field = call.optional_text("aggregationField")?.unwrap_or(usual);
    registry.read(|state| collect(state, &query, field, groups))
}

const USUAL_PERCENTS: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];
