//! Tags of streams, for the operations on tags of all IoT resources.
//!
//! They are kept with the stream; changing them is no change of the stream, whose version
//! stays.

use iotstack_local_kernel::tags::{ChangeTags, Tagged, Tags};
use iotstack_local_kernel::{BoxFuture, Fault};

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
