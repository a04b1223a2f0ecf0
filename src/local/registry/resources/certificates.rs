//! Certificates, authorities, policies and attachments as CloudFormation has them.
//!
//! CloudFormation makes no keys: a certificate comes from a signing request or
//! is registered. A policy document is an object or a text; an update makes a
//! new version and removes the old one.

use iotstack_local_kernel::{Fault, ResourceFault, ResourceRequest, ResourceState};
use serde_json::{Map, Value};

use super::{
    Kind, Outcome, changed, flag, gone, name_or_made, nested, properties, required, text, unchanged,
};
use crate::api::cas::NewCa;
use crate::api::certificates::read_status;
use crate::api::principals::read_kind;
use crate::core::{Registry, Tx};
use crate::fault;
use crate::state::{CertStatus, RegistrationConfig};

pub const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::IoT::Certificate",
        create: create_certificate,
        update: update_certificate,
        delete: delete_certificate,
    },
    Kind {
        name: "AWS::IoT::CACertificate",
        create: create_ca,
        update: update_ca,
        delete: delete_ca,
    },
    Kind {
        name: "AWS::IoT::Policy",
        create: create_policy,
        update: update_policy,
        delete: delete_policy,
    },
    Kind {
        name: "AWS::IoT::PolicyPrincipalAttachment",
        create: attach_policy,
        update: replace,
        delete: detach_policy,
    },
    Kind {
        name: "AWS::IoT::ThingPrincipalAttachment",
        create: attach_thing,
        update: replace,
        delete: detach_thing,
    },
];

fn create_certificate(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let all = properties(request);
    let status = read_status(&required(&all, "Status")?)?;
    let (csr, pem) = (text(&all, "CertificateSigningRequest"), text(&all, "CertificatePem"));
    let issued = match (&csr, &pem) {
        (Some(csr), None) => Some(registry.ca.issue_request(csr).map_err(fault::invalid)?),
        (None, Some(_)) => None,
        _ => {
            return Err(ResourceFault::failed(
                "InvalidRequest",
                "a certificate needs either CertificateSigningRequest or CertificatePem",
            ));
        }
    };
    changed(registry.change(|tx| {
        let id = match (&issued, &pem) {
            (Some(issued), _) => {
                let certificate = tx.new_certificate(issued, status);
                tx.put_certificate(certificate);
                issued.id.clone()
            }
            (None, Some(pem)) if text(&all, "CertificateMode").as_deref() == Some("SNI_ONLY") => {
                tx.register_alone(pem, status)?
            }
            (None, Some(pem)) => {
                let ca = text(&all, "CACertificatePem").ok_or_else(|| {
                    fault::invalid(
                        "CertificatePem needs CACertificatePem, or CertificateMode SNI_ONLY",
                    )
                })?;
                tx.register_certificate(pem, Some(&ca), status)?
            }
            (None, None) => return Err(fault::invalid("no certificate is given")),
        };
        Ok(certificate_state(tx, &id))
    }))
}

fn update_certificate(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(
        request,
        &["CertificateSigningRequest", "CertificatePem", "CACertificatePem", "CertificateMode"],
    )?;
    let id = request.physical_id()?;
    let status = read_status(&required(&properties(request), "Status")?)?;
    changed(registry.change(|tx| {
        tx.set_certificate_status(id, status)?;
        Ok(certificate_state(tx, id))
    }))
}

/// CloudFormation makes the certificate inactive first; what is attached blocks.
fn delete_certificate(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let id = request.physical_id()?;
    gone(registry.change(|tx| {
        let active = tx.certificate(id)?.status == CertStatus::Active;
        let arn = tx.arn(format_args!("cert/{id}"));
        let attached = tx.state.principals.contains_key(&*arn);
        if active && !attached {
            tx.set_certificate_status(id, CertStatus::Inactive)?;
        }
        if active && attached {
            return Err(fault::delete_conflict(format!(
                "certificate `{id}` cannot be deleted: things or policies are attached to it"
            )));
        }
        tx.delete_certificate(id, false)
    }))
}

fn certificate_state(tx: &Tx<'_>, id: &str) -> ResourceState {
    ResourceState::new(id).with("Arn", tx.arn(format_args!("cert/{id}"))).with("Id", id)
}

fn create_ca(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let all = properties(request);
    let new = NewCa {
        pem: required(&all, "CACertificatePem")?,
        verification: text(&all, "VerificationCertificatePem"),
        active: active(&all)?,
        auto_registration: auto(&all),
        registration: registration(&all),
        sni_only: text(&all, "CertificateMode").as_deref() == Some("SNI_ONLY"),
    };
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        let ca = tx.register_ca(new)?;
        let arn = tx.arn(format_args!("cacert/{}", ca.id));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(&*ca.id).with("Arn", arn).with("Id", &*ca.id))
    }))
}

fn update_ca(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["CACertificatePem", "VerificationCertificatePem", "CertificateMode"])?;
    let id = request.physical_id()?;
    let all = properties(request);
    let (active, auto, registration) = (active(&all)?, auto(&all), registration(&all));
    let remove = flag(&all, "RemoveAutoRegistration");
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        tx.update_ca(id, Some(active), Some(auto), registration, remove)?;
        let arn = tx.arn(format_args!("cacert/{id}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(id).with("Arn", arn).with("Id", id))
    }))
}

fn delete_ca(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let id = request.physical_id()?;
    gone(registry.change(|tx| {
        tx.update_ca(id, Some(false), None, None, false)?;
        tx.delete_ca(id)
    }))
}

fn active(all: &Map<String, Value>) -> Result<bool, ResourceFault> {
    match required(all, "Status")?.as_str() {
        "ACTIVE" => Ok(true),
        "INACTIVE" => Ok(false),
        other => Err(ResourceFault::failed(
            "InvalidRequest",
            format!("Status must be ACTIVE or INACTIVE, not `{other}`"),
        )),
    }
}

fn auto(all: &Map<String, Value>) -> bool {
    text(all, "AutoRegistrationStatus").as_deref() == Some("ENABLE")
}

fn registration(all: &Map<String, Value>) -> Option<RegistrationConfig> {
    let found = nested(all, "RegistrationConfig");
    (!found.is_empty()).then(|| RegistrationConfig {
        template_body: text(&found, "TemplateBody"),
        role_arn: text(&found, "RoleArn"),
        template_name: text(&found, "TemplateName"),
    })
}

fn create_policy(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let name = name_or_made(request, "PolicyName", 128);
    let document = document(request)?;
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        tx.create_policy(&name, &document)?;
        let arn = tx.arn(format_args!("policy/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(&*name).with("Arn", arn).with("Id", &*name))
    }))
}

fn update_policy(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    unchanged(request, &["PolicyName"])?;
    let name = request.physical_id()?;
    let document = document(request)?;
    let tags = request.tags()?;
    changed(registry.change(|tx| {
        let policy = tx.policy(name)?;
        if policy.document() != document {
            // Room for the new version: old ones that are not used make it.
            crate::policy::Document::parse_new(&document).map_err(fault::malformed_policy)?;
            let default = policy.default;
            tx.edit_policy(name, |policy| policy.versions.retain(|number, _| *number == default));
            let number = tx.create_policy_version(name, &document, true)?;
            tx.edit_policy(name, |policy| policy.versions.retain(|kept, _| *kept == number));
        }
        let arn = tx.arn(format_args!("policy/{name}"));
        tx.put_tags(&arn, tags);
        Ok(ResourceState::new(name).with("Arn", arn).with("Id", name))
    }))
}

fn delete_policy(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let name = request.physical_id()?;
    gone(registry.change(|tx| {
        let policy = tx.policy(name)?;
        if policy.targets.is_empty() {
            let default = policy.default;
            tx.edit_policy(name, |policy| policy.versions.retain(|number, _| *number == default));
        }
        tx.delete_policy(name)
    }))
}

fn document(request: &ResourceRequest) -> Result<String, ResourceFault> {
    match request.properties.get("PolicyDocument") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(document @ Value::Object(_)) => Ok(document.to_string()),
        _ => Err(ResourceFault::failed("InvalidRequest", "property PolicyDocument is required")),
    }
}

fn attach_policy(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let all = properties(request);
    let (name, principal) = (required(&all, "PolicyName")?, required(&all, "Principal")?);
    changed(registry.change(|tx| {
        // The older call behind this type knows certificates and identities only.
        let key = tx.principal(&principal)?;
        tx.attach_policy(&name, &key)?;
        Ok(ResourceState::new(format!("{name}|{principal}")))
    }))
}

fn detach_policy(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let (name, principal) = pair(request)?;
    gone(registry.change(|tx| {
        tx.detach_policy(&name, &principal.as_str().into());
        Ok(())
    }))
}

fn attach_thing(registry: &Registry, request: &ResourceRequest) -> Outcome<ResourceState> {
    let all = properties(request);
    let (name, principal) = (required(&all, "ThingName")?, required(&all, "Principal")?);
    let exclusive = match text(&all, "ThingPrincipalType") {
        Some(word) => read_kind(&word)?,
        None => false,
    };
    changed(registry.change(|tx| {
        tx.attach_thing(&name, &principal, exclusive)?;
        Ok(ResourceState::new(format!("{name}|{principal}")))
    }))
}

fn detach_thing(registry: &Registry, request: &ResourceRequest) -> Outcome<()> {
    let (name, principal) = pair(request)?;
    gone(registry.change(|tx| {
        tx.detach_thing(&name, &principal.as_str().into());
        Ok(())
    }))
}

/// Every property of an attachment names it, so any change is another one.
fn replace(_: &Registry, _: &ResourceRequest) -> Outcome<ResourceState> {
    Err(ResourceFault::Replace)
}

fn pair(request: &ResourceRequest) -> Result<(String, String), Fault> {
    let id = request.physical_id.as_deref().unwrap_or_default();
    id.split_once('|')
        .map(|(name, principal)| (name.to_owned(), principal.to_owned()))
        .ok_or_else(|| Fault::internal(format!("`{id}` is no name of an attachment")))
}
