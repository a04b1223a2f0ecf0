//! Tags of streams, for the operations on tags of all IoT resources.
//!
//! On disk they are a list of pairs, as the first version of this service wrote them.

use iotstack_local_kernel::tags::{ChangeTags, Tagged, Tags};
use iotstack_local_kernel::{BoxFuture, Fault};
use serde::{Deserialize, Deserializer, Serializer};

use super::service::StreamService;

impl Tagged for StreamService {
    fn kinds(&self) -> &'static [&'static str] {
        &["stream"]
    }

    fn tags(&self, _: &str, name: &str) -> Option<Tags> {
        Some(self.streams.stream(name)?.tags.clone())
    }

    fn change_tags<'a>(
        &'a self,
        _: &'a str,
        name: &'a str,
        change: ChangeTags,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let commit = self.streams.retag(&*self.cloud()?, name, change)?;
            Ok(commit.stored().await?)
        })
    }
}

pub(super) fn serialize<S: Serializer>(tags: &Tags, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(tags)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
    Ok(Vec::<(String, String)>::deserialize(deserializer)?.into_iter().collect())
}
