//! The service: DynamoDB's operations, handed to the engine.
//!
//! The table of operations is two lists: those whose answers describe tables and carry
//! ARNs, and those whose answers carry items and are left as they are.

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::ports::Tables;
use iotstack_local_kernel::{
    BoxFuture, Call, Clock, Cloud, Fault, Operation, Operations, Protocol, Reply, Service,
    StoreError,
};
use serde_json::{Map, Value, json};

use crate::arn::Arns;
use crate::engine::Engine;

/// The service.
pub(crate) struct DynamoDb {
    engine: Engine,
    pub(crate) arns: Arns,
}

impl DynamoDb {
    pub(crate) fn open(cloud: &Cloud) -> Result<Self, StoreError> {
        let engine = Engine::open(cloud.store.folder(), &cloud.clock)?;
        Ok(DynamoDb { engine, arns: Arns::new(&cloud.account) })
    }

    /// Begins to remove items whose time is over, where there is a runtime to do it.
    pub(crate) fn sweep_every_minute(self: &Arc<Self>, clock: &Clock) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (service, clock) = (Arc::downgrade(self), clock.clone());
        runtime.spawn(async move {
            loop {
                clock.sleep(Duration::from_secs(60)).await;
                let Some(service) = service.upgrade() else { return };
                let engine = service.engine.clone();
                if tokio::task::spawn_blocking(move || engine.sweep()).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Runs an operation on a thread that may block.
    pub(crate) async fn run(
        &self,
        operation: &'static str,
        mut input: Map<String, Value>,
    ) -> Result<Value, Fault> {
        let renamed = self.arns.inward(&mut input);
        refuse_empty_names(&input)?;
        let key = asks_for_old(operation, &input);
        let tables = tables_of(&input);
        let engine = self.engine.clone();
        let outcome = tokio::task::spawn_blocking(move || engine.run(operation, input)).await;
        let outcome = outcome.unwrap_or_else(|error| Err(Fault::internal(error.to_string())));
        match outcome {
            Ok(mut answer) => {
                // Items are left as they are: what looks like an ARN there is the user's.
                if OF_ITEMS.contains(&operation) {
                    order_capacity(&tables, &mut answer);
                    renamed.back(&mut answer);
                    if let Some(key) = key {
                        forget_new(&key, &mut answer);
                    }
                } else {
                    self.arns.outward(&mut answer);
                    forget_disabled(&mut answer);
                }
                Ok(answer)
            }
            Err(mut fault) => {
                fault.message = self.arns.in_message(&fault.message);
                Err(fault)
            }
        }
    }

    async fn call(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        Ok(self.run(call.operation, call.input).await?.into())
    }

    fn limits(&self, _: Call) -> Result<Reply, Fault> {
        Ok(json!({
            "AccountMaxReadCapacityUnits": 80_000,
            "AccountMaxWriteCapacityUnits": 80_000,
            "TableMaxReadCapacityUnits": 40_000,
            "TableMaxWriteCapacityUnits": 40_000,
        })
        .into())
    }
}

/// What AWS also refuses in a transaction: names and values that are none.
fn refuse_empty_names(input: &Map<String, Value>) -> Result<(), Fault> {
    let actions = input.get("TransactItems").and_then(Value::as_array);
    let actions = actions.into_iter().flatten().filter_map(Value::as_object);
    for action in actions.flat_map(Map::values) {
        for member in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
            let given = action.get(member).and_then(Value::as_object);
            if given.is_some_and(Map::is_empty) {
                let message = format!("{member} must not be empty");
                return Err(Fault::new("ValidationException", 400, message));
            }
        }
    }
    Ok(())
}

/// The tables of a batch or a transaction, in their order.
fn tables_of(input: &Map<String, Value>) -> Vec<String> {
    let batch = input.get("RequestItems").and_then(Value::as_object);
    let mut tables: Vec<String> =
        batch.into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let actions = input.get("TransactItems").and_then(Value::as_array);
    let actions = actions.into_iter().flatten().filter_map(Value::as_object);
    for action in actions.flat_map(Map::values) {
        if let Some(name) = action.get("TableName").and_then(Value::as_str) {
            tables.push(name.to_owned());
        }
    }
    tables
}

/// Tells what was consumed in the order of the request; the engine's changes by chance.
fn order_capacity(tables: &[String], answer: &mut Value) {
    let Some(consumed) = answer.get_mut("ConsumedCapacity").and_then(Value::as_array_mut) else {
        return;
    };
    consumed.sort_by_cached_key(|of| {
        let name = of["TableName"].as_str().unwrap_or_default().to_owned();
        let place = tables.iter().position(|table| *table == name);
        (place.unwrap_or(usize::MAX), name)
    });
}

/// The key of an item that is changed, if it is asked what the item was before.
fn asks_for_old(operation: &str, input: &Map<String, Value>) -> Option<Value> {
    let is_asked = input.get("ReturnValues").and_then(Value::as_str) == Some("ALL_OLD");
    (operation == "UpdateItem" && is_asked).then(|| input.get("Key").cloned()).flatten()
}

/// Leaves out what an item was before the change that made it. The engine takes it for one
/// that had its key alone, and nothing else tells the two apart.
fn forget_new(key: &Value, answer: &mut Value) {
    let (Some(key), Some(answer)) = (key.as_object(), answer.as_object_mut()) else { return };
    let old = answer.get("Attributes").and_then(Value::as_object);
    let is_key = |old: &Map<String, Value>| {
        old.len() == key.len() && key.keys().all(|name| old.contains_key(name))
    };
    if old.is_some_and(is_key) {
        answer.remove("Attributes");
    }
}

/// Leaves out the encryption of a table with a key of DynamoDB's own, as AWS does.
fn forget_disabled(answer: &mut Value) {
    for member in ["Table", "TableDescription"] {
        let Some(table) = answer.get_mut(member).and_then(Value::as_object_mut) else { continue };
        if table.get("SSEDescription").is_some_and(|found| found["Status"] == "DISABLED") {
            table.remove("SSEDescription");
        }
    }
}

impl Tables for DynamoDb {
    fn put_item<'a>(&'a self, table: &'a str, item: Value) -> BoxFuture<'a, Result<(), Fault>> {
        let input =
            Map::from_iter([("TableName".to_owned(), json!(table)), ("Item".to_owned(), item)]);
        Box::pin(async move { self.run("PutItem", input).await.map(drop) })
    }
}

impl Service for DynamoDb {
    fn scopes(&self) -> &'static [&'static str] {
        &["dynamodb"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[
            Protocol::AwsJson { version: "1.0", target: "DynamoDB_20120810" },
            Protocol::AwsJson { version: "1.0", target: "DynamoDBStreams_20120810" },
        ]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        let mut table = Operations::of(self).named("DescribeLimits", Self::limits);
        for name in OF_TABLES.iter().chain(OF_ITEMS) {
            table = table.named_async(name, Self::call);
        }
        table.list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("CreateBackup", "copy the state folder instead"),
            ("DeleteBackup", "there are none"),
            ("DescribeBackup", "there are none"),
            ("ListBackups", "there are none"),
            ("RestoreTableFromBackup", "there are none"),
            ("RestoreTableToPointInTime", "there are no backups"),
            ("UpdateContinuousBackups", "copy the state folder instead"),
            ("DescribeContinuousBackups", "there are none"),
            ("CreateGlobalTable", "there is only one region here"),
            ("DescribeEndpoints", "there is one, which the request came to"),
            ("ExportTableToPointInTime", "scan the table instead"),
            ("ListExports", "there are none"),
            ("ImportTable", "write the items instead"),
            ("ListImports", "there are none"),
            ("PutResourcePolicy", "only the policies of identities are asked"),
            ("GetResourcePolicy", "only the policies of identities are asked"),
            ("DeleteResourcePolicy", "only the policies of identities are asked"),
        ]
    }
}

const OF_TABLES: &[&str] = &[
    "CreateTable",
    "DeleteTable",
    "DescribeStream",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetShardIterator",
    "ListStreams",
    "ListTables",
    "ListTagsOfResource",
    "TagResource",
    "UntagResource",
    "UpdateTable",
    "UpdateTimeToLive",
];

const OF_ITEMS: &[&str] = &[
    "BatchExecuteStatement",
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "ExecuteStatement",
    "ExecuteTransaction",
    "GetItem",
    "GetRecords",
    "PutItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
];
