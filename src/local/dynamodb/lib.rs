//! DynamoDB of the local cloud.
