//! Tags: ten at most of an object, as a header or a document; fifty of a bucket, whose
//! tags are a configuration.

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

/// Refuses tags that nobody may give a bucket.
pub(crate) fn check_bucket_tags(tagging: &dto::Tagging) -> Result<(), Error> {
    let key = |tag: &dto::Tag| tag.key.clone().unwrap_or_default();
    let keys: Vec<String> = tagging.tag_set.iter().map(key).collect();
    if keys.iter().any(|key| key.starts_with("aws:")) {
        return refuse("System tags cannot be added/updated by requester");
    }
    if keys.len() > 50 {
        return Err(Error::InvalidRequest(format!("a bucket takes 50 tags, not {}", keys.len())));
    }
    for (index, tag) in tagging.tag_set.iter().enumerate() {
        check_tag(&keys[index], tag.value.as_deref().unwrap_or_default())?;
        if keys[..index].contains(&keys[index]) {
            return refuse("Cannot provide multiple Tags with the same key");
        }
    }
    Ok(())
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
        return Err(Error::TooManyTags);
    }
    for (index, (key, value)) in tags.iter().enumerate() {
        if key.starts_with("aws:") {
            return refuse("Your TagKey cannot be prefixed with aws:");
        }
        check_tag(key, value)?;
        if tags[..index].iter().any(|(other, _)| other == key) {
            return refuse("Cannot provide multiple Tags with the same key");
        }
    }
    Ok(tags)
}

fn check_tag(key: &str, value: &str) -> Result<(), Error> {
    if key.is_empty() || key.chars().count() > 128 {
        return refuse("The TagKey you have provided is invalid");
    }
    if value.chars().count() > 256 {
        return refuse("The TagValue you have provided is invalid");
    }
    Ok(())
}

fn refuse<T>(reason: &str) -> Result<T, Error> {
    Err(Error::InvalidTag(reason.to_owned()))
}
