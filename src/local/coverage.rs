//! What the local cloud offers, and what it refuses by name.

use iotstack_local_kernel::Cloud;
use serde_json::{Map, Value, json};

/// Services with their operations, and the resource types of CloudFormation.
pub fn as_json(cloud: &Cloud) -> Value {
    let mut services = Map::new();
    for line in cloud.services.coverage() {
        let refused: Map<String, Value> = line
            .refused
            .iter()
            .map(|(operation, reason)| ((*operation).to_owned(), json!(reason)))
            .collect();
        services.insert(
            line.scope.to_owned(),
            json!({ "operations": line.operations, "refused": refused }),
        );
    }
    json!({ "services": services, "resourceTypes": cloud.resource_types() })
}
