//! Signing jobs: an exact version of an object in, a signature out.
//!
//! A job runs while its caller waits and is told as begun first, so that one that
//! a crash interrupts is found and ended at the next start.

use iotstack_local_kernel::ports::BusEvent;
use iotstack_local_kernel::{Call, Caller, Cloud, Fault, Reply, Timestamp, id, loose};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::PAGING;
use super::platform::Platform;
use super::profile::Profile;
use super::{Signer, invalid, not_found};
use crate::wire::{Tags, base64, moment};

/// A signing job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    id: String,
    token: String,
    source: Place,
    destination: (String, String),
    profile: String,
    profile_version: String,
    platform: String,
    certificate: Option<String>,
    overrides: Map<String, Value>,
    parameters: Tags,
    created: Timestamp,
    completed: Option<Timestamp>,
    requested_by: String,
    /// Nothing while it goes on; the key of the signature, or why it failed.
    outcome: Option<Result<String, String>>,
}

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    bucket: String,
    key: String,
    version: String,
}

impl Signer {
    /// Ends jobs that the process before this one began and did not finish.
    pub(super) fn end_interrupted(&self) {
        let open: Vec<Job> =
            self.jobs.all().into_iter().filter(|job| job.outcome.is_none()).collect();
        let now = self.clock.now();
        let ended = self.jobs.change(|jobs| {
            for job in open {
                let reason = "the local cloud ended while the job ran".to_owned();
                let key = job.key();
                let outcome = Some(Err(reason));
                jobs.put(&key, Job { outcome, completed: Some(now), ..job });
            }
            Ok(())
        });
        // Stored before whatever follows; a crash before that finds them open again.
        if let Ok(((), commit)) = ended {
            drop(commit);
        }
    }

    pub(super) async fn start_job(&self, call: Call) -> Result<Reply, Fault> {
        let job = self.read(&call)?;
        let token = job.token.clone();
        if let Some(known) = self.jobs.find(|known| known.token == token) {
            let same = known.source == job.source
                && known.destination == job.destination
                && known.profile == job.profile;
            if same {
                return Ok(self.started(&known));
            }
            let reason = "another job was started with the same clientRequestToken";
            return Err(Fault::new("ConflictException", 409, reason));
        }
        let profile = self.profile(&job.profile)?;
        if profile.cancelled {
            let reason = format!("the signing profile `{}` is cancelled", profile.name);
            return Err(invalid(reason));
        }
        let signs = Platform::of(&profile.platform).is_some_and(Platform::signs);
        if !signs || profile.format() != "JSONDetached" {
            let what = format!("{} signatures for {}", profile.format(), profile.platform);
            return Err(Fault::not_implemented(what));
        }
        let cloud = Cloud::held(&self.cloud)?;
        let objects = cloud.ports.objects()?.clone();
        let Place { bucket, key, version } = &job.source;
        let firmware = objects.get(bucket, key, Some(version)).await.map_err(unreadable)?;
        if firmware.version.as_deref() != Some(version) {
            let reason = format!("the bucket `{bucket}` keeps no versions; Signer needs them");
            return Err(invalid(reason));
        }
        let detached = self.sign(&profile, &job.source, &firmware.bytes)?;

        let ((), begun) = self.jobs.change(|jobs| {
            jobs.put(&job.key(), job.clone());
            Ok(())
        })?;
        begun.stored().await?;
        let (bucket, prefix) = &job.destination;
        let target = format!("{prefix}{}", job.id);
        let written = objects.put(bucket, &target, detached.into(), Some("application/json")).await;
        let outcome = match written {
            Ok(_) => Ok(target),
            Err(fault) => Err(fault.message),
        };
        let finished =
            Job { outcome: Some(outcome), completed: Some(self.clock.now()), ..job.clone() };
        let ((), done) = self.jobs.change(|jobs| {
            jobs.put(&finished.key(), finished.clone());
            Ok(())
        })?;
        done.stored().await?;
        announce(&cloud, &finished);
        Ok(self.started(&finished))
    }

    pub(super) fn describe_job(&self, call: Call) -> Result<Reply, Fault> {
        let id = loose::required(&call.input, "jobId")?;
        let job = self.jobs.find(|job| job.id == id);
        let job = job.ok_or_else(|| not_found(format!("there is no signing job `{id}`")))?;
        let mut shown = self.shown_job(&job);
        shown["requestedBy"] = json!(job.requested_by);
        shown["signingParameters"] = json!(job.parameters);
        if !job.overrides.is_empty() {
            shown["overrides"] = Value::Object(job.overrides.clone());
        }
        if let Some(completed) = job.completed {
            shown["completedAt"] = moment(completed);
        }
        shown["statusReason"] = match &job.outcome {
            None => json!("Signing In Progress"),
            Some(Ok(_)) => json!("Signing Succeeded"),
            Some(Err(reason)) => json!(reason),
        };
        Ok(shown.into())
    }

    pub(super) fn list_jobs(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        let status = loose::text(input, "status")?;
        let platform = loose::text(input, "platformId")?;
        let requested_by = loose::text(input, "requestedBy")?;
        let invoker = loose::text(input, "jobInvoker")?;
        let revoked = loose::flag(input, "isRevoked")?.unwrap_or(false);
        let mut all = self.jobs.all();
        all.retain(|job| {
            status.as_ref().is_none_or(|status| status == job.status())
                && platform.as_ref().is_none_or(|platform| *platform == job.platform)
                && requested_by.as_ref().is_none_or(|by| *by == job.requested_by)
                && invoker.as_ref().is_none_or(|invoker| *invoker == self.account.id)
                && !revoked
        });
        let (items, next) = PAGING.cut(input, all, Job::key)?;
        let jobs: Vec<Value> = items
            .iter()
            .map(|job| {
                let mut shown = self.shown_job(job);
                shown["isRevoked"] = json!(false);
                shown
            })
            .collect();
        let mut reply = json!({ "jobs": jobs });
        if let Some(next) = next {
            reply["nextToken"] = json!(next);
        }
        Ok(reply.into())
    }

    fn read(&self, call: &Call) -> Result<Job, Fault> {
        let input = &call.input;
        let profile = self.profile(&loose::required(input, "profileName")?)?;
        let owner = loose::text(input, "profileOwner")?;
        if owner.is_some_and(|owner| owner != self.account.id) {
            return Err(Fault::not_implemented("signing profiles of other accounts"));
        }
        let s3 = |member: &str| loose::object(&loose::object(input, member)?, "s3");
        let (source, destination) = (s3("source")?, s3("destination")?);
        let named = |object: &Map<String, Value>, place: &str, member: &str| {
            loose::text(object, member)?
                .filter(|text| !text.is_empty())
                .ok_or_else(|| invalid(format!("{place}.s3.{member} is required")))
        };
        Ok(Job {
            id: id::uuid(),
            token: loose::required(input, "clientRequestToken")?,
            source: Place {
                bucket: named(&source, "source", "bucketName")?,
                key: named(&source, "source", "key")?,
                version: named(&source, "source", "version")?,
            },
            destination: (
                named(&destination, "destination", "bucketName")?,
                loose::text(&destination, "prefix")?.unwrap_or_default(),
            ),
            profile: profile.name,
            profile_version: profile.version,
            platform: profile.platform,
            certificate: profile.certificate,
            overrides: profile.overrides,
            parameters: profile.parameters,
            created: self.clock.now(),
            completed: None,
            requested_by: match &call.caller {
                Caller::Principal { arn } => arn.clone(),
                _ => self.account.global_arn("iam", "root"),
            },
            outcome: None,
        })
    }

    /// Signs bytes, and writes the signature as a device or a Lambda reads it.
    fn sign(&self, profile: &Profile, source: &Place, bytes: &[u8]) -> Result<String, Fault> {
        let arn = profile.certificate.as_deref().unwrap_or_default();
        let cloud = Cloud::held(&self.cloud)?;
        let material = cloud.ports.certificates()?.material(arn).map_err(|fault| {
            invalid(format!("the certificate of the profile cannot be used: {}", fault.message))
        })?;
        let key = p256::SecretKey::from_pkcs8_pem(&material.private_key)
            .ok()
            .or_else(|| p256::SecretKey::from_sec1_pem(&material.private_key).ok())
            .ok_or_else(|| invalid("the key of the certificate is no key on P-256"))?;
        // ECDSA on P-256 hashes with SHA-256, as the platform wants it.
        let signature: Signature = SigningKey::from(&key).sign(bytes);
        Ok(json!({
            "rawPayloadSize": bytes.len(),
            "signature": base64(signature.to_der().as_bytes()),
            "signatureAlgorithm": "SHA256withECDSA",
            "payloadLocation": {"s3": source.shown()},
        })
        .to_string())
    }

    fn started(&self, job: &Job) -> Reply {
        json!({"jobId": job.id, "jobOwner": self.account.id}).into()
    }

    fn shown_job(&self, job: &Job) -> Value {
        let mut shown = json!({
            "jobId": job.id,
            "source": {"s3": job.source.shown()},
            "platformId": job.platform,
            "platformDisplayName": Platform::of(&job.platform).map(|platform| platform.name),
            "profileName": job.profile,
            "profileVersion": job.profile_version,
            "createdAt": moment(job.created),
            "status": job.status(),
            "jobOwner": self.account.id,
            "jobInvoker": self.account.id,
        });
        if let Some(arn) = &job.certificate {
            shown["signingMaterial"] = json!({ "certificateArn": arn });
        }
        if let Some(Ok(key)) = &job.outcome {
            shown["signedObject"] = json!({"s3": {"bucketName": job.destination.0, "key": key}});
        }
        shown
    }
}

impl Job {
    /// Under what it is stored: the oldest first.
    fn key(&self) -> String {
        format!("{:020}/{}", self.created.millis(), self.id)
    }

    fn status(&self) -> &'static str {
        match &self.outcome {
            None => "InProgress",
            Some(Ok(_)) => "Succeeded",
            Some(Err(_)) => "Failed",
        }
    }
}

impl Place {
    fn shown(&self) -> Value {
        json!({"bucketName": self.bucket, "key": self.key, "version": self.version})
    }
}

/// Tells the default event bus, if there is one.
fn announce(cloud: &Cloud, job: &Job) {
    let Ok(buses) = cloud.ports.event_buses() else { return };
    let buses = buses.clone();
    let event = BusEvent {
        source: "aws.signer".to_owned(),
        detail_type: "Signer Job Status Change".to_owned(),
        detail: json!({
            "job_id": job.id,
            "platform": job.platform,
            "certificate_arn": job.certificate,
            "status": job.status(),
        }),
        resources: Vec::new(),
    };
    tokio::spawn(async move {
        if let Err(fault) = buses.put("default", event).await {
            tracing::warn!(%fault, "a finished signing job could not be announced");
        }
    });
}

fn unreadable(fault: Fault) -> Fault {
    match fault.status {
        404 | 405 => not_found(format!("the source cannot be read: {}", fault.message)),
        _ => fault,
    }
}
