//! Tags of resources that share an operation on tags but live in several services.
//!
//! AWS IoT has one `TagResource` for things of many kinds: groups, jobs, rules, streams.
//! The registry answers it; whoever keeps resources of another kind says so here, and is
//! asked for their tags. The ARN says which kind it is. What tags may be is the same for
//! all of them and is judged here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{BoxFuture, Fault};

/// The tags of one resource.
pub type Tags = BTreeMap<String, String>;

/// What is done to tags; a refusal leaves them as they are.
pub type ChangeTags = Box<dyn FnOnce(&mut Tags) -> Result<(), Fault> + Send>;

/// Keeps resources that can have tags.
pub trait Tagged: Send + Sync {
    /// The kinds of its resources, as they stand in ARNs, such as `rule`.
    fn kinds(&self) -> &'static [&'static str];

    /// The tags of a resource; nothing if there is no such resource.
    fn tags(&self, kind: &str, name: &str) -> Option<Tags>;

    /// Changes the tags of a resource, and waits until that is stored.
    ///
    /// # Errors
    /// What `change` refuses; a fault if there is no such resource.
    fn change_tags<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        change: ChangeTags,
    ) -> BoxFuture<'a, Result<(), Fault>>;
}

/// How many tags a resource may have.
pub const MOST: usize = 50;

/// The tags that a resource is given by the member `tags` of an input: a list of objects
/// with `Key` and `Value`.
///
/// # Errors
/// [`Fault::invalid_input`] for another shape, and what [`check`] refuses.
pub fn read(members: &Map<String, Value>) -> Result<Tags, Fault> {
    let items = match members.get("tags") {
        None | Some(Value::Null) => return Ok(Tags::new()),
        Some(Value::Array(items)) => items,
        Some(other) => {
            return Err(Fault::invalid_input(format!("tags must be a list, not {other}")));
        }
    };
    let mut tags = Tags::new();
    for item in items {
        let value = match &item["Value"] {
            Value::Null => Some(""),
            other => other.as_str(),
        };
        let (Some(key), Some(value)) = (item["Key"].as_str(), value) else {
            return Err(Fault::invalid_input(format!(
                "tags has {item}: expected objects with the texts Key and Value"
            )));
        };
        tags.insert(key.to_owned(), value.to_owned());
    }
    check(&tags)?;
    Ok(tags)
}

/// Judges the tags that a resource is given.
///
/// # Errors
/// [`Fault::invalid_input`] for keys and values that are none, `LimitExceededException`
/// for more than [`MOST`].
pub fn check(tags: &Tags) -> Result<(), Fault> {
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(Fault::invalid_input(format!(
                "tag `{key}` must have a Key of 1 to 128 characters and a Value of at most 256"
            )));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Fault::invalid_input(format!(
                "tag `{key}` begins with `aws:`, which is reserved"
            )));
        }
    }
    if tags.len() > MOST {
        let message = format!("{} tags; {MOST} are the most", tags.len());
        return Err(Fault::new("LimitExceededException", 410, message));
    }
    Ok(())
}

/// Tags as a list of pairs on disk, as the first version of some services wrote them.
pub mod pairs {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Tags;

    /// Writes them.
    ///
    /// # Errors
    /// What the serializer refuses.
    pub fn serialize<S: Serializer>(tags: &Tags, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(tags)
    }

    /// Reads them.
    ///
    /// # Errors
    /// What is no list of pairs.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
        Ok(Vec::<(String, String)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_aws_takes_for_tags_is_read() {
        let read = |tags: Value| {
            let input = json!({ "tags": tags });
            super::read(input.as_object().unwrap()).map_err(|fault| fault.status)
        };
        let one = read(json!([{"Key": "team", "Value": "pumps"}])).unwrap();
        assert_eq!(one, Tags::from([("team".to_owned(), "pumps".to_owned())]));
        assert_eq!(read(Value::Null).unwrap(), Tags::new());
        for wrong in [
            json!({"team": "pumps"}),
            json!([{"Value": "no key"}]),
            json!([{"Key": "AWS:x", "Value": ""}]),
            json!([{"Key": "k".repeat(129), "Value": ""}]),
            json!([{"Key": "k", "Value": "v".repeat(257)}]),
        ] {
            assert_eq!(read(wrong.clone()), Err(400), "{wrong}");
        }
        let many = |count: usize| (0..count).map(|n| json!({"Key": format!("k{n}")})).collect();
        assert_eq!(read(many(MOST)).unwrap().len(), MOST);
        assert_eq!(read(many(MOST + 1)), Err(410));
    }
}
