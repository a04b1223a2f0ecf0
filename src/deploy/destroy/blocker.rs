//! Finds what AWS would refuse to delete.
//!
//! CloudFormation deletes the stack's own attachments before the things they join, so
//! only what comes from outside the stack stands in the way. After a deletion that
//! failed, the question is put again for the failed resources alone, and then
//! everything counts: the stack's own attachments are gone by then.
//!
//! Questions that are not allowed or not known where they are asked leave a resource
//! unexamined; deleting will tell.

use aws_sdk_iot as iot;
use iotstack_assembly::template::is_custom;
use tracing::debug;

use super::Blocker;
use crate::stack::StackResource;
use crate::{Clients, Error, Result};

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thoroughness {
    /// What comes from outside the stack, without asking for every single thing.
    Foreseen,
    /// Whatever there is.
    Everything,
}

/// What stands in the way of deleting `going`, which belong to a stack of `all`.
pub(super) async fn find(
    clients: &Clients,
    all: &[StackResource],
    going: &[StackResource],
    thoroughness: Thoroughness,
) -> Result<Vec<Blocker>> {
    let search = Search { clients, all, thoroughness };
    let mut blockers = Vec::new();
    let mut things = 0;
    for resource in going {
        let Some(name) = resource.physical_id.as_deref() else { continue };
        let id = resource.logical_id.clone();
        let found = match resource.resource_type.as_str() {
            "AWS::S3::Bucket" => search.bucket(id, name).await,
            "AWS::IoT::Policy" => search.policy(id, name).await,
            "AWS::IoT::Certificate" => search.certificate(id, name).await,
            "AWS::IoT::Thing" => {
                things += 1;
                // The account answers twenty such questions a second.
                if thoroughness == Thoroughness::Foreseen && things > THINGS_ASKED {
                    continue;
                }
                search.thing(id, name).await
            }
            "AWS::IoT::ThingGroup" => search.group(id, name).await,
            "AWS::IoT::ThingType" => search.thing_type(id, name).await,
            _ => continue,
        };
        match found {
            Ok(blocker) => blockers.extend(blocker),
            Err(error @ Error::Credentials { .. }) => return Err(error),
            Err(error) => debug!(resource = resource.logical_id, %error, "not examined"),
        }
    }
    Ok(blockers)
}

struct Search<'a> {
    clients: &'a Clients,
    all: &'a [StackResource],
    thoroughness: Thoroughness,
}

impl Search<'_> {
    async fn bucket(&self, logical_id: String, bucket: &str) -> Result<Option<Blocker>> {
        let client = &self.clients.own.s3;
        let call = client.list_object_versions().bucket(bucket);
        let versions = call.send().await.map_err(self.clients.failed("s3:ListBucketVersions"))?;
        let call = client.list_multipart_uploads().bucket(bucket);
        let uploads =
            call.send().await.map_err(self.clients.failed("s3:ListBucketMultipartUploads"))?;
        let entries =
            versions.versions().len() + versions.delete_markers().len() + uploads.uploads().len();
        Ok((entries > 0).then(|| Blocker::BucketNotEmpty {
            logical_id,
            bucket: bucket.to_owned(),
            entries: entries as u64,
            more: versions.is_truncated() == Some(true) || uploads.is_truncated() == Some(true),
        }))
    }

    async fn policy(&self, logical_id: String, policy: &str) -> Result<Option<Blocker>> {
        let mut targets = Vec::new();
        let mut pages =
            self.iot().list_targets_for_policy().policy_name(policy).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListTargetsForPolicy"))?;
            targets.extend(page.targets.unwrap_or_default());
        }
        targets.retain(|target| self.is_foreign("AWS::IoT::Certificate", target));
        Ok((!targets.is_empty()).then(|| Blocker::PolicyAttached {
            logical_id,
            policy: policy.to_owned(),
            targets,
        }))
    }

    async fn certificate(&self, logical_id: String, certificate: &str) -> Result<Option<Blocker>> {
        let call = self.iot().describe_certificate().certificate_id(certificate);
        let answer = call.send().await.map_err(self.clients.failed("iot:DescribeCertificate"))?;
        let Some(description) = answer.certificate_description else { return Ok(None) };
        let arn = description.certificate_arn.unwrap_or_default();
        let mut things = Vec::new();
        let mut pages = self.iot().list_principal_things().principal(&arn).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListPrincipalThings"))?;
            things.extend(page.things.unwrap_or_default());
        }
        let mut policies = Vec::new();
        let mut pages = self.iot().list_attached_policies().target(&arn).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListAttachedPolicies"))?;
            let names = page.policies.unwrap_or_default();
            policies.extend(names.into_iter().filter_map(|policy| policy.policy_name));
        }
        things.retain(|thing| self.is_foreign("AWS::IoT::Thing", thing));
        policies.retain(|policy| self.is_foreign("AWS::IoT::Policy", policy));
        let active = description.status == Some(iot::types::CertificateStatus::Active);
        // CloudFormation deactivates a certificate of its own accord; only where it
        // failed to delete one does that alone matter.
        let alone = active && self.thoroughness == Thoroughness::Everything;
        Ok((!things.is_empty() || !policies.is_empty() || alone).then(|| {
            Blocker::CertificateInUse {
                logical_id,
                certificate: certificate.to_owned(),
                active,
                things,
                policies,
            }
        }))
    }

    async fn thing(&self, logical_id: String, thing: &str) -> Result<Option<Blocker>> {
        let mut principals = Vec::new();
        let mut pages =
            self.iot().list_thing_principals().thing_name(thing).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListThingPrincipals"))?;
            principals.extend(page.principals.unwrap_or_default());
        }
        principals.retain(|principal| self.is_foreign("AWS::IoT::Certificate", principal));
        Ok((!principals.is_empty()).then(|| Blocker::ThingHasPrincipals {
            logical_id,
            thing: thing.to_owned(),
            principals,
        }))
    }

    async fn group(&self, logical_id: String, group: &str) -> Result<Option<Blocker>> {
        // What CloudFormation holds may be the group's id instead of its name. With an id
        // the list below would be about no group at all, so the name is asked for first.
        let call = self.iot().describe_thing_group().thing_group_name(group);
        call.send().await.map_err(self.clients.failed("iot:DescribeThingGroup"))?;
        let mut children = Vec::new();
        let call = self.iot().list_thing_groups().parent_group(group).recursive(false);
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListThingGroups"))?;
            let groups = page.thing_groups.unwrap_or_default();
            children.extend(groups.into_iter().filter_map(|group| group.group_name));
        }
        children.retain(|child| self.is_foreign("AWS::IoT::ThingGroup", child));
        Ok((!children.is_empty()).then(|| Blocker::GroupHasChildren {
            logical_id,
            group: group.to_owned(),
            children,
        }))
    }

    async fn thing_type(&self, logical_id: String, thing_type: &str) -> Result<Option<Blocker>> {
        let mut things = Vec::new();
        let mut more = false;
        let mut pages =
            self.iot().list_things().thing_type_name(thing_type).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(self.clients.failed("iot:ListThings"))?;
            let names = page.things.unwrap_or_default().into_iter().filter_map(|it| it.thing_name);
            things.extend(names.filter(|thing| self.is_foreign("AWS::IoT::Thing", thing)));
            more = page.next_token.is_some();
            if things.len() >= THINGS_NAMED {
                break;
            }
        }
        Ok((!things.is_empty()).then(|| Blocker::TypeHasThings {
            logical_id,
            thing_type: thing_type.to_owned(),
            things,
            more,
        }))
    }

    fn iot(&self) -> &iot::Client {
        &self.clients.own.iot
    }

    /// Whether what `name` (or an ARN that ends in it) names is none of the stack's own.
    fn is_foreign(&self, kind: &str, name: &str) -> bool {
        if self.thoroughness == Thoroughness::Everything {
            return true;
        }
        let last = name.rsplit('/').next().unwrap_or(name);
        let own = self.all.iter().any(|resource| {
            let physical_id = resource.physical_id.as_deref();
            // A custom resource may have made it, and takes it away itself.
            (resource.resource_type == kind || is_custom(&resource.resource_type))
                && (physical_id == Some(name) || physical_id == Some(last))
        });
        !own
    }
}

/// How many things are asked for their certificates beforehand.
const THINGS_ASKED: usize = 50;

/// How many things of a type are named.
const THINGS_NAMED: usize = 100;
