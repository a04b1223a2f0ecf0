//! CloudFormation of the local cloud.
