//! Template parameters: values given at deployment.
//!
//! Most differences between environments belong into the program, where they are typed
//! and checked; a parameter is for what only the person deploying knows.

use crate::token::{Intrinsic, NodeRef};
use crate::value::{Expr, Props, Value};

/// A template parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The type, such as `String`, `Number`, `CommaDelimitedList` or
    /// `AWS::SSM::Parameter::Value<String>`.
    pub kind: String,
    /// The value where none is given; without one, whoever deploys must give one.
    pub default: Value<String>,
    /// What it is for.
    pub description: Value<String>,
    /// The values accepted.
    pub allowed_values: Vec<String>,
    /// A regular expression that the value must match as a whole.
    pub allowed_pattern: Value<String>,
    /// What to say when the value is refused.
    pub constraint_description: Value<String>,
    /// The shortest text accepted.
    pub min_length: Value<i64>,
    /// The longest text accepted.
    pub max_length: Value<i64>,
    /// The smallest number accepted.
    pub min_value: Value<i64>,
    /// The largest number accepted.
    pub max_value: Value<i64>,
    /// Shows stars in place of the value wherever CloudFormation would show it.
    pub no_echo: bool,
}

impl Default for Parameter {
    fn default() -> Self {
        Parameter {
            kind: "String".into(),
            default: Value::Unset,
            description: Value::Unset,
            allowed_values: Vec::new(),
            allowed_pattern: Value::Unset,
            constraint_description: Value::Unset,
            min_length: Value::Unset,
            max_length: Value::Unset,
            min_value: Value::Unset,
            max_value: Value::Unset,
            no_echo: false,
        }
    }
}

impl Parameter {
    pub(crate) fn into_properties(self) -> Props {
        let mut properties = Props::new();
        properties.set("Type", self.kind);
        properties.set_value("Default", self.default);
        properties.set_value("Description", self.description);
        if !self.allowed_values.is_empty() {
            properties.set("AllowedValues", self.allowed_values);
        }
        properties.set_value("AllowedPattern", self.allowed_pattern);
        properties.set_value("ConstraintDescription", self.constraint_description);
        properties.set_value("MinLength", self.min_length);
        properties.set_value("MaxLength", self.max_length);
        properties.set_value("MinValue", self.min_value);
        properties.set_value("MaxValue", self.max_value);
        if self.no_echo {
            properties.set("NoEcho", true);
        }
        properties
    }
}

/// A parameter in the tree.
#[derive(Debug, Clone, Copy)]
pub struct ParameterRef(NodeRef);

impl ParameterRef {
    pub(crate) fn new(node: NodeRef) -> Self {
        ParameterRef(node)
    }

    /// The value given at deployment.
    pub fn reference(&self) -> Expr {
        Intrinsic::Ref(self.0).into()
    }
}

impl From<ParameterRef> for Expr {
    fn from(parameter: ParameterRef) -> Expr {
        parameter.reference()
    }
}

impl<T> From<ParameterRef> for Value<T> {
    fn from(parameter: ParameterRef) -> Self {
        Value::Token(parameter.reference())
    }
}
