//! AWS resources as constructs, one folder per service.
//!
//! Each service offers its CloudFormation types in their raw form (L1, `Cfn…`): every
//! property has a typed setter, every attribute a constant, and what the schemas do
//! not know yet can be set by name. On top of them stand constructs with defaults
//! and intents (L2), written by hand.
//!
//! ```
//! use iotstack_aws::iot::{CfnThing, CfnThingAttributePayload};
//! use iotstack_core::{App, Stack};
//!
//! let app = App::new();
//! let stack = app.add("garden", Stack::default());
//! let attributes = CfnThingAttributePayload::new().attributes([("bed", "tomatoes")]);
//! let pump = CfnThing::new().thing_name("pump-1").attribute_payload(attributes);
//! let pump = stack.resource("Pump", pump);
//! stack.output("PumpArn", pump.attribute(CfnThing::ARN));
//! ```
//!
//! Nothing here reaches the network, reads credentials or looks anything up: a
//! construct only describes.

pub mod apigatewayv2;
pub mod cloudformation;
pub mod cloudtrail;
pub mod cloudwatch;
pub mod cognito;
pub mod config;
pub mod dynamodb;
pub mod ec2;
mod empty;
pub mod events;
pub mod greengrassv2;
pub mod iam;
pub mod iot;
pub mod iotanalytics;
pub mod iotsecuretunneling;
pub mod kinesis;
pub mod kinesisfirehose;
pub mod kms;
pub mod lambda;
pub mod logs;
pub mod patterns;
pub mod s3;
pub mod scheduler;
pub mod secretsmanager;
pub mod signer;
pub mod sns;
pub mod sqs;
pub mod ssm;
pub mod stepfunctions;
pub mod timestream;
