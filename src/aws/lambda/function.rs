//! Functions.

use iotstack_core::{
    Arn, Asset, AssetLocation, Construct, Duration, Expr, Handle, Name, Scope, Size, Value, object,
};

use super::{CfnFunction, CfnPermission};
use crate::iam::{Grant, Grantee, Role, RoleRef, Service, Statement};
use crate::logs::{LogGroup, LogGroupRef};

/// A function with a role, a log group and nothing that it does not need.
#[derive(Debug, Clone)]
pub struct Function {
    /// The name; CloudFormation makes one where none is given.
    pub function_name: Value<String>,
    /// What it does.
    pub description: Value<String>,
    /// Its program.
    pub code: Code,
    /// What runs the program.
    pub runtime: Runtime,
    /// The entry point. A custom runtime gets it as `_HANDLER`.
    pub handler: String,
    /// The processor it was built for.
    pub architecture: Architecture,
    /// Memory, from 128 to 10,240 MB; the share of a processor grows with it.
    pub memory: Size,
    /// How long one invocation may take, up to 15 minutes.
    pub timeout: Duration,
    /// Environment variables; never secrets, which belong into Secrets Manager.
    pub environment: Vec<(&'static str, Value<String>)>,
    /// How many invocations may run at once, taken out of the account's pool.
    pub reserved_concurrency: Option<u32>,
    /// Puts the function into a VPC.
    pub vpc: Option<VpcConfig>,
    /// How long its logs are kept.
    pub log_retention: Duration,
}

/// Subnets and security groups of a function in a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VpcConfig {
    /// Ids of private subnets with a way to the AWS endpoints (NAT or VPC endpoints).
    pub subnet_ids: Vec<String>,
    /// Ids of security groups.
    pub security_group_ids: Vec<String>,
}

/// A function's program.
#[derive(Debug, Clone)]
pub enum Code {
    /// A folder or program that is published with the stack.
    Asset(Asset),
    /// Source text in the template, up to 4 MB, for Python and Node.
    Inline(String),
}

impl Code {
    /// The contents of a folder.
    pub fn folder(
        path: impl AsRef<std::path::Path>,
    ) -> Result<Self, iotstack_core::assembly::Error> {
        Asset::folder(path).map(Code::Asset)
    }

    /// One executable for a custom runtime.
    pub fn program(
        path: impl AsRef<std::path::Path>,
    ) -> Result<Self, iotstack_core::assembly::Error> {
        Asset::program(path, "bootstrap").map(Code::Asset)
    }
}

/// What runs a function's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runtime {
    /// Node.js 22.
    Nodejs22,
    /// Amazon Linux 2023 with a program of its own: Rust, Go, C.
    #[default]
    ProvidedAl2023,
    /// Python 3.13.
    Python3_13,
}

impl Runtime {
    fn name(self) -> &'static str {
        match self {
            Runtime::Nodejs22 => "nodejs22.x",
            Runtime::ProvidedAl2023 => "provided.al2023",
            Runtime::Python3_13 => "python3.13",
        }
    }
}

/// The processor a program was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Architecture {
    /// Graviton.
    Arm64,
    /// Intel and AMD.
    #[default]
    X86_64,
}

impl Architecture {
    fn name(self) -> &'static str {
        match self {
            Architecture::Arm64 => "arm64",
            Architecture::X86_64 => "x86_64",
        }
    }
}

impl Function {
    /// A function of this program with 128 MB, 30 seconds and logs for 30 days.
    pub fn new(code: Code, handler: impl Into<String>) -> Self {
        Function {
            function_name: Value::Unset,
            description: Value::Unset,
            code,
            runtime: Runtime::default(),
            handler: handler.into(),
            architecture: Architecture::default(),
            memory: Size::mebibytes(128),
            timeout: Duration::seconds(30),
            environment: Vec::new(),
            reserved_concurrency: None,
            vpc: None,
            log_retention: Duration::days(30),
        }
    }
}

impl Construct for Function {
    type Ref = FunctionRef;

    fn build(self, scope: &Scope) -> FunctionRef {
        let mut role = Role::new(Service::LAMBDA);
        if self.vpc.is_some() {
            role.managed_policies.push("service-role/AWSLambdaVPCAccessExecutionRole".into());
        }
        let role = scope.add("ServiceRole", role);
        let logs =
            scope.add("Logs", LogGroup { retention: self.log_retention, ..LogGroup::default() });
        let _ = logs.grant_write(&role);

        let mut function = CfnFunction::new(code(self.code, scope), role.arn())
            .function_name(self.function_name)
            .description(self.description)
            .runtime(Expr::from(self.runtime.name()))
            .handler(self.handler)
            .architectures(Expr::list([self.architecture.name()]))
            .memory_size(self.memory.as_mebibytes() as i64)
            .timeout(self.timeout.as_seconds() as i64)
            .logging_config(object! { "LogGroup": logs.name() });
        if !self.environment.is_empty() {
            let variables =
                self.environment.into_iter().map(|(name, value)| (name, Expr::from(value)));
            function = function.environment(object! { "Variables": Expr::object(variables) });
        }
        if let Some(count) = self.reserved_concurrency {
            function = function.reserved_concurrent_executions(count);
        }
        if let Some(vpc) = self.vpc {
            function = function.vpc_config(object! {
                "SubnetIds": vpc.subnet_ids,
                "SecurityGroupIds": vpc.security_group_ids,
            });
        }
        let function = scope.resource("Resource", function);
        // The function may be called as soon as it is there, so its permissions come first.
        function.depends_on(role.scope());
        FunctionRef { function, role, logs }
    }
}

fn code(code: Code, scope: &Scope) -> Expr {
    match code {
        Code::Inline(text) => object! { "ZipFile": text },
        Code::Asset(asset) => {
            let AssetLocation { bucket, key } = scope.asset(asset);
            object! { "S3Bucket": bucket, "S3Key": key }
        }
    }
}

/// What a [`Function`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct FunctionRef {
    function: Handle<CfnFunction>,
    role: RoleRef,
    logs: LogGroupRef,
}

impl FunctionRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Function> {
        Arn::from_expr(self.function.attribute(CfnFunction::ARN))
    }

    /// The name.
    pub fn name(&self) -> Name<Function> {
        Name::from_expr(self.function.reference())
    }

    /// The role that the function acts as.
    pub fn role(&self) -> &RoleRef {
        &self.role
    }

    /// Where the function logs to.
    pub fn logs(&self) -> &LogGroupRef {
        &self.logs
    }

    /// The function's resource, for whatever has no field.
    pub fn cfn(&self) -> &Handle<CfnFunction> {
        &self.function
    }

    /// Adds an environment variable.
    pub fn add_environment(&self, name: &'static str, value: impl Into<Expr>) {
        let value = value.into();
        self.function.edit(|function| {
            let properties = function.properties_mut();
            if properties.get("Environment").is_none() {
                properties.set("Environment", object! { "Variables": object! {} });
            }
            if let Some(Expr::Object(environment)) = properties.get_mut("Environment")
                && let Some((_, Expr::Object(variables))) = environment.first_mut()
            {
                variables.push((name.into(), value));
            }
        });
    }

    /// Lets `to` call the function.
    pub fn grant_invoke(&self, to: &impl Grantee) -> Grant {
        to.allow(Statement::allow(["lambda:InvokeFunction"], [Expr::from(self.arn())]))
    }

    /// Lets an AWS service call the function on behalf of one resource of this account.
    /// The permission stands in `scope`, beside whatever makes the calls.
    pub fn allow_service(
        &self,
        scope: &Scope,
        id: impl Into<iotstack_core::Text>,
        service: Service,
        source_arn: impl Into<Expr>,
    ) -> Handle<CfnPermission> {
        let permission =
            CfnPermission::new("lambda:InvokeFunction", Expr::from(self.arn()), service.0)
                .source_account(iotstack_core::Pseudo::AccountId)
                .source_arn(source_arn.into());
        scope.resource(id, permission)
    }
}

impl Grantee for FunctionRef {
    fn allow(&self, statement: Statement) -> Grant {
        self.role.allow(statement)
    }
}
