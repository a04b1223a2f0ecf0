//! Custom resources: what CloudFormation cannot do, done by a function.
//!
//! A [`Provider`] is the function; each [`CustomResource`] is one thing it makes. The
//! function must answer CloudFormation in every case: a resource whose function stays
//! silent blocks its stack until the time limit of the resource.

use iotstack_core::{
    Construct, Duration, Expr, Handle, Name, Props, Scope, Text, Untyped, default,
};

use crate::lambda::{Function, FunctionRef};

/// A function that makes custom resources.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The function.
    pub function: Function,
}

impl Construct for Provider {
    type Ref = ProviderRef;

    fn build(self, scope: &Scope) -> ProviderRef {
        let timeout = self.function.timeout;
        let function = self.function.build(scope);
        ProviderRef { function, scope: scope.clone(), timeout }
    }
}

/// What a [`Provider`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct ProviderRef {
    function: FunctionRef,
    scope: Scope,
    timeout: Duration,
}

impl ProviderRef {
    /// The function, to give it permissions.
    pub fn function(&self) -> &FunctionRef {
        &self.function
    }

    /// The name of the function.
    pub fn name(&self) -> Name<Function> {
        self.function.name()
    }
}

/// One thing that a provider makes.
#[derive(Debug, Clone)]
pub struct CustomResource {
    /// The resource's type, which begins with `Custom::`.
    pub kind: &'static str,
    /// What makes it.
    pub provider: ProviderRef,
    /// What the function is told. Numbers and booleans arrive as text.
    pub properties: Props,
}

impl Construct for CustomResource {
    type Ref = CustomResourceRef;

    fn build(self, scope: &Scope) -> CustomResourceRef {
        let mut properties: Props = default();
        properties.set("ServiceToken", self.provider.function.arn());
        // Waits a little longer than the function may run, not the default hour.
        let patience = self.provider.timeout.as_seconds() + 60;
        properties.set("ServiceTimeout", patience.to_string());
        for (name, value) in self.properties.into_pairs() {
            properties.set(name, value);
        }
        let resource = scope.untyped("Resource", self.kind, properties);
        // The function's permissions must outlive the resource, which is deleted by it.
        resource.depends_on(&self.provider.scope);
        CustomResourceRef { resource }
    }
}

/// What a [`CustomResource`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct CustomResourceRef {
    resource: Handle<Untyped>,
}

impl CustomResourceRef {
    /// One of the values that the function answered.
    pub fn value(&self, name: impl Into<Text>) -> Expr {
        self.resource.attribute_named(name)
    }

    /// The physical id that the function answered.
    pub fn physical_id(&self) -> Expr {
        self.resource.reference()
    }

    /// The resource, for dependencies and policies.
    pub fn resource(&self) -> &Handle<Untyped> {
        &self.resource
    }
}
