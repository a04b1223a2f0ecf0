//! The engine: one database, called by the names of DynamoDB's operations.
//!
//! This is the only file that names the library.

use std::path::Path;
use std::sync::Arc;

use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use dynoxide::storage_backend::Clock as EngineClock;
use iotstack_local_kernel::store::close_to_others;
use iotstack_local_kernel::{Clock, Fault, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The tables of a cloud. Clones share them.
#[derive(Clone)]
pub(crate) struct Engine(Database);

impl Engine {
    /// Opens the tables in `folder`, or empty ones in memory.
    pub(crate) fn open(folder: Option<&Path>, clock: &Clock) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Open {
            folder: folder
                .map_or_else(|| "memory".to_owned(), |folder| folder.display().to_string()),
            reason,
        };
        let opened = match folder {
            None => Database::memory_with_clock(Arc::new(CloudClock(clock.clone()))),
            Some(folder) => {
                // Items may be secret, and whoever copies the folder copies the file as it is.
                // The engine's other files get the mode of this one.
                let file = folder.join(FILE);
                close_to_others(&file).map_err(|error| refuse(error.to_string()))?;
                Database::new(&file.to_string_lossy())
            }
        };
        opened.map(Engine).map_err(|error| refuse(error.to_string()))
    }

    /// Runs an operation. Blocks.
    pub(crate) fn run(&self, operation: &str, input: Map<String, Value>) -> Result<Value, Fault> {
        let database = &self.0;
        macro_rules! operations {
            ($($name:literal => $method:ident,)*) => {
                match operation {
                    $($name => {
                        let outcome = database.$method(read(input)?).map_err(refused)?;
                        write(&outcome)
                    })*
                    other => Err(Fault::not_implemented(format!("dynamodb:{other}"))),
                }
            };
        }
        operations! {
            "CreateTable" => create_table,
            "DeleteTable" => delete_table,
            "DescribeTable" => describe_table,
            "ListTables" => list_tables,
            "UpdateTable" => update_table,
            "PutItem" => put_item,
            "GetItem" => get_item,
            "DeleteItem" => delete_item,
            "UpdateItem" => update_item,
            "Query" => query,
            "Scan" => scan,
            "BatchGetItem" => batch_get_item,
            "BatchWriteItem" => batch_write_item,
            "TransactWriteItems" => transact_write_items,
            "TransactGetItems" => transact_get_items,
            "ListStreams" => list_streams,
            "DescribeStream" => describe_stream,
            "GetShardIterator" => get_shard_iterator,
            "GetRecords" => get_records,
            "UpdateTimeToLive" => update_time_to_live,
            "DescribeTimeToLive" => describe_time_to_live,
            "ExecuteStatement" => execute_statement,
            "ExecuteTransaction" => execute_transaction,
            "BatchExecuteStatement" => batch_execute_statement,
            "TagResource" => tag_resource,
            "UntagResource" => untag_resource,
            "ListTagsOfResource" => list_tags_of_resource,
        }
    }

    /// Removes items whose time is over. Blocks.
    pub(crate) fn sweep(&self) {
        match self.0.sweep_ttl() {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "items expired"),
            Err(error) => tracing::warn!(%error, "expired items are not removed"),
        }
    }
}

/// The cloud's clock, as the engine asks for the time.
struct CloudClock(Clock);

impl EngineClock for CloudClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.0.now().seconds()).unwrap_or(0)
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().fractional_seconds()
    }
}

/// The input as the engine's type. Its own refusals mark which error they are.
fn read<T: DeserializeOwned>(input: Map<String, Value>) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(input)).map_err(|error| {
        let message = error.to_string();
        let is_missing =
            ["missing field", "unknown variant", "invalid type: null", "AttributeValue"];
        for (mark, code) in MARKS {
            if let Some(rest) = message.strip_prefix(mark) {
                return Fault::new(*code, 400, rest);
            }
        }
        let code = if is_missing.iter().any(|part| message.contains(part)) {
            "ValidationException"
        } else {
            "SerializationException"
        };
        Fault::new(code, 400, message)
    })
}

fn write(outcome: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(outcome).map_err(|error| Fault::internal(error.to_string()))
}

/// An error of the engine, under AWS's code.
fn refused(error: DynoxideError) -> Fault {
    let kind = error.error_type();
    let code = kind.rsplit('#').next().unwrap_or(kind);
    let mut fault = Fault::new(code, error.status_code(), error.to_string());
    // The engine's own body has the members that some errors carry.
    if let Ok(Value::Object(members)) = serde_json::from_str(&error.to_json()) {
        for member in ["CancellationReasons", "Item"] {
            if let Some(value) = members.get(member) {
                fault = fault.with(member, value.clone());
            }
        }
    }
    fault
}

/// The file of the tables in the folder of the state.
const FILE: &str = "tables.sqlite";

const MARKS: &[(&str, &str)] = &[
    ("SERIALIZATION_AS_READ:", "SerializationException"),
    ("VALIDATION_AS_READ:", "ValidationException"),
    ("SERIALIZATION:", "SerializationException"),
    ("VALIDATION_REQUEST:", "ValidationException"),
    ("VALIDATION:", "ValidationException"),
];
