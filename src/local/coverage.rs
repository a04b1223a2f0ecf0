//! What the local cloud offers, and what it refuses by name.

use std::collections::BTreeMap;

use iotstack_local_kernel::Cloud;
use serde_json::{Map, Value, json};

/// Services with their operations, and the resource types of CloudFormation.
pub fn as_json(cloud: &Cloud) -> Value {
    let mut services: BTreeMap<&str, Value> = BTreeMap::new();
    for line in cloud.services.coverage() {
        let refused: Map<String, Value> = line
            .refused
            .iter()
            .map(|(operation, reason)| ((*operation).to_owned(), json!(reason)))
            .collect();
        services.insert(line.scope, json!({ "operations": line.operations, "refused": refused }));
    }
    // S3 has a wire format of its own and stands beside the other services.
    let objects = iotstack_local_s3::OPERATIONS;
    services.insert("s3", json!({ "operations": objects, "refused": {} }));
    json!({ "services": services, "resourceTypes": cloud.resource_types() })
}
