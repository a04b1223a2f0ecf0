//! The Lambda functions of the stack: one program, one function for each handler.

use iotstack::Asset;
use iotstack::aws::lambda::{Architecture, Code, Function, VpcConfig};
use iotstack::aws::patterns::Provider;
use iotstack::prelude::*;

use super::Deployment;
use crate::Error;

/// Makes functions that differ in their handler only.
#[derive(Debug, Clone)]
pub struct Functions {
    program: Asset,
    architecture: Architecture,
    vpc: Option<VpcConfig>,
    log_retention: Duration,
}

impl Functions {
    /// Hashes the program once for all functions.
    pub fn new(deployment: &Deployment) -> Result<Self, Error> {
        let parameters = &deployment.parameters;
        Ok(Functions {
            program: Asset::program(&deployment.handlers.program, "bootstrap")?,
            architecture: deployment.handlers.architecture,
            vpc: parameters.vpc.as_ref().map(|vpc| VpcConfig {
                subnet_ids: vpc.subnet_ids.clone(),
                security_group_ids: vpc.security_group_ids.clone(),
            }),
            log_retention: Duration::days(parameters.log_retention_days.into()),
        })
    }

    /// The function of a handler.
    pub fn function(&self, handler: &str, description: &str) -> Function {
        Function {
            description: description.into(),
            architecture: self.architecture,
            vpc: self.vpc.clone(),
            log_retention: self.log_retention,
            ..Function::new(Code::Asset(self.program.clone()), handler)
        }
    }

    /// The function of a handler that makes custom resources. It gets time for many
    /// calls, as IoT takes only so many in a second.
    pub fn provider(&self, handler: &str, description: &str) -> Provider {
        Provider {
            function: Function {
                timeout: Duration::minutes(10),
                ..self.function(handler, description)
            },
        }
    }
}
