//! Tags of jobs and job templates, for the operations on tags of all IoT resources.
//!
//! The engine keeps them with what they belong to. Those of OTA updates are with these.

use iotstack_jobs::{Engine, Result, Tag};
use iotstack_local_kernel::tags::{ChangeTags, Tagged, Tags};
use iotstack_local_kernel::{BoxFuture, Fault};

use crate::error;
use crate::service::Jobs;

impl Tagged for Jobs {
    fn kinds(&self) -> &'static [&'static str] {
        &[JOB, TEMPLATE]
    }

    fn tags(&self, kind: &str, name: &str) -> Option<Tags> {
        self.read(|engine, _| tags_of(engine, kind, name)).ok()
    }

    fn change_tags<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        change: ChangeTags,
    ) -> BoxFuture<'a, std::result::Result<(), Fault>> {
        Box::pin(async move {
            let changed = self.act(|turn| {
                let mut tags = tags_of(turn.engine, kind, name)?;
                if let Err(fault) = change(&mut tags) {
                    return Ok(Some(fault));
                }
                let tags = tags.into_iter().map(|(key, value)| Tag { key, value: Some(value) });
                match kind {
                    TEMPLATE => turn.engine.set_template_tags(name, tags.collect())?,
                    _ => turn.engine.set_job_tags(name, tags.collect())?,
                }
                Ok(None)
            });
            changed.await.map_err(error::control)?.map_or(Ok(()), Err)
        })
    }
}

fn tags_of(engine: &Engine, kind: &str, name: &str) -> Result<Tags> {
    let tags = match kind {
        TEMPLATE => engine.template_tags(name)?,
        _ => engine.job_tags(name)?,
    };
    let pair = |tag: &Tag| (tag.key.clone(), tag.value.clone().unwrap_or_default());
    Ok(tags.iter().map(pair).collect())
}

const JOB: &str = "job";
const TEMPLATE: &str = "jobtemplate";
