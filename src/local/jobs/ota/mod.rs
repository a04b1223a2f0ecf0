//! OTA updates: a job that the service makes from firmware files.
//!
//! An update signs its files with Signer or takes signatures that it is given, makes a
//! stream for delivery over MQTT or placeholders for presigned URLs, writes the
//! `afr_ota` document that devices with AWS's OTA library read, and creates the job
//! `AFR_OTA-<id>`. Making takes a while, so whoever asks is answered first and polls.
//!
//! An update that was being made when the cloud ended has failed. The role is passed on
//! to what is made, but not assumed. What a file's attributes say is kept and shown, not
//! delivered.

mod make;
mod request;
mod signature;
mod tags;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use http::Method;
use iotstack_jobs::{Force, Page};
use iotstack_local_kernel::page::page as cut;
use iotstack_local_kernel::tags::{Tags, read as read_tags};
use iotstack_local_kernel::{
    Call, Cloud, Commit, Fault, Operation, Operations, Protocol, Reply, Service, Store, StoreError,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::control::{Control, page};
use request::OtaRequest;

/// The operations on OTA updates.
pub(crate) struct Updates {
    control: Arc<Control>,
    store: Store,
    records: Mutex<BTreeMap<String, Record>>,
}

/// An update that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    request: OtaRequest,
    status: Status,
    created: Timestamp,
    modified: Timestamp,
    /// The stream that was made for it.
    stream: Option<String>,
    /// Why it failed.
    error: Option<(String, String)>,
    #[serde(default)]
    tags: Tags,
}

/// Where an update stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    CreatePending,
    CreateInProgress,
    CreateComplete,
    CreateFailed,
    DeleteInProgress,
    DeleteFailed,
}

impl Service for Updates {
    fn scopes(&self) -> &'static [&'static str] {
        &["iot", "execute-api"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn invalid_input(&self) -> &'static str {
        "InvalidRequestException"
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        const ONE: &str = "/otaUpdates/{otaUpdateId}";
        Operations::of(self)
            .rest_async("CreateOTAUpdate", Method::POST, ONE, Self::create)
            .rest("GetOTAUpdate", Method::GET, ONE, Self::describe)
            .rest_async(
                "DeleteOTAUpdate",
                Method::DELETE,
                "/otaUpdates/{otaUpdateId}?deleteStream:bool&forceDeleteAWSJob:bool",
                Self::delete,
            )
            .rest(
                "ListOTAUpdates",
                Method::GET,
                "/otaUpdates?otaUpdateStatus&maxResults:int&nextToken",
                Self::list,
            )
            .list()
    }
}

impl Updates {
    /// The updates that were stored; what was being made has failed.
    pub(crate) fn restore(cloud: &Cloud, control: Arc<Control>) -> Result<Arc<Self>, StoreError> {
        let mut records: BTreeMap<String, Record> = cloud.store.load(TABLE)?.into_iter().collect();
        for record in records.values_mut() {
            if matches!(record.status, Status::CreatePending | Status::CreateInProgress) {
                record.status = Status::CreateFailed;
                let reason = "the local cloud ended while the update was made".to_owned();
                record.error = Some(("InternalFailure".to_owned(), reason));
            }
        }
        Ok(Arc::new(Updates { control, store: cloud.store.clone(), records: Mutex::new(records) }))
    }

    async fn create(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("otaUpdateId")?.to_owned();
        self.control.check(&call, &format!("otaupdate/{id}"))?;
        let request: OtaRequest = call.parse()?;
        request::check(&id, &request)?;
        let record = Record {
            request,
            status: Status::CreatePending,
            created: call.at,
            modified: call.at,
            stream: None,
            error: None,
            tags: read_tags(&call.input)?,
        };
        let commit = {
            let mut records = self.lock();
            if records.contains_key(&id) {
                let message = format!("the OTA update `{id}` exists already");
                return Err(Fault::new("ResourceAlreadyExistsException", 409, message));
            }
            records.insert(id.clone(), record);
            self.keep(&id, &records)
        };
        commit.stored().await?;
        let reply = json!({
            "otaUpdateId": id,
            "otaUpdateArn": self.arn(&id),
            "awsIotJobId": job_id(&id),
            "awsIotJobArn": self.job_arn(&id),
            "otaUpdateStatus": Status::CreatePending,
        });
        tokio::spawn(async move { self.make(&id).await });
        Ok(reply.into())
    }

    /// Makes what an update consists of, and says how that ended.
    async fn make(&self, id: &str) {
        let Some(request) = self.change(id, |record| {
            record.status = Status::CreateInProgress;
            record.request.clone()
        }) else {
            return;
        };
        let mut stream = None;
        let made = make::make(&self.control, id, &request, &mut stream).await;
        self.change(id, |record| {
            record.stream = stream;
            match made {
                Ok(()) => record.status = Status::CreateComplete,
                Err(fault) => {
                    tracing::info!(update = id, %fault, "an OTA update cannot be made");
                    record.status = Status::CreateFailed;
                    record.error = Some((fault.code, fault.message));
                }
            }
        });
    }

    fn describe(&self, call: Call) -> Result<Reply, Fault> {
        let id = call.text("otaUpdateId")?;
        self.control.check(&call, &format!("otaupdate/{id}"))?;
        let records = self.lock();
        let record = records.get(id).ok_or_else(|| missing(id))?;
        let mut info = match serde_json::to_value(&record.request) {
            Ok(Value::Object(info)) => info,
            _ => Map::new(),
        };
        // The answer has no role, and the files under another name.
        info.remove("roleArn");
        info.remove("awsJobAbortConfig");
        info.remove("awsJobTimeoutConfig");
        let files = info.remove("files").unwrap_or_default();
        let mut put = |name: &str, value: Value| drop(info.insert(name.to_owned(), value));
        put("otaUpdateId", id.into());
        put("otaUpdateArn", self.arn(id).into());
        put("creationDate", record.created.fractional_seconds().into());
        put("lastModifiedDate", record.modified.fractional_seconds().into());
        put("otaUpdateFiles", files);
        put("otaUpdateStatus", json!(record.status));
        if record.status == Status::CreateComplete {
            put("awsIotJobId", job_id(id).into());
            put("awsIotJobArn", self.job_arn(id).into());
        }
        if let Some((code, message)) = &record.error {
            put("errorInfo", json!({"code": code, "message": message}));
        }
        Ok(json!({ "otaUpdateInfo": info }).into())
    }

    fn list(&self, call: Call) -> Result<Reply, Fault> {
        self.control.check(&call, "*")?;
        let status = call.input.get("otaUpdateStatus").cloned();
        let status: Option<Status> = status
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| Fault::invalid_input(format!("otaUpdateStatus: {error}")))?;
        let Page { max_results, next_token } = page(&call)?;
        let size = max_results.unwrap_or(250);
        let size = usize::try_from(size).ok().filter(|size| (1..=250).contains(size));
        let size = size.ok_or_else(|| Fault::invalid_input("maxResults must be 1 to 250"))?;
        let records = self.lock();
        let wanted = records.iter().filter(|(_, r)| status.is_none_or(|s| r.status == s));
        let (found, next) = cut(wanted, |(id, _)| (*id).clone(), next_token.as_deref(), size)?;
        let summaries: Vec<Value> = found
            .into_iter()
            .map(|(id, record)| {
                json!({
                    "otaUpdateId": id,
                    "otaUpdateArn": self.arn(id),
                    "creationDate": record.created.fractional_seconds(),
                })
            })
            .collect();
        let mut body = Map::new();
        body.insert("otaUpdates".to_owned(), summaries.into());
        if let Some(next) = next {
            body.insert("nextToken".to_owned(), next.into());
        }
        Ok(Value::Object(body).into())
    }

    async fn delete(self: Arc<Self>, call: Call) -> Result<Reply, Fault> {
        let id = call.text("otaUpdateId")?;
        self.control.check(&call, &format!("otaupdate/{id}"))?;
        let force: Force = call.flag("forceDeleteAWSJob")?.into();
        let stream = {
            let records = self.lock();
            let record = records.get(id).ok_or_else(|| missing(id))?;
            if matches!(record.status, Status::CreatePending | Status::CreateInProgress) {
                let message = format!("the OTA update `{id}` is still being made: try again later");
                return Err(Fault::new("InvalidRequestException", 400, message));
            }
            record.stream.clone()
        };
        match self.control.delete(&job_id(id), force).await {
            Err(fault) if fault.code == "InvalidStateTransitionException" => {
                return Err(Fault::new("InvalidRequestException", 400, fault.message));
            }
            Err(fault) if fault.code != "ResourceNotFoundException" => return Err(fault),
            _ => {}
        }
        if let Some(stream) = stream.filter(|_| call.flag("deleteStream").unwrap_or(false)) {
            let cloud = self.control.jobs.cloud()?;
            let input = json!({ "streamId": stream });
            match make::call(&cloud, "iot", "DeleteStream", input).await {
                Err(fault) if fault.code != "ResourceNotFoundException" => return Err(fault),
                _ => {}
            }
        }
        let commit = {
            let mut records = self.lock();
            records.remove(id);
            let mut batch = self.store.batch();
            batch.remove(TABLE, id);
            self.store.commit(batch)
        };
        commit.stored().await?;
        Ok(Reply::empty())
    }

    /// Changes an update, if it still exists.
    fn change<T>(&self, id: &str, change: impl FnOnce(&mut Record) -> T) -> Option<T> {
        let mut records = self.lock();
        let record = records.get_mut(id)?;
        record.modified = self.control.jobs.clock.now();
        let answer = change(record);
        self.keep(id, &records).then(|| {});
        Some(answer)
    }

    fn keep(&self, id: &str, records: &BTreeMap<String, Record>) -> Commit {
        let mut batch = self.store.batch();
        if let Some(record) = records.get(id) {
            batch.put(TABLE, id, record);
        }
        self.store.commit(batch)
    }

    fn arn(&self, id: &str) -> String {
        self.control.jobs.account.arn("iot", format_args!("otaupdate/{id}"))
    }

    fn job_arn(&self, id: &str) -> String {
        self.control.jobs.account.arn("iot", format_args!("job/{}", job_id(id)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        self.records.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The job of an update.
fn job_id(id: &str) -> String {
    format!("AFR_OTA-{id}")
}

fn missing(id: &str) -> Fault {
    let message = format!("there is no OTA update `{id}`");
    Fault::new("ResourceNotFoundException", 404, message)
}

const TABLE: &str = "ota_updates";
