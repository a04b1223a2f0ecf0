//! The data plane over HTTP: `iot-jobs-data`.
//!
//! The same four requests as over MQTT. Devices come with their certificate or with
//! credentials; documents are texts here. There are no notifications.

use std::sync::{Arc, LazyLock};

use http::Method;
use iotstack_jobs::{Error, WhichExecution};
use iotstack_local_kernel::service::{Refused, reasons};
use iotstack_local_kernel::{Call, Caller, Fault, Operation, Operations, Protocol, Reply, Service};
use serde_json::{Map, Value};

use crate::device::{self, LISTED};
use crate::error;
use crate::outbox::Document;
use crate::service::{Jobs, Refusal};

/// The data plane.
pub(crate) struct DataPlane {
    pub jobs: Arc<Jobs>,
}

impl Service for DataPlane {
    fn scopes(&self) -> &'static [&'static str] {
        // Clients that were told the endpoint of the data plane may sign for that.
        &["iot-jobs-data", "iotdata", "iotdevicegateway"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidRequestException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .rest_async(
                "GetPendingJobExecutions",
                Method::GET,
                "/things/{thingName}/jobs",
                Self::pending,
            )
            .rest_async(
                "StartNextPendingJobExecution",
                Method::PUT,
                "/things/{thingName}/jobs/$next",
                Self::start_next,
            )
            .rest_async(
                "DescribeJobExecution",
                Method::GET,
                "/things/{thingName}/jobs/{jobId}?includeJobDocument:bool&executionNumber:int",
                Self::describe,
            )
            .rest_async(
                "UpdateJobExecution",
                Method::POST,
                "/things/{thingName}/jobs/{jobId}",
                Self::update,
            )
            .refusing("iot-jobs-data", REFUSED)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        static LIST: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| reasons(REFUSED));
        &LIST
    }
}

impl DataPlane {
    async fn pending(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let thing = self.thing(&call, "iotjobsdata:GetPendingJobExecutions")?;
        let lists = self.jobs.act(|turn| {
            turn.engine.advance(turn.now, &mut turn.effects);
            let pending = turn.engine.pending(&thing, LISTED);
            let mut body = Map::new();
            body.insert("inProgressJobs".to_owned(), device::summaries(&pending.in_progress));
            body.insert("queuedJobs".to_owned(), device::summaries(&pending.queued));
            Ok(body)
        });
        Ok(Value::Object(lists.await.map_err(error::data)?).into())
    }

    async fn start_next(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let thing = self.thing(&call, "iotjobsdata:StartNextPendingJobExecution")?;
        let started = self.jobs.act(|turn| {
            let request = device::start_next(&call.input)?;
            turn.engine.start_next(&thing, request, turn.now, &mut turn.effects)?;
            let view = turn.engine.describe(&thing, WhichExecution::Next)?;
            Ok(view.map(|view| {
                let document = Document::of(&view, turn.engine, None);
                (device::execution(&view, turn.now), document)
            }))
        });
        self.execution(started.await.map_err(error::data)?)
    }

    async fn describe(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let thing = self.thing(&call, "iotjobsdata:DescribeJobExecution")?;
        let job = call.text("jobId")?.to_owned();
        let described = self.jobs.act(|turn| {
            turn.engine.advance(turn.now, &mut turn.effects);
            let (number, wants_document) = device::describe(&call.input)?;
            let which = match job.as_str() {
                "$next" => WhichExecution::Next,
                job => WhichExecution::Job(job, number),
            };
            let view = turn.engine.describe(&thing, which)?;
            Ok(view.map(|view| {
                let document = Document::of(&view, turn.engine, None);
                (device::execution(&view, turn.now), document.filter(|_| wants_document))
            }))
        });
        self.execution(self.counted(&job, described.await)?)
    }

    async fn update(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let thing = self.thing(&call, "iotjobsdata:UpdateJobExecution")?;
        let job = call.text("jobId")?.to_owned();
        let updated = self.jobs.act(|turn| {
            let report = device::report(&call.input)?;
            let (now, out) = (turn.now, &mut turn.effects);
            let view = turn.engine.update_execution(&job, &thing, report.request, now, out)?;
            let number = i64::from(view.execution_number);
            let view = turn.engine.execution(&job, &thing, Some(number))?;
            let mut body = Map::new();
            if report.wants_state {
                body.insert("executionState".to_owned(), device::state(&view));
            }
            let document = Document::of(&view, turn.engine, None);
            Ok((body, document.filter(|_| report.wants_document)))
        });
        let (mut body, document) = self.counted(&job, updated.await)?;
        if let Some(document) = document {
            body.insert("jobDocument".to_owned(), self.document(&document)?);
        }
        Ok(Value::Object(body).into())
    }

    /// The thing that a call is about, if its caller may ask about it.
    fn thing(&self, call: &Call, action: &str) -> Result<String, Fault> {
        let thing = call.text("thingName")?;
        let cloud = self.jobs.cloud()?;
        let arn = cloud.account.arn("iot", format_args!("thing/{thing}"));
        let allowed = match &call.caller {
            Caller::Root | Caller::Service { .. } => true,
            Caller::Principal { .. } => {
                cloud.ports.credentials()?.allows(&call.caller, action, &arn)
            }
            Caller::Device { certificate_id } => {
                cloud.ports.registry()?.certificate_may(certificate_id, action, &arn)
            }
        };
        if !allowed {
            let message = format!("not authorized to perform {action} on {arn}");
            return Err(Fault::new("ForbiddenException", 403, message));
        }
        if cloud.ports.registry()?.thing(thing).is_none() {
            let missing = Error::ResourceNotFound(format!("there is no thing `{thing}`"));
            return Err(error::data(Refusal::Engine(missing)));
        }
        Ok(thing.to_owned())
    }

    fn execution(
        &self,
        found: Option<(Map<String, Value>, Option<Document>)>,
    ) -> Result<Reply, Fault> {
        let mut body = Map::new();
        if let Some((mut execution, document)) = found {
            if let Some(document) = document {
                execution.insert("jobDocument".to_owned(), self.document(&document)?);
            }
            body.insert("execution".to_owned(), execution.into());
        }
        Ok(Value::Object(body).into())
    }

    fn document(&self, document: &Document) -> Result<Value, Fault> {
        let cloud = self.jobs.cloud()?;
        match document.finish(&cloud) {
            Ok(finished) => Ok(finished.to_string().into()),
            Err(fault) => {
                tracing::warn!(job = %document.job, %fault, "a job document cannot be handed out");
                self.jobs.count_error(&document.job, false);
                Err(error::document(&fault))
            }
        }
    }

    /// Counts the refusal of a request about a job.
    fn counted<T>(&self, job: &str, answer: Result<T, Refusal>) -> Result<T, Fault> {
        answer.map_err(|refusal| {
            let fault = error::data(refusal);
            self.jobs.count_error(job, fault.status < 500);
            fault
        })
    }
}

/// What this service does not do.
const REFUSED: &[Refused] = &[(
    "StartCommandExecution",
    Method::POST,
    "/command-executions",
    "commands are not part of the local cloud",
)];
