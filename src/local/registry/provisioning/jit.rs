//! Devices that register themselves: just in time, by the authority that signed
//! their certificate.
//!
//! The first connection registers the certificate and is refused; the device
//! comes back. Without a template an event asks a rule or a function to activate
//! the certificate (JITR); with one the template does everything (JITP).

use std::collections::BTreeMap;
use std::sync::Arc;

use iotstack_local_kernel::Fault;
use serde_json::json;

use super::{Plan, evaluate, register};
use crate::core::Registry;
use crate::state::{Ca, CertStatus};
use crate::{fault, x509};

/// Registers the certificate of a device that was never seen before.
pub fn first_seen(registry: &Arc<Registry>, certificate: &[u8]) {
    let ca = registry.read(|state| {
        state
            .cas
            .values()
            .find(|ca| ca.active && ca.auto_registration && x509::signed_by(certificate, &ca.der))
            .cloned()
    });
    let Some(ca) = ca else { return };
    if let Err(fault) = provision(registry, &ca, certificate) {
        tracing::warn!(%fault, ca = &*ca.id, "a device was not registered just in time");
    }
}

fn provision(registry: &Registry, ca: &Ca, certificate: &[u8]) -> Result<(), Fault> {
    let id = x509::fingerprint(certificate);
    let body = match &ca.registration {
        None => None,
        Some(registration) => match (&registration.template_name, &registration.template_body) {
            (Some(name), _) => registry.read(|state| match state.templates.get(&**name) {
                Some(template) if template.enabled => Ok(Some(template.body().to_owned())),
                Some(_) => Err(fault::registration_failure(format!("template `{name}` is off"))),
                None => Err(fault::not_found("provisioning template", name)),
            })?,
            (None, body) => body.clone(),
        },
    };
    let plan = match &body {
        None => None,
        Some(body) => {
            let values = parameters(certificate, &id);
            let evaluated = evaluate(body, &values, true).map_err(fault::registration_failure)?;
            Some(Plan::of(&evaluated).map_err(fault::registration_failure)?)
        }
    };
    let (_, commit) = registry.change(|tx| {
        tx.registered(
            certificate.to_vec(),
            CertStatus::PendingActivation,
            Some(ca.id.clone()),
            ca.sni_only,
        )?;
        let Some(plan) = &plan else {
            let event = json!({
                "certificateId": id,
                "caCertificateId": &*ca.id,
                "timestamp": tx.now.millis(),
                "certificateStatus": CertStatus::PendingActivation.word(),
                "awsAccountId": tx.account.id,
                "certificateRegistrationTimestamp": tx.now.millis().to_string(),
            });
            tx.publish(format!("$aws/events/certificates/registered/{}", ca.id), &event);
            return Ok(());
        };
        if let Err(fault) = register(tx, plan, None, Some(&id)) {
            // The device may try again when the template was mended.
            tx.drop_certificate(&id);
            tracing::warn!(%fault, "the template of an authority fails");
        }
        Ok(())
    })?;
    drop(commit);
    Ok(())
}

/// What the subject of the certificate gives the template.
fn parameters(certificate: &[u8], id: &str) -> BTreeMap<String, String> {
    let parts = [
        ("Country", "Country"),
        ("Organization", "Organization"),
        ("OrganizationalUnit", "OrganizationalUnit"),
        ("DistinguishedNameQualifier", "DistinguishedNameQualifier"),
        ("StateName", "StateName"),
        ("CommonName", "CommonName"),
        ("SerialNumber", "SerialNumber"),
    ];
    let mut values = BTreeMap::from([("AWS::IoT::Certificate::Id".to_owned(), id.to_owned())]);
    for (name, part) in parts {
        if let Some(value) = x509::subject_part(certificate, part) {
            values.insert(format!("AWS::IoT::Certificate::{name}"), value);
        }
    }
    values
}
