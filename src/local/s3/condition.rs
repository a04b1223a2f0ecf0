//! Conditions of requests: entity tags and dates.
//!
//! A read whose condition says "I have it already" is answered with 304, all
//! other conditions that do not hold with 412. An entity tag decides before a
//! date, as HTTP has it.

use s3s::dto::{ETag, ETagCondition, Timestamp};

use crate::Error;
use crate::object::wire_time;
use crate::record::Version;

/// Under which a version is read.
#[derive(Debug, Default)]
pub(crate) struct ReadCondition {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

/// What a condition says about a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Read,
    NotModified,
}

/// Under which a version is written.
#[derive(Debug, Default)]
pub(crate) struct WriteCondition {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl ReadCondition {
    pub(crate) fn judge(&self, version: &Version) -> Result<Verdict, Error> {
        let etag = etag_of(version);
        let modified = wire_time(version.modified);
        if let Some(condition) = &self.if_match {
            if !holds(condition, etag) {
                return Err(Error::PreconditionFailed("If-Match"));
            }
        } else if self.if_unmodified_since.as_ref().is_some_and(|since| modified > *since) {
            return Err(Error::PreconditionFailed("If-Unmodified-Since"));
        }
        if let Some(condition) = &self.if_none_match {
            if holds(condition, etag) {
                return Ok(Verdict::NotModified);
            }
        } else if self.if_modified_since.as_ref().is_some_and(|since| modified <= *since) {
            return Ok(Verdict::NotModified);
        }
        Ok(Verdict::Read)
    }

    /// For the source of a copy, which knows no 304.
    pub(crate) fn demand(&self, version: &Version) -> Result<(), Error> {
        // The headers have names of their own there.
        let header = match self.judge(version) {
            Ok(Verdict::Read) => return Ok(()),
            Ok(Verdict::NotModified) if self.if_none_match.is_some() => {
                "x-amz-copy-source-If-None-Match"
            }
            Ok(Verdict::NotModified) => "x-amz-copy-source-If-Modified-Since",
            Err(Error::PreconditionFailed("If-Match")) => "x-amz-copy-source-If-Match",
            Err(Error::PreconditionFailed(_)) => "x-amz-copy-source-If-Unmodified-Since",
            Err(other) => return Err(other),
        };
        Err(Error::PreconditionFailed(header))
    }
}

impl WriteCondition {
    /// Judges against the newest version, which a delete marker is not.
    pub(crate) fn check(&self, key: &str, newest: Option<&Version>) -> Result<(), Error> {
        if let Some(condition) = &self.if_match {
            let missing = || Error::NoSuchKey { key: key.to_owned(), marker: None };
            if !holds(condition, etag_of(newest.ok_or_else(missing)?)) {
                return Err(Error::PreconditionFailed("If-Match"));
            }
        }
        if let Some(condition) = &self.if_none_match
            && newest.is_some_and(|newest| holds(condition, etag_of(newest)))
        {
            return Err(Error::PreconditionFailed("If-None-Match"));
        }
        Ok(())
    }
}

/// The entity tag on the wire, which adds the quotes.
pub(crate) fn wire_etag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

fn etag_of(version: &Version) -> &str {
    version.content.as_ref().map(|content| content.etag.as_str()).unwrap_or_default()
}

fn holds(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}
