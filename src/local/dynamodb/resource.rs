//! CloudFormation's `AWS::DynamoDB::Table`.
//!
//! Point-in-time recovery, contributor insights and resource policies are
//! accepted and change nothing.

use std::sync::Arc;

use iotstack_local_kernel::{
    BoxFuture, Fault, ResourceFault, ResourceHandler, ResourceRequest, ResourceState, loose,
};
use serde_json::{Map, Value, json};

use crate::service::DynamoDb;

/// The type.
pub(crate) struct TableType(pub(crate) Arc<DynamoDb>);

impl TableType {
    async fn make(&self, request: &ResourceRequest) -> Result<ResourceState, Fault> {
        let properties = request.members()?;
        let name = match loose::text(&properties, "TableName")? {
            Some(name) => name,
            None => request.generated_name(255),
        };
        let mut input = table_input(&properties)?;
        input.insert("TableName".to_owned(), json!(name));
        let tags = tags(request)?;
        if !tags.is_empty() {
            input.insert("Tags".to_owned(), json!(tags));
        }
        self.0.run("CreateTable", input).await?;
        if let Err(fault) = self.set_time_to_live(&name, None, &properties).await {
            // What the engine does not know of must not stay behind.
            self.0.run("DeleteTable", named(&name)).await?;
            return Err(fault);
        }
        self.state(&name).await
    }

    async fn change(&self, request: &ResourceRequest, name: &str) -> Result<ResourceState, Fault> {
        let properties = request.members()?;
        let wanted = table_input(&properties)?;
        let previous = match &request.previous {
            Some(Value::Object(previous)) => previous.clone(),
            _ => Map::new(),
        };
        let before = table_input(&previous)?;
        let mut update = named(name);
        for member in [
            "BillingMode",
            "ProvisionedThroughput",
            "DeletionProtectionEnabled",
            "TableClass",
            "SSESpecification",
        ] {
            if let Some(value) =
                wanted.get(member).filter(|value| before.get(member) != Some(value))
            {
                update.insert(member.to_owned(), value.clone());
            }
        }
        if wanted.get("StreamSpecification") != before.get("StreamSpecification") {
            let off = json!({"StreamEnabled": false});
            let stream = wanted.get("StreamSpecification").cloned().unwrap_or(off);
            update.insert("StreamSpecification".to_owned(), stream);
        }
        if update.len() > 1 {
            self.0.run("UpdateTable", update).await?;
        }
        for change in index_changes(&before, &wanted) {
            // DynamoDB changes one index at a time.
            let mut update = named(name);
            update.insert("GlobalSecondaryIndexUpdates".to_owned(), json!([change]));
            if let Some(attributes) = wanted.get("AttributeDefinitions") {
                update.insert("AttributeDefinitions".to_owned(), attributes.clone());
            }
            self.0.run("UpdateTable", update).await?;
        }
        self.set_time_to_live(name, Some(&previous), &properties).await?;
        let tags = tags(request)?;
        if !tags.is_empty() {
            let arn = self.0.arns.table(name);
            let input = Map::from_iter([
                ("ResourceArn".to_owned(), json!(arn)),
                ("Tags".to_owned(), json!(tags)),
            ]);
            self.0.run("TagResource", input).await?;
        }
        self.state(name).await
    }

    async fn set_time_to_live(
        &self,
        name: &str,
        previous: Option<&Map<String, Value>>,
        properties: &Map<String, Value>,
    ) -> Result<(), Fault> {
        let before = previous.and_then(|previous| previous.get("TimeToLiveSpecification"));
        let wanted = properties.get("TimeToLiveSpecification");
        if before == wanted {
            return Ok(());
        }
        let given = loose::object(properties, "TimeToLiveSpecification")?;
        let old = before.and_then(|before| before["AttributeName"].as_str()).unwrap_or_default();
        let attribute = loose::text(&given, "AttributeName")?.unwrap_or_else(|| old.to_owned());
        let enabled = wanted.is_some() && loose::flag(&given, "Enabled")?.unwrap_or(true);
        let mut input = named(name);
        input.insert(
            "TimeToLiveSpecification".to_owned(),
            json!({"AttributeName": attribute, "Enabled": enabled}),
        );
        self.0.run("UpdateTimeToLive", input).await.map(drop)
    }

    async fn state(&self, name: &str) -> Result<ResourceState, Fault> {
        let shown = self.0.run("DescribeTable", named(name)).await?;
        let table = &shown["Table"];
        let mut state = ResourceState::new(name).with("Arn", self.0.arns.table(name));
        if let Some(stream) = table["LatestStreamArn"].as_str() {
            state = state.with("StreamArn", stream);
        }
        if let Some(id) = table["TableId"].as_str() {
            state = state.with("TableId", id);
        }
        Ok(state)
    }
}

impl ResourceHandler for TableType {
    fn type_name(&self) -> &'static str {
        "AWS::DynamoDB::Table"
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            self.make(request).await.map_err(|fault| match fault.code.as_str() {
                "ResourceInUseException" => ResourceFault::failed("AlreadyExists", fault.message),
                _ => fault.into(),
            })
        })
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
            match self.0.run("DeleteTable", named(request.physical_id()?)).await {
                Err(fault) if fault.code == "ResourceNotFoundException" => Ok(()),
                other => Ok(other.map(drop)?),
            }
        })
    }
}

/// The properties as `CreateTable` wants them.
fn table_input(properties: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let mut input = Map::new();
    for member in [
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "ProvisionedThroughput",
        "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes",
        "TableClass",
    ] {
        if let Some(value) = properties.get(member) {
            let mut value = value.clone();
            numbers(&mut value);
            input.insert(member.to_owned(), value);
        }
    }
    for index in
        input.get_mut("GlobalSecondaryIndexes").and_then(Value::as_array_mut).into_iter().flatten()
    {
        if let Value::Object(index) = index {
            index.remove("ContributorInsightsSpecification");
        }
    }
    if let Some(protected) = loose::flag(properties, "DeletionProtectionEnabled")? {
        input.insert("DeletionProtectionEnabled".to_owned(), json!(protected));
    }
    let stream = loose::object(properties, "StreamSpecification")?;
    if let Some(view) = loose::text(&stream, "StreamViewType")? {
        input.insert(
            "StreamSpecification".to_owned(),
            json!({"StreamEnabled": true, "StreamViewType": view}),
        );
    }
    let sse = loose::object(properties, "SSESpecification")?;
    if !sse.is_empty() {
        let mut given = json!({"Enabled": loose::flag(&sse, "SSEEnabled")?.unwrap_or(false)});
        for (from, to) in [("KMSMasterKeyId", "KMSMasterKeyId"), ("SSEType", "SSEType")] {
            if let Some(value) = loose::text(&sse, from)? {
                given[to] = json!(value);
            }
        }
        input.insert("SSESpecification".to_owned(), given);
    }
    Ok(input)
}

/// Templates may write capacities as texts.
fn numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(numbers),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name.ends_with("CapacityUnits") => {
                        if let Ok(number) = text.parse::<u64>() {
                            *member = json!(number);
                        }
                    }
                    other => numbers(other),
                }
            }
        }
        _ => {}
    }
}

/// What leads from some indexes to others, what goes away first.
fn index_changes(before: &Map<String, Value>, wanted: &Map<String, Value>) -> Vec<Value> {
    let all = |input: &Map<String, Value>| {
        input.get("GlobalSecondaryIndexes").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let (before, wanted) = (all(before), all(wanted));
    let find = |list: &[Value], index: &Value| {
        list.iter().find(|other| other["IndexName"] == index["IndexName"]).cloned()
    };
    let mut changes = Vec::new();
    for old in &before {
        let same_keys = find(&wanted, old).is_some_and(|new| {
            new["KeySchema"] == old["KeySchema"] && new["Projection"] == old["Projection"]
        });
        if !same_keys {
            changes.push(json!({"Delete": {"IndexName": old["IndexName"]}}));
        }
    }
    for new in &wanted {
        match find(&before, new) {
            Some(old)
                if old["KeySchema"] == new["KeySchema"]
                    && old["Projection"] == new["Projection"] =>
            {
                if old["ProvisionedThroughput"] != new["ProvisionedThroughput"]
                    && !new["ProvisionedThroughput"].is_null()
                {
                    changes.push(json!({"Update": {
                        "IndexName": new["IndexName"],
                        "ProvisionedThroughput": new["ProvisionedThroughput"],
                    }}));
                }
            }
            _ => changes.push(json!({"Create": new})),
        }
    }
    changes
}

fn tags(request: &ResourceRequest) -> Result<Vec<Value>, Fault> {
    let pair = |(key, value)| json!({"Key": key, "Value": value});
    Ok(request.tags()?.into_iter().map(pair).collect())
}

fn named(name: &str) -> Map<String, Value> {
    Map::from_iter([("TableName".to_owned(), json!(name))])
}
