//! What the local cloud offers, and what it refuses by name.

use std::collections::BTreeMap;

use iotstack_local_kernel::Cloud;
use serde_json::{Map, Value, json};

/// Services with their operations, and the resource types of CloudFormation.
pub fn as_json(cloud: &Cloud) -> Value {
    let mut services: BTreeMap<&str, Value> = BTreeMap::new();
    for line in cloud.services.coverage() {
        services.insert(line.scope, service(&line.operations, &line.refused));
    }
    // S3 has a wire format of its own and stands beside the other services.
    services.insert("s3", service(iotstack_local_s3::OPERATIONS, iotstack_local_s3::REFUSED));
    json!({ "services": services, "resourceTypes": cloud.resource_types() })
}

fn service(operations: &[&str], refused: &[(&str, &str)]) -> Value {
    let refused: Map<String, Value> = refused
        .iter()
        .map(|(operation, reason)| ((*operation).to_owned(), json!(reason)))
        .collect();
    json!({ "operations": operations, "refused": refused })
}
