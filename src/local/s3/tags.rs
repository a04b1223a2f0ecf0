//! Tags of objects: ten at most, as a header or a document.
//!
//! Tags of buckets are a configuration, which [`crate::configuration`] checks.

use s3s::dto;

use crate::Error;

/// Tags from the header `x-amz-tagging`, a URL query.
pub(crate) fn tags_of_header(header: &str) -> Result<Vec<(String, String)>, Error> {
    check_tags(iotstack_local_kernel::wire::pattern::pairs(header).collect())
}

/// Tags from a document.
pub(crate) fn tags_of(tagging: dto::Tagging) -> Result<Vec<(String, String)>, Error> {
    let pair = |tag: dto::Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
    check_tags(tagging.tag_set.into_iter().map(pair).collect())
}

/// Tags on the wire.
pub(crate) fn wire_tags(tags: &[(String, String)]) -> dto::TagSet {
    let tag = |(key, value): &(String, String)| dto::Tag {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    tags.iter().map(tag).collect()
}

fn check_tags(tags: Vec<(String, String)>) -> Result<Vec<(String, String)>, Error> {
    if tags.len() > 10 {
        let reason = format!("an object takes 10 tags, not {}", tags.len());
        return Err(Error::InvalidArgument(reason));
    }
    for (index, (key, value)) in tags.iter().enumerate() {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            let reason = format!("tag `{key}` needs a key of 1 to 128 and a value of at most 256");
            return Err(Error::InvalidArgument(reason));
        }
        if tags[..index].iter().any(|(other, _)| other == key) {
            return Err(Error::InvalidArgument(format!("tag `{key}` is given twice")));
        }
    }
    Ok(tags)
}
