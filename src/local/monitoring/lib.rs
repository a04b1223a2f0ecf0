//! CloudWatch and CloudWatch Logs of the local cloud.
