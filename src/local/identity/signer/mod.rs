//! Signer: profiles, and signing jobs that really sign.
//!
//! Real: profiles of the platforms for IoT with a certificate of ACM (checked
//! for its key and usages), names that are never given free, jobs that sign an
//! exact version of an object with ECDSA on P-256 over SHA-256 and write the
//! detached signature as AWS does, idempotency by token, tags, the event on the
//! default bus. A job is done when it is answered.
//!
//! Not offered: signing for Lambda and containers (their keys would be Signer's
//! own), embedded signatures, revocation, permissions of other accounts. Their
//! profiles can be made all the same.

mod job;
mod platform;
mod profile;
pub(crate) mod resources;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use http::Method;
use iotstack_local_kernel::page::Paging;
use iotstack_local_kernel::{
    Account, Clock, Cloud, Fault, Operation, Operations, Protocol, Service, StoreError,
};

use crate::acm::Acm;
use crate::records::Records;
use job::Job;
use profile::Profile;

/// Signer.
pub(crate) struct Signer {
    account: Account,
    clock: Clock,
    cloud: Weak<Cloud>,
    acm: Arc<Acm>,
    profiles: Records<Profile>,
    jobs: Records<Job>,
}

impl Signer {
    pub(crate) fn restore(cloud: &Arc<Cloud>, acm: &Arc<Acm>) -> Result<Arc<Self>, StoreError> {
        let signer = Arc::new(Signer {
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            cloud: Arc::downgrade(cloud),
            acm: acm.clone(),
            profiles: Records::restore(&cloud.store, "signer_profiles")?,
            jobs: Records::restore(&cloud.store, "signer_jobs")?,
        });
        signer.end_interrupted();
        let weak = Arc::downgrade(&signer);
        acm.ask_users(move |arn| {
            weak.upgrade().map(|signer| signer.profiles_of(arn)).unwrap_or_default()
        });
        Ok(signer)
    }
}

impl Service for Signer {
    fn scopes(&self) -> &'static [&'static str] {
        &["signer"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::RestJson]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .rest_stored(
                "PutSigningProfile",
                Method::PUT,
                "/signing-profiles/{profileName}",
                Signer::put_profile,
            )
            .rest(
                "GetSigningProfile",
                Method::GET,
                "/signing-profiles/{profileName}?profileOwner",
                Signer::get_profile,
            )
            .rest_stored(
                "CancelSigningProfile",
                Method::DELETE,
                "/signing-profiles/{profileName}",
                Signer::cancel_profile,
            )
            .rest(
                "ListSigningProfiles",
                Method::GET,
                "/signing-profiles?includeCanceled:bool&maxResults:int&nextToken&platformId\
                 &statuses:list",
                Signer::list_profiles,
            )
            .rest_async(
                "StartSigningJob",
                Method::POST,
                "/signing-jobs",
                |signer, call| async move { signer.start_job(call).await },
            )
            .rest("DescribeSigningJob", Method::GET, "/signing-jobs/{jobId}", Signer::describe_job)
            .rest(
                "ListSigningJobs",
                Method::GET,
                "/signing-jobs?status&platformId&requestedBy&maxResults:int&nextToken\
                 &isRevoked:bool&signatureExpiresBefore&signatureExpiresAfter&jobInvoker",
                Signer::list_jobs,
            )
            .rest(
                "GetSigningPlatform",
                Method::GET,
                "/signing-platforms/{platformId}",
                Signer::get_platform,
            )
            .rest(
                "ListSigningPlatforms",
                Method::GET,
                "/signing-platforms?category&partner&target&maxResults:int&nextToken",
                Signer::list_platforms,
            )
            .rest_stored("TagResource", Method::POST, "/tags/{resourceArn+}", Signer::tag)
            .rest_stored(
                "UntagResource",
                Method::DELETE,
                "/tags/{resourceArn+}?tagKeys:list",
                Signer::untag,
            )
            .rest("ListTagsForResource", Method::GET, "/tags/{resourceArn+}", Signer::list_tags)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("AddProfilePermission", "there are no other accounts"),
            ("RevokeSignature", "signatures for IoT cannot be revoked"),
            ("RevokeSigningProfile", "signatures for IoT cannot be revoked"),
            ("SignPayload", "only container images are signed that way"),
        ]
    }
}

fn invalid(reason: impl Into<String>) -> Fault {
    Fault::new("ValidationException", 400, reason)
}

fn not_found(reason: impl Into<String>) -> Fault {
    Fault::new("ResourceNotFoundException", 404, reason)
}

const PAGING: Paging = Paging { limit: "maxResults", token: "nextToken", default: 25, most: 25 };
