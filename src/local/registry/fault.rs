//! The errors of the IoT control plane, with AWS's names and statuses.
//!
//! Two of the statuses surprise: throttling is 400 and a limit is 410. An input
//! of the wrong shape is [`Fault::invalid_input`], which the wire calls
//! `InvalidRequestException`.

use iotstack_local_kernel::Fault;

/// Something that a request names does not exist.
pub fn not_found(what: &str, name: &str) -> Fault {
    Fault::new("ResourceNotFoundException", 404, format!("{what} `{name}` does not exist"))
}

/// A request that breaks a rule.
pub fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidRequestException", 400, message)
}

/// The name is taken by something with another configuration.
pub fn exists(what: &str, name: &str, id: &str, arn: &str) -> Fault {
    Fault::new(
        "ResourceAlreadyExistsException",
        409,
        format!("{what} `{name}` exists with another configuration"),
    )
    .with("resourceId", id)
    .with("resourceArn", arn)
}

/// `expectedVersion` is not the version.
pub fn version_conflict(what: &str, name: &str, expected: i64, actual: i64) -> Fault {
    Fault::new(
        "VersionConflictException",
        409,
        format!("{what} `{name}` has version {actual}, not the expected {expected}"),
    )
}

/// Something else still uses it.
pub fn delete_conflict(message: impl Into<String>) -> Fault {
    Fault::new("DeleteConflictException", 409, message)
}

/// A quota is reached.
pub fn limit(message: impl Into<String>) -> Fault {
    Fault::new("LimitExceededException", 410, message)
}

/// Five versions of a policy or a template exist.
pub fn versions_limit(what: &str, name: &str) -> Fault {
    Fault::new(
        "VersionsLimitExceededException",
        409,
        format!("{what} `{name}` has five versions, the most that are kept; delete one first"),
    )
}

/// A policy document cannot be used.
pub fn malformed_policy(message: impl Into<String>) -> Fault {
    Fault::new("MalformedPolicyException", 400, message)
}

/// The certificate is in the wrong state.
pub fn certificate_state(message: impl Into<String>) -> Fault {
    Fault::new("CertificateStateException", 406, message)
}

/// The certificate does not hold what it must.
pub fn certificate_validation(message: impl Into<String>) -> Fault {
    Fault::new("CertificateValidationException", 400, message)
}

/// A query cannot be read.
pub fn invalid_query(message: impl Into<String>) -> Fault {
    Fault::new("InvalidQueryException", 400, message)
}

/// An aggregation does not fit its field.
pub fn invalid_aggregation(message: impl Into<String>) -> Fault {
    Fault::new("InvalidAggregationException", 400, message)
}

/// Indexing is off.
pub fn index_not_ready(index: &str) -> Fault {
    Fault::new(
        "IndexNotReadyException",
        400,
        format!(
            "index `{index}` is not active; switch indexing on with UpdateIndexingConfiguration"
        ),
    )
}

/// Registration of a thing by a template failed.
pub fn registration_failure(message: impl Into<String>) -> Fault {
    Fault::new("ResourceRegistrationFailureException", 400, message)
}

/// A template's override setting refuses to touch what exists.
pub fn conflicting_update(message: impl Into<String>) -> Fault {
    Fault::new("ConflictingResourceUpdateException", 409, message)
}
