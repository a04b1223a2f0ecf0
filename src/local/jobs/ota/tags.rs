//! Tags of OTA updates, for the operations on tags of all IoT resources.
//!
//! They are the update's own; the job and the stream that are made for it get none.

use iotstack_local_kernel::tags::{ChangeTags, Tagged, Tags};
use iotstack_local_kernel::{BoxFuture, Fault};

use super::{Updates, missing};

impl Tagged for Updates {
    fn kinds(&self) -> &'static [&'static str] {
        &["otaupdate"]
    }

    fn tags(&self, _: &str, name: &str) -> Option<Tags> {
        Some(self.lock().get(name)?.tags.clone())
    }

    fn change_tags<'a>(
        &'a self,
        _: &'a str,
        name: &'a str,
        change: ChangeTags,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let commit = {
                let mut records = self.lock();
                let record = records.get_mut(name).ok_or_else(|| missing(name))?;
                change(&mut record.tags)?;
                self.keep(name, &records)
            };
            Ok(commit.stored().await?)
        })
    }
}
