//! SSM parameters.

use iotstack_core::{Arn, Construct, Expr, Name, Pseudo, Scope, Value, text};

use super::CfnParameter;

/// A text in the Parameter Store. Not for secrets: CloudFormation cannot make
/// `SecureString` parameters.
#[derive(Debug, Clone)]
pub struct StringParameter {
    /// The name, such as `/firmware/dev/certificate`.
    pub parameter_name: String,
    /// The text, at most 4 KB.
    pub value: Value<String>,
    /// What it is.
    pub description: Value<String>,
}

impl Construct for StringParameter {
    type Ref = StringParameterRef;

    fn build(self, scope: &Scope) -> StringParameterRef {
        let arn = text!(
            "arn:{}:ssm:{}:{}:parameter{}",
            Pseudo::Partition,
            Pseudo::Region,
            Pseudo::AccountId,
            self.parameter_name.clone()
        );
        let parameter = CfnParameter::new(Expr::from("String"), self.value)
            .name(self.parameter_name)
            .description(self.description);
        let parameter = scope.resource("Resource", parameter);
        StringParameterRef { name: parameter.reference(), arn }
    }
}

/// What a [`StringParameter`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct StringParameterRef {
    name: Expr,
    arn: Expr,
}

impl StringParameterRef {
    /// The name.
    pub fn name(&self) -> Name<StringParameter> {
        Name::from_expr(self.name.clone())
    }

    /// The ARN.
    pub fn arn(&self) -> Arn<StringParameter> {
        Arn::from_expr(self.arn.clone())
    }
}
