//! SNS, SQS and EventBridge of the local cloud.
