//! IAM, STS, KMS, ACM, Secrets Manager, SSM and Signer of the local cloud.
