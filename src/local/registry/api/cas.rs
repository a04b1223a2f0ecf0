//! Authorities of the account: registered so that the devices whose certificates
//! they signed may be registered, or register themselves.
//!
//! Whoever registers one proves to hold its key, by a certificate over the
//! registration code of the account, unless devices send the server's name.

use std::collections::BTreeMap;

use iotstack_local_kernel::{Call, Fault, id, tags};
use serde_json::{Map, Value, json};

use super::certificates::{generation, mode};
use super::input::{marked, text_of};
use crate::core::{Changed, Registry, Tx};
use crate::state::{Ca, RegistrationConfig};
use crate::{fault, provisioning, x509};

/// What a new authority shall be.
#[derive(Debug, Default)]
pub struct NewCa {
    pub pem: String,
    pub verification: Option<String>,
    pub active: bool,
    pub auto_registration: bool,
    pub registration: Option<RegistrationConfig>,
    pub sni_only: bool,
}

pub fn register(registry: &Registry, call: &Call) -> Changed {
    let new = NewCa {
        pem: call.text("caCertificate")?.to_owned(),
        verification: call.optional_text("verificationCertificate")?.map(str::to_owned),
        active: call.flag("setAsActive")?,
        auto_registration: call.flag("allowAutoRegistration")?,
        registration: registration(&call.input)?,
        sni_only: match call.optional_text("certificateMode")? {
            None | Some("DEFAULT") => false,
            Some("SNI_ONLY") => true,
            Some(other) => {
                return Err(fault::invalid(format!(
                    "certificateMode must be DEFAULT or SNI_ONLY, not `{other}`"
                )));
            }
        },
    };
    let tags = tags::read(&call.input)?;
    registry.change(|tx| {
        let ca = tx.register_ca(new)?;
        let arn = tx.arn(format_args!("cacert/{}", ca.id));
        tx.put_tags(&arn, tags);
        Ok(json!({"certificateArn": arn, "certificateId": &*ca.id}))
    })
}

pub fn describe(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let name = call.text("caCertificateId")?;
    registry.read(|state| {
        let ca = state.cas.get(name).ok_or_else(|| fault::not_found("CA certificate", name))?;
        let facts = x509::facts(&ca.der).map_err(Fault::internal)?;
        let mut answer = json!({"certificateDescription": {
            "certificateArn": registry.account.arn("iot", format_args!("cacert/{name}")),
            "certificateId": name,
            "status": word(ca.active, "ACTIVE", "INACTIVE"),
            "certificatePem": ca.pem(),
            "ownedBy": registry.account.id,
            "creationDate": ca.created.fractional_seconds(),
            "autoRegistrationStatus": word(ca.auto_registration, "ENABLE", "DISABLE"),
            "lastModifiedDate": ca.modified.fractional_seconds(),
            "customerVersion": ca.customer_version,
            "generationId": generation(&ca.id),
            "validity": {
                "notBefore": facts.not_before.fractional_seconds(),
                "notAfter": facts.not_after.fractional_seconds(),
            },
            "certificateMode": mode(ca.sni_only),
        }});
        if let Some(registration) = &ca.registration {
            answer["registrationConfig"] = json!(registration);
        }
        Ok(answer)
    })
}

pub fn list(registry: &Registry, call: &Call) -> Result<Value, Fault> {
    let template = call.optional_text("templateName")?;
    registry.read(|state| {
        let found: Vec<&Ca> = state
            .cas
            .values()
            .filter(|ca| {
                template.is_none_or(|template| {
                    ca.registration.as_ref().is_some_and(|registration| {
                        registration.template_name.as_deref() == Some(template)
                    })
                })
            })
            .collect();
        marked(
            call,
            "certificates",
            found,
            |ca| ca.id.to_string(),
            |ca| {
                json!({
                    "certificateArn": registry.account.arn("iot", format_args!("cacert/{}", ca.id)),
                    "certificateId": &*ca.id,
                    "status": word(ca.active, "ACTIVE", "INACTIVE"),
                    "creationDate": ca.created.fractional_seconds(),
                })
            },
        )
    })
}

pub fn update(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("caCertificateId")?;
    let active = choice(call, "newStatus", "ACTIVE", "INACTIVE")?;
    let auto = choice(call, "newAutoRegistrationStatus", "ENABLE", "DISABLE")?;
    let registration = registration(&call.input)?;
    let remove = call.flag("removeAutoRegistration")?;
    registry.change(|tx| {
        tx.update_ca(name, active, auto, registration, remove)?;
        Ok(json!({}))
    })
}

pub fn delete(registry: &Registry, call: &Call) -> Changed {
    let name = call.text("caCertificateId")?;
    registry.change(|tx| {
        tx.delete_ca(name)?;
        Ok(json!({}))
    })
}

pub fn registration_code(registry: &Registry, _: &Call) -> Changed {
    registry.change(|tx| {
        if tx.state.settings.registration_code.is_none() {
            tx.state.settings.registration_code = Some(id::hex_digits(64));
            tx.save_settings();
        }
        Ok(json!({"registrationCode": tx.state.settings.registration_code}))
    })
}

pub fn delete_registration_code(registry: &Registry, _: &Call) -> Changed {
    registry.change(|tx| {
        tx.state.settings.registration_code = None;
        tx.save_settings();
        Ok(json!({}))
    })
}

/// The `registrationConfig` of an input.
fn registration(members: &Map<String, Value>) -> Result<Option<RegistrationConfig>, Fault> {
    let Some(Value::Object(members)) = members.get("registrationConfig") else { return Ok(None) };
    let found = RegistrationConfig {
        template_body: text_of(members, "templateBody")?,
        role_arn: text_of(members, "roleArn")?,
        template_name: text_of(members, "templateName")?,
    };
    check_registration(&found)?;
    Ok(Some(found))
}

fn check_registration(found: &RegistrationConfig) -> Result<(), Fault> {
    if found.template_name.is_some() && found.template_body.is_some() {
        return Err(fault::invalid("templateName and templateBody exclude each other"));
    }
    if let Some(body) = &found.template_body {
        if found.role_arn.is_none() {
            return Err(fault::invalid("a templateBody needs a roleArn"));
        }
        provisioning::check_body(body, false).map_err(fault::invalid)?;
    }
    Ok(())
}

fn choice(call: &Call, name: &str, yes: &str, no: &str) -> Result<Option<bool>, Fault> {
    match call.optional_text(name)? {
        None => Ok(None),
        Some(word) if word == yes => Ok(Some(true)),
        Some(word) if word == no => Ok(Some(false)),
        Some(other) => Err(fault::invalid(format!("{name} must be {yes} or {no}, not `{other}`"))),
    }
}

fn word(is: bool, yes: &'static str, no: &'static str) -> &'static str {
    if is { yes } else { no }
}

impl Tx<'_> {
    /// Registers an authority whose owner proved to hold its key.
    pub fn register_ca(&mut self, new: NewCa) -> Result<Ca, Fault> {
        if let Some(registration) = &new.registration {
            self.check_template(registration)?;
        }
        let der = x509::certificate_der(&new.pem).map_err(fault::certificate_validation)?;
        let facts = x509::facts(&der).map_err(fault::certificate_validation)?;
        if !facts.is_ca {
            return Err(fault::certificate_validation(format!(
                "the certificate of `{}` is no CA certificate (basic constraints)",
                facts.subject
            )));
        }
        let id = x509::fingerprint(&der);
        if self.state.cas.contains_key(&*id) {
            let arn = self.arn(format_args!("cacert/{id}"));
            return Err(fault::exists("CA certificate", &id, &id, &arn));
        }
        let same = self
            .state
            .cas
            .values()
            .filter(|ca| x509::facts(&ca.der).is_ok_and(|other| other.subject == facts.subject))
            .count();
        if same >= MOST_SAME_SUBJECT {
            return Err(fault::limit(format!(
                "{MOST_SAME_SUBJECT} CA certificates with the subject `{}` are the most",
                facts.subject
            )));
        }
        match (&new.verification, new.sni_only) {
            (None, true) => {}
            (Some(_), true) => {
                return Err(fault::invalid("SNI_ONLY takes no verificationCertificate"));
            }
            (None, false) => {
                return Err(fault::invalid(
                    "verificationCertificate is required unless certificateMode is SNI_ONLY",
                ));
            }
            (Some(pem), false) => self.check_verification(pem, &der)?,
        }
        let ca = Ca {
            id: id.as_str().into(),
            der: der.into_boxed_slice(),
            active: new.active,
            auto_registration: new.auto_registration,
            registration: new.registration,
            sni_only: new.sni_only,
            created: self.now,
            modified: self.now,
            customer_version: 1,
        };
        self.put_ca(ca.clone());
        Ok(ca)
    }

    /// Changes an authority.
    pub fn update_ca(
        &mut self,
        id: &str,
        active: Option<bool>,
        auto: Option<bool>,
        registration: Option<RegistrationConfig>,
        remove: bool,
    ) -> Result<(), Fault> {
        if let Some(registration) = &registration {
            check_registration(registration)?;
            self.check_template(registration)?;
        }
        let mut ca = self.ca(id)?.clone();
        ca.active = active.unwrap_or(ca.active);
        ca.auto_registration = auto.unwrap_or(ca.auto_registration);
        if registration.is_some() {
            ca.registration = registration;
        }
        if remove {
            ca.auto_registration = false;
            ca.registration = None;
        }
        ca.modified = self.now;
        self.put_ca(ca);
        Ok(())
    }

    /// Deletes an authority that is not active.
    pub fn delete_ca(&mut self, id: &str) -> Result<(), Fault> {
        if self.ca(id)?.active {
            return Err(fault::certificate_state(format!(
                "CA certificate `{id}` is ACTIVE; make it INACTIVE before it is deleted"
            )));
        }
        self.remove_ca(id);
        let arn = self.arn(format_args!("cacert/{id}"));
        self.put_tags(&arn, BTreeMap::new());
        Ok(())
    }

    /// Whether the template that devices are provisioned by is there and made for it.
    fn check_template(&self, registration: &RegistrationConfig) -> Result<(), Fault> {
        let Some(name) = &registration.template_name else { return Ok(()) };
        match self.state.templates.get(&**name) {
            Some(template) if template.just_in_time => Ok(()),
            Some(_) => Err(fault::invalid(format!(
                "template `{name}` is for claims; the template of a CA certificate has the type JITP"
            ))),
            None => Err(fault::not_found("provisioning template", name)),
        }
    }

    fn ca(&self, id: &str) -> Result<&Ca, Fault> {
        self.state.cas.get(id).ok_or_else(|| fault::not_found("CA certificate", id))
    }

    /// The verification certificate is signed by the authority and carries the
    /// registration code as its common name.
    fn check_verification(&self, pem: &str, ca: &[u8]) -> Result<(), Fault> {
        let der = x509::certificate_der(pem).map_err(fault::certificate_validation)?;
        if !x509::signed_by(&der, ca) {
            return Err(fault::certificate_validation(
                "the verification certificate is not signed by the CA certificate",
            ));
        }
        let facts = x509::facts(&der).map_err(fault::certificate_validation)?;
        if facts.common_name.is_none() || facts.common_name != self.state.settings.registration_code
        {
            return Err(Fault::new(
                "RegistrationCodeValidationException",
                400,
                "the common name of the verification certificate is not the registration code of \
                 the account (GetRegistrationCode)",
            ));
        }
        Ok(())
    }
}

const MOST_SAME_SUBJECT: usize = 10;
