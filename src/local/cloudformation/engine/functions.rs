//! What the simple functions compute, on values that are resolved already.
//!
//! A value that is not known yet ([`LATER`]) makes results that are not known yet,
//! so that a change set can be computed before anything exists. Everything else that
//! does not fit is refused in words. No text grows beyond [`LONGEST`]: functions in
//! functions could double it at each level until no memory is left.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use serde_json::{Value, json};

use super::evaluate::LATER;

/// How many bytes a text has at most that a function gives; as many as a template.
pub const LONGEST: usize = 1 << 20;

/// Adds to the text that a function gives.
pub fn append(function: &str, out: &mut String, text: &str) -> Result<(), String> {
    if out.len() + text.len() > LONGEST {
        return Err(format!("{function} makes a text of more than {LONGEST} bytes"));
    }
    out.push_str(text);
    Ok(())
}

/// The text that CloudFormation makes of a scalar; nothing for a list or an object.
pub fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(value) => Some(Cow::Owned(value.to_string())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// `Fn::Join`
pub fn join(between: &str, items: &Value) -> Result<Value, String> {
    let items = match items {
        Value::Array(items) => items,
        // A list that is not known yet makes a text that is not known yet.
        Value::String(text) if text == LATER => return Ok(items.clone()),
        _ => return Err("Fn::Join needs a list".to_owned()),
    };
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            append("Fn::Join", &mut out, between)?;
        }
        append("Fn::Join", &mut out, &scalar(item).ok_or("Fn::Join can join texts only")?)?;
    }
    Ok(Value::String(out))
}

/// `Fn::Split`
pub fn split(between: &str, text: &str) -> Result<Value, String> {
    if between.is_empty() {
        return Err("Fn::Split cannot split at an empty text".to_owned());
    }
    if text == LATER {
        return Ok(json!(LATER));
    }
    Ok(text.split(between).collect())
}

/// `Fn::Select`
pub fn select(index: &str, items: Value) -> Result<Value, String> {
    let mut items = match items {
        Value::Array(items) => items,
        Value::String(text) if text == LATER => return Ok(Value::String(text)),
        _ => return Err("Fn::Select needs a list".to_owned()),
    };
    let place: usize =
        index.parse().map_err(|_| format!("Fn::Select needs an index, not `{index}`"))?;
    if place >= items.len() {
        if items.iter().any(|item| scalar(item).is_some_and(|text| text.contains(LATER))) {
            return Ok(json!(LATER));
        }
        return Err(format!("Fn::Select cannot select nonexistent value at index {place}"));
    }
    Ok(items.swap_remove(place))
}

/// `Fn::Base64`
pub fn base64(text: &str) -> Value {
    Value::String(base64::engine::general_purpose::STANDARD.encode(text))
}

/// `Fn::Cidr`: the first `count` blocks of a network, each with `bits` bits for its hosts.
pub fn cidr(parts: &[Value]) -> Result<Value, String> {
    let texts: Vec<Cow<'_, str>> = parts.iter().filter_map(scalar).collect();
    let (block, count, bits) = match texts.as_slice() {
        [block, count] => (block, count, None),
        [block, count, bits] => (block, count, Some(bits)),
        _ => return Err("Fn::Cidr needs a block, a count and bits".to_owned()),
    };
    if block.contains(LATER) {
        return Ok(json!(LATER));
    }
    let wrong = |what: &str, value: &str| format!("Fn::Cidr: `{value}` is no {what}");
    let count: u32 = count
        .parse()
        .ok()
        .filter(|count| (1..=256).contains(count))
        .ok_or_else(|| wrong("count from 1 to 256", count))?;
    let (address, length) =
        block.split_once('/').ok_or_else(|| wrong("network such as 10.0.0.0/16", block))?;
    let length: u32 = length.parse().map_err(|_| wrong("length of a network", length))?;
    let (base, width) = if let Ok(address) = address.parse::<Ipv4Addr>() {
        (u128::from(u32::from(address)), 32)
    } else if let Ok(address) = address.parse::<Ipv6Addr>() {
        (u128::from(address), 128)
    } else {
        return Err(wrong("address", address));
    };
    let bits: u32 = match bits {
        Some(bits) => bits.parse().map_err(|_| wrong("number of bits", bits))?,
        None if width == 32 => 8,
        None => 64,
    };
    if length > width || bits >= width || width - bits < length {
        return Err(format!("Fn::Cidr: {block} has no blocks with {bits} bits"));
    }
    let available = (width - bits - length).min(31);
    if u64::from(count) > 1_u64 << available {
        return Err(format!("Fn::Cidr: {block} has no {count} blocks with {bits} bits"));
    }
    // Of the address only the network counts, as in 10.0.3.4/16.
    let free = width - length;
    let base = if free >= 128 { 0 } else { base >> free << free };
    let blocks = (0..u128::from(count)).map(|number| {
        let start = base + (number << bits);
        let length = width - bits;
        match u32::try_from(start) {
            Ok(start) if width == 32 => format!("{}/{length}", Ipv4Addr::from(start)),
            _ => format!("{}/{length}", Ipv6Addr::from(start)),
        }
    });
    Ok(blocks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_networks_into_blocks() {
        let blocks = |parts: Value| cidr(parts.as_array().unwrap());
        assert_eq!(
            blocks(json!(["192.168.0.0/24", 6, 5])).unwrap(),
            json!([
                "192.168.0.0/27",
                "192.168.0.32/27",
                "192.168.0.64/27",
                "192.168.0.96/27",
                "192.168.0.128/27",
                "192.168.0.160/27"
            ])
        );
        assert_eq!(blocks(json!(["10.0.3.4/16", "1"])).unwrap(), json!(["10.0.0.0/24"]));
        assert_eq!(
            blocks(json!(["2001:db8::/56", 2, 64])).unwrap(),
            json!(["2001:db8::/64", "2001:db8:0:1::/64"])
        );
        assert!(blocks(json!(["10.0.0.0/24", 2, 8])).is_err());
        assert!(blocks(json!(["10.0.0.0", 2, 8])).is_err());
        assert!(blocks(json!(["::/0", 256, 127])).is_err());
        assert!(blocks(json!(["::/0", 256, 64])).is_ok());
    }

    #[test]
    fn a_list_that_is_not_known_yet_gives_values_that_are_not_known_yet() {
        assert_eq!(select("1", json!(LATER)).unwrap(), json!(LATER));
        assert_eq!(split("/", LATER).unwrap(), json!(LATER));
        assert!(select("1", json!(["a"])).unwrap_err().contains("index 1"));
    }
}
