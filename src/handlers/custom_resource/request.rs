//! What CloudFormation asks of a custom resource.
//!
//! Read in two steps. Without the four fields that an answer needs, nothing can
//! be answered and the invocation fails; everything else that is wrong with a
//! request becomes an answer.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// A request. Not `Debug`, because the URL is as good as a password.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) request_type: RequestType,
    pub(super) response_url: String,
    pub(super) stack_id: String,
    pub(super) request_id: String,
    pub(super) logical_id: String,
    pub(super) physical_id: Option<String>,
    pub(super) properties: Map<String, Value>,
    pub(super) old_properties: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestType {
    Create,
    Update,
    Delete,
}

impl RequestType {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            RequestType::Create => "Create",
            RequestType::Update => "Update",
            RequestType::Delete => "Delete",
        }
    }
}

impl Request {
    pub(super) fn new(event: &Value) -> Result<Self> {
        let optional = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let required = |name: &str| {
            let missing = || Error::Event(format!("it has no text `{name}`"));
            optional(name).filter(|text| !text.is_empty()).ok_or_else(missing)
        };
        let object = |name: &str| event.get(name).and_then(Value::as_object).cloned();
        let request_type = match required("RequestType")?.as_str() {
            "Create" => RequestType::Create,
            "Update" => RequestType::Update,
            "Delete" => RequestType::Delete,
            other => {
                let reason = "expected Create, Update or Delete";
                return Err(Error::Event(format!("`RequestType` is `{other}`: {reason}")));
            }
        };
        let physical_id = optional("PhysicalResourceId");
        if physical_id.is_none() && request_type != RequestType::Create {
            return Err(Error::Event("it has no text `PhysicalResourceId`".to_owned()));
        }
        Ok(Request {
            request_type,
            response_url: required("ResponseURL")?,
            stack_id: required("StackId")?,
            request_id: required("RequestId")?,
            logical_id: required("LogicalResourceId")?,
            physical_id,
            properties: object("ResourceProperties").unwrap_or_default(),
            old_properties: object("OldResourceProperties").unwrap_or_default(),
        })
    }
}

/// Reads the properties of a resource, without those that are CloudFormation's own.
pub(super) fn properties<P: DeserializeOwned>(
    resource: &'static str,
    map: &Map<String, Value>,
) -> Result<P> {
    let mut map = map.clone();
    map.remove("ServiceToken");
    map.remove("ServiceTimeout");
    serde_json::from_value(Value::Object(map))
        .map_err(|error| Error::Properties { resource, reason: error.to_string() })
}

/// Reads a number that may be a text: CloudFormation makes texts of all scalars.
pub(crate) fn number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<u32>, D::Error> {
    struct Number;

    impl Visitor<'_> for Number {
        type Value = Option<u32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_u64<E: serde::de::Error>(
            self,
            number: u64,
        ) -> std::result::Result<Self::Value, E> {
            let number = u32::try_from(number);
            number.map(Some).map_err(|_| E::custom("the number is too large"))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Self::Value, E> {
            let unexpected = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
            text.parse().map(Some).map_err(|_| unexpected())
        }
    }

    deserializer.deserialize_any(Number)
}
