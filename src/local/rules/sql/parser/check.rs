//! What a statement may say beyond its grammar: filters, arguments, counts.
//!
//! A mistake that only shows with constants (a scheme, a property) is found here, when
//! the rule is made; with values of a message it gives `Undefined` later.

use iotstack_mqtt::topic::filter_syntax;

use super::super::Statement;
use super::super::ast::Expr;
use super::super::functions::Function;
use super::super::value::Value;

/// Whether a topic filter can stand after FROM.
pub fn filter(filter: &str) -> Result<(), String> {
    if filter.len() > 256 {
        return Err("a topic filter has at most 256 bytes".to_owned());
    }
    filter_syntax(filter)
        .map_err(|problem| format!("topic filter `{filter}` is not valid: {problem}"))
}

/// What functions say about their arguments beyond how many there are.
pub fn arguments(function: &Function, arguments: &[Expr]) -> Result<(), String> {
    let text = |place: usize| match arguments.get(place) {
        Some(Expr::Literal(Value::String(text))) => Some(text.as_str()),
        _ => None,
    };
    let one_of = |place: usize, accepted: &[&str]| match text(place) {
        Some(text) if !accepted.contains(&text) => Err(format!(
            "argument {} of `{}` is `{text}`; accepted are {}",
            place + 1,
            function.name,
            accepted.join(", ")
        )),
        _ => Ok(()),
    };
    match function.name {
        "encode" => one_of(1, &["base64"]),
        "decode" if text(1) == Some("proto") => {
            Err("decoding of `proto` is not offered here; `base64` is".to_owned())
        }
        "decode" => one_of(1, &["base64"]),
        "transform" => one_of(0, &["enrichArray"]),
        "get_mqtt_property" => {
            one_of(0, &["content_type", "format_indicator", "response_topic", "correlation_data"])
        }
        "get_registry_data" => one_of(0, &["DescribeThing", "ListThingGroupsForThing"]),
        "get_dynamodb" if arguments.len() == 5 => {
            Err("`get_dynamodb` takes a sort key with its value".to_owned())
        }
        "get_or_default" => {
            let mut external = None;
            if let Some(default) = arguments.get(1) {
                default.functions(&mut |called| {
                    if called.is_external() {
                        external = Some(called.name);
                    }
                });
            }
            external.map_or(Ok(()), |name| {
                Err(format!("the default of `get_or_default` must not call `{name}`"))
            })
        }
        _ => Ok(()),
    }
}

/// Whether the functions that may be called once are.
pub fn once_per_statement(statement: &Statement) -> Result<(), String> {
    for name in ["get_registry_data", "get_dynamodb"] {
        let mut count = 0;
        statement.functions(&mut |function| count += usize::from(function.name == name));
        if count > 1 {
            return Err(format!("`{name}` can be called once in a statement, not {count} times"));
        }
    }
    Ok(())
}
