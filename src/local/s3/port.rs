//! The `Objects` port: how other services read and write objects.
//!
//! No permission is asked: a service judges itself on whose behalf it acts. What
//! it writes is told to the bus as any upload.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use iotstack_local_kernel::ports::{Object, Objects};
use iotstack_local_kernel::{BoxFuture, Fault, id};
use md5::{Digest, Md5};

use crate::Error;
use crate::body::LARGEST;
use crate::condition::WriteCondition;
use crate::notify::Happening;
use crate::object::{check_key, encryption, read_all, shown_version};
use crate::presign::Presigner;
use crate::record::{Content, Headers, Version};
use crate::store::Buckets;

pub(crate) struct Port {
    pub(crate) buckets: Arc<Buckets>,
    pub(crate) presigner: Arc<Presigner>,
}

impl Objects for Port {
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        Box::pin(async move {
            let version = self.buckets.find(bucket, key, version)?;
            let blob = version.content.as_ref().map(|c| c.blob.clone()).unwrap_or_default();
            let bytes = read_all(&self.buckets, &blob).await?;
            Ok(self.object(&version, bytes)?)
        })
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        bytes: Bytes,
        content_type: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        Box::pin(async move {
            check_key(key)?;
            self.buckets.read(bucket, |_| ())?;
            if bytes.len() as u64 > LARGEST {
                return Err(Error::EntityTooLarge(LARGEST).into());
            }
            let content = Content {
                etag: id::hex(&Md5::digest(&bytes)),
                headers: Headers {
                    content_type: content_type.map(str::to_owned),
                    ..Headers::default()
                },
                encryption: encryption(&self.buckets, bucket, None, None, None)?,
                blob: self.buckets.blobs.keep(bytes.clone()).await?,
                ..Content::default()
            };
            let condition = WriteCondition::default();
            let version =
                self.buckets.put(bucket, key, content, &condition, Happening::Put).await?;
            Ok(self.object(&version, bytes)?)
        })
    }

    fn presign(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        write: bool,
        expires: Duration,
    ) -> Result<String, Fault> {
        check_key(key)?;
        let method = if write { Method::PUT } else { Method::GET };
        Ok(self.presigner.url(bucket, key, version, &method, expires))
    }
}

impl Port {
    fn object(&self, version: &Version, bytes: Bytes) -> Result<Object, Error> {
        let etag = version.content.as_ref().map(|content| content.etag.as_str());
        Ok(Object {
            bytes,
            etag: format!("\"{}\"", etag.unwrap_or_default()),
            version: shown_version(&self.buckets, version)?,
        })
    }
}
