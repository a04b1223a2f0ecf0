//! Firmware jobs, through the stack's own update manager.
//!
//! The manager knows the settings of the stack (rollout, abort, retries, the role
//! that presigns) and refuses what devices would refuse, so jobs are made and
//! cancelled by it. Executions are read from AWS IoT itself.

use std::collections::BTreeMap;

use aws_sdk_lambda::primitives::Blob;
use iotstack_protocol::{FirmwareVersion, JobId, JobSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Fleet, gone};
use crate::{Error, Result};

/// A job to create.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// The job's id. Whoever asks again for a job of this id gets the same job, as the
    /// SDK does by itself when an answer is lost.
    pub job_id: JobId,
    /// The firmware's version.
    pub firmware_version: FirmwareVersion,
    /// The key of the firmware in the bucket.
    pub key: String,
    /// The version of the object; the newest if none is named.
    pub version_id: Option<String>,
    /// The group that gets it; all things if none is named.
    pub thing_group: Option<String>,
    /// `SNAPSHOT` or `CONTINUOUS`.
    pub target_selection: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// How it is rolled out; as the stack says if nothing is said.
    pub settings: Option<JobSettings>,
}

/// A job as the manager tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The job's id.
    pub job_id: String,
    /// `IN_PROGRESS`, `COMPLETED`, `CANCELED`…; not told right after creation.
    #[serde(default)]
    pub status: Option<String>,
    /// How many executions are in which state.
    #[serde(default)]
    pub executions: Option<BTreeMap<String, u64>>,
    /// Whatever else the manager tells.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A job of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// The job's id.
    pub job_id: String,
    /// `IN_PROGRESS`, `COMPLETED`, `CANCELED`…
    pub status: Option<String>,
    /// When it was created, ISO 8601.
    pub created_at: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
}

/// What became of a job on one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobExecution {
    /// The thing's name.
    pub thing: String,
    /// `QUEUED`, `IN_PROGRESS`, `SUCCEEDED`…
    pub status: String,
    /// Which attempt it is.
    pub execution_number: i64,
}

impl Fleet {
    /// An id for a job of a version. The first eight letters and digits of `token` tell
    /// it from other jobs for the version.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if the name of the fleet's group cannot begin an id.
    pub fn job_id(&self, version: &FirmwareVersion, token: &str) -> Result<JobId> {
        let group = self.thing_group()?;
        let prefix = group.parse().map_err(|_| Error::InvalidOption {
            option: "the stack's output ThingGroupName".to_owned(),
            value: group.to_owned(),
            expected: "expected letters, digits, `-` and `_`, as ids of jobs begin with it",
        })?;
        Ok(JobId::for_firmware(&prefix, version, token))
    }

    /// Creates a job.
    ///
    /// # Errors
    /// [`Error::ManagerRefused`] with the manager's own words.
    pub async fn create_job(&self, request: &JobRequest) -> Result<Job> {
        let group = match &request.thing_group {
            Some(group) => group.as_str(),
            None => self.thing_group()?,
        };
        let mut body = json!({
            "action": "create_job",
            "firmware_version": request.firmware_version,
            "thing_group": group,
            "s3_bucket": self.bucket()?,
            "s3_key": request.key,
            "s3_version_id": request.version_id,
            "job_id": request.job_id,
            "target_selection": request.target_selection,
            "description": request.description,
        });
        // Managers of older stacks do not know the field, and refuse it by name.
        if let Some(settings) = &request.settings {
            body["job_settings"] = json!(settings);
        }
        read(self.ask(body).await?)
    }

    /// How far a job is.
    ///
    /// # Errors
    /// [`Error::ManagerRefused`] if there is no such job.
    pub async fn job(&self, job_id: &str) -> Result<Job> {
        read(self.ask(json!({ "action": "check_job_status", "job_id": job_id })).await?)
    }

    /// Cancels a job; `force` also takes it from devices that are at it.
    ///
    /// # Errors
    /// [`Error::ManagerRefused`] if there is nothing to cancel.
    pub async fn cancel_job(&self, job_id: &str, force: bool, reason: Option<&str>) -> Result<Job> {
        let request = json!({
            "action": "cancel_job", "job_id": job_id, "force": force, "reason": reason,
        });
        read(self.ask(request).await?)
    }

    /// The jobs of the fleet, newest first.
    pub async fn jobs(&self, status: Option<&str>) -> Result<Vec<JobSummary>> {
        #[derive(Deserialize)]
        struct Page {
            jobs: Vec<JobSummary>,
            next_token: Option<String>,
        }
        let (mut jobs, mut next) = (Vec::new(), None);
        loop {
            let request = json!({
                "action": "list_jobs", "status": status, "max_results": 250, "next_token": next,
            });
            let page: Page = read(self.ask(request).await?)?;
            jobs.extend(page.jobs);
            next = page.next_token;
            if next.is_none() {
                return Ok(jobs);
            }
        }
    }

    /// What became of a job on every thing.
    pub async fn job_executions(&self, job_id: &str) -> Result<Vec<JobExecution>> {
        let request = self.sdk.iot.list_job_executions_for_job().job_id(job_id);
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListJobExecutionsForJob"))?;
            for summary in page.execution_summaries.unwrap_or_default() {
                let arn = summary.thing_arn.unwrap_or_default();
                let Some(execution) = summary.job_execution_summary else { continue };
                found.push(JobExecution {
                    thing: arn.rsplit('/').next().unwrap_or_default().to_owned(),
                    status: execution.status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
                    execution_number: execution.execution_number().unwrap_or(1),
                });
            }
        }
        found.sort_by(|a, b| a.thing.cmp(&b.thing));
        Ok(found)
    }

    /// Cancels the execution of a job on one thing, even if it is at it.
    pub async fn cancel_execution(&self, thing: &str, job_id: &str) -> Result<()> {
        let request = self.sdk.iot.cancel_job_execution().thing_name(thing).job_id(job_id);
        let answer = request.force(true).send().await;
        answer.map(drop).map_err(self.clients.failed("iot:CancelJobExecution"))
    }

    /// Makes a group of these things.
    pub async fn make_group(&self, group: &str, things: &[String]) -> Result<()> {
        let request = self.sdk.iot.create_thing_group().thing_group_name(group);
        request.send().await.map_err(self.clients.failed("iot:CreateThingGroup"))?;
        let add = |fleet: Fleet, thing: String| {
            let request = fleet.sdk.iot.add_thing_to_thing_group();
            let request = request.thing_group_name(group).thing_name(thing);
            async move {
                let answer = request.send().await;
                answer.map(drop).map_err(fleet.clients.failed("iot:AddThingToThingGroup"))
            }
        };
        self.for_each(things.iter().cloned(), add).await.map(drop)
    }

    /// Deletes a group; its things stay. One that is not there is no failure.
    pub async fn delete_group(&self, group: &str) -> Result<()> {
        let answer = self.sdk.iot.delete_thing_group().thing_group_name(group).send().await;
        gone(answer.map(drop).map_err(self.clients.failed("iot:DeleteThingGroup")))
    }

    /// Deletes a job with its executions, ended or not. One that is not there is no failure.
    pub async fn delete_job(&self, job_id: &JobId) -> Result<()> {
        let request = self.sdk.iot.delete_job().job_id(job_id.as_str()).force(true);
        gone(request.send().await.map(drop).map_err(self.clients.failed("iot:DeleteJob")))
    }

    /// Asks the update manager, and gives the body of its answer.
    async fn ask(&self, request: Value) -> Result<Value> {
        let function = self.output("LambdaFunctionName")?;
        let call = self.sdk.lambda.invoke().function_name(function);
        let call = call.payload(Blob::new(request.to_string())).send().await;
        let answer = call.map_err(self.clients.failed("lambda:InvokeFunction"))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let answer_value: Value = serde_json::from_slice(&payload).unwrap_or_default();
        let refused = |code: &str, message: &str| Error::ManagerRefused {
            function: function.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        if let Some(kind) = answer.function_error {
            return Err(refused(&kind, &text(&answer_value, "errorMessage")));
        }
        let body: Value = serde_json::from_str(answer_value["body"].as_str().unwrap_or_default())
            .map_err(|_| unreadable())?;
        match answer_value["statusCode"].as_u64() {
            Some(200) => Ok(body),
            _ => Err(refused(&text(&body["error"], "code"), &text(&body["error"], "message"))),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T> {
    serde_json::from_value(body).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::UnexpectedAnswer { action: "lambda:InvokeFunction", missing: "readable body" }
}
