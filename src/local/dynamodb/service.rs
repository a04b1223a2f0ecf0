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
        self.arns.inward(&mut input);
        let engine = self.engine.clone();
        let outcome = tokio::task::spawn_blocking(move || engine.run(operation, input)).await;
        let outcome = outcome.unwrap_or_else(|error| Err(Fault::internal(error.to_string())));
        match outcome {
            Ok(mut answer) => {
                // Items are left as they are: what looks like an ARN there is the user's.
                if !OF_ITEMS.contains(&operation) {
                    self.arns.outward(&mut answer);
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
            ("UpdateContinuousBackups", "copy the state folder instead"),
            ("DescribeContinuousBackups", "there are none"),
            ("CreateGlobalTable", "there is only one region here"),
            ("ExportTableToPointInTime", "scan the table instead"),
            ("ImportTable", "write the items instead"),
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
