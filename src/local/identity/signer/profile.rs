//! Signing profiles: a platform, a certificate, and how to sign with it.
//!
//! A name is given once: cancelling a profile does not free it. Cross-account
//! permissions of profiles are not offered.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, id, loose};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::PAGING;
use super::platform::Platform;
use super::{Signer, invalid, not_found};
use crate::records::Written;
use crate::wire::{Tags, add_tags};

/// A signing profile. A cancelled one stays, so that its name is never used again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) platform: String,
    pub(super) certificate: Option<String>,
    /// Value and unit, for the platforms that limit signatures in time.
    pub(super) validity: Option<(i64, String)>,
    pub(super) overrides: Map<String, Value>,
    pub(super) parameters: Tags,
    pub(super) tags: Tags,
    pub(super) cancelled: bool,
}

/// What a new profile needs.
pub(super) struct NewProfile {
    pub(super) name: String,
    pub(super) platform: String,
    pub(super) certificate: Option<String>,
    pub(super) validity: Option<(i64, String)>,
    pub(super) overrides: Map<String, Value>,
    pub(super) parameters: Tags,
    pub(super) tags: Vec<(String, String)>,
}

impl Profile {
    /// The format of its signatures.
    pub(super) fn format(&self) -> &str {
        let default = Platform::of(&self.platform).map_or("JSONDetached", |p| p.formats[0]);
        self.overrides.get("signingImageFormat").and_then(Value::as_str).unwrap_or(default)
    }

    fn status(&self) -> &'static str {
        if self.cancelled { "Canceled" } else { "Active" }
    }
}

impl Signer {
    /// Makes a profile.
    pub(super) fn add_profile(&self, wanted: NewProfile) -> Result<(Profile, Commit), Fault> {
        let name = &wanted.name;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !(2..=64).contains(&name.len()) || !plain {
            let accepted = "2 to 64 letters, digits and underscores";
            return Err(invalid(format!("`{name}` is no name of a profile: {accepted}")));
        }
        // Asked first, so that a name that is taken is never blamed on the certificate.
        if let Some(kept) = self.profiles.get(name) {
            return Err(taken(&kept));
        }
        let id = &wanted.platform;
        let platform =
            Platform::of(id).ok_or_else(|| invalid(format!("there is no platform `{id}`")))?;
        match (&wanted.certificate, platform.certificate) {
            (None, true) => {
                return Err(invalid(format!("platform `{id}` needs signingMaterial")));
            }
            (Some(_), false) => {
                return Err(invalid(format!("platform `{id}` takes no signingMaterial")));
            }
            (Some(arn), true) => self.check_certificate(arn, platform)?,
            (None, false) => {}
        }
        if let Some((value, unit)) = &wanted.validity {
            if platform.certificate {
                let reason = format!("signatures for platform `{id}` have no validity period");
                return Err(invalid(reason));
            }
            if *value < 1 || !["DAYS", "MONTHS", "YEARS"].contains(&unit.as_str()) {
                let reason =
                    format!("`{value} {unit}` is no validity period in DAYS, MONTHS or YEARS");
                return Err(invalid(reason));
            }
        }
        check_overrides(&wanted.overrides, platform)?;
        let mut tags = Tags::new();
        add_tags(&mut tags, wanted.tags)?;
        let profile = Profile {
            version: id::capitals(10),
            name: wanted.name,
            platform: wanted.platform,
            certificate: wanted.certificate,
            validity: match (wanted.validity, platform.certificate) {
                (None, false) => Some((135, "MONTHS".to_owned())),
                (validity, _) => validity,
            },
            overrides: wanted.overrides,
            parameters: wanted.parameters,
            tags,
            cancelled: false,
        };
        self.profiles.change(|profiles| {
            if let Some(kept) = profiles.get(&profile.name) {
                return Err(taken(kept));
            }
            profiles.put(&profile.name, profile.clone());
            Ok(profile)
        })
    }

    /// Cancels a profile; once more is fine.
    pub(super) fn cancel(&self, name: &str) -> Result<Commit, Fault> {
        let ((), commit) = self.profiles.change(|profiles| {
            let mut profile = profiles.get(name).cloned().ok_or_else(|| no_profile(name))?;
            profile.cancelled = true;
            profiles.put(name, profile);
            Ok(())
        })?;
        Ok(commit)
    }

    /// A profile.
    pub(super) fn profile(&self, name: &str) -> Result<Profile, Fault> {
        self.profiles.get(name).ok_or_else(|| no_profile(name))
    }

    /// The active profiles that sign with a certificate.
    pub(super) fn profiles_of(&self, certificate: &str) -> Vec<String> {
        let mut all = self.profiles.all();
        all.retain(|profile| {
            !profile.cancelled && profile.certificate.as_deref() == Some(certificate)
        });
        all.iter().map(|profile| self.profile_arn(profile)).collect()
    }

    pub(super) fn profile_arn(&self, profile: &Profile) -> String {
        self.account.arn("signer", format!("/signing-profiles/{}", profile.name))
    }

    pub(super) fn version_arn(&self, profile: &Profile) -> String {
        format!("{}/{}", self.profile_arn(profile), profile.version)
    }

    pub(super) fn put_profile(&self, call: Call) -> Written {
        let input = &call.input;
        let material = loose::object(input, "signingMaterial")?;
        let validity = loose::object(input, "signatureValidityPeriod")?;
        let validity = match loose::integer(&validity, "value")? {
            Some(value) => Some((value, loose::required(&validity, "type")?)),
            None => None,
        };
        let (profile, commit) = self.add_profile(NewProfile {
            name: loose::required(input, "profileName")?,
            platform: loose::required(input, "platformId")?,
            certificate: loose::text(&material, "certificateArn")?,
            validity,
            overrides: loose::object(input, "overrides")?,
            parameters: loose::pairs(input, "signingParameters", ("key", "value"))?
                .into_iter()
                .collect(),
            tags: loose::pairs(input, "tags", ("key", "value"))?,
        })?;
        let reply = json!({
            "arn": self.profile_arn(&profile),
            "profileVersion": profile.version,
            "profileVersionArn": self.version_arn(&profile),
        });
        Ok((reply.into(), commit))
    }

    pub(super) fn get_profile(&self, call: Call) -> Result<Reply, Fault> {
        let profile = self.profile(&loose::required(&call.input, "profileName")?)?;
        let mut shown = self.shown(&profile);
        if !profile.overrides.is_empty() {
            shown["overrides"] = Value::Object(profile.overrides);
        }
        Ok(shown.into())
    }

    pub(super) fn cancel_profile(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "profileName")?;
        Ok((Reply::empty(), self.cancel(&name)?))
    }

    pub(super) fn list_profiles(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        let mut statuses = loose::texts(input, "statuses")?;
        if statuses.is_empty() {
            statuses.push("Active".to_owned());
            if loose::flag(input, "includeCanceled")?.unwrap_or(false) {
                statuses.push("Canceled".to_owned());
            }
        }
        let platform = loose::text(input, "platformId")?;
        let mut all = self.profiles.all();
        all.retain(|profile| {
            statuses.iter().any(|status| status == profile.status())
                && platform.as_ref().is_none_or(|platform| *platform == profile.platform)
        });
        let (items, next) = PAGING.cut(input, all, |profile| profile.name.clone())?;
        let profiles: Vec<Value> = items.iter().map(|profile| self.shown(profile)).collect();
        let mut reply = json!({ "profiles": profiles });
        if let Some(next) = next {
            reply["nextToken"] = json!(next);
        }
        Ok(reply.into())
    }

    pub(super) fn tag(&self, call: Call) -> Written {
        let tags = loose::pairs(&call.input, "tags", ("key", "value"))?;
        self.edit_tags(&call, |kept| add_tags(kept, tags))
    }

    pub(super) fn untag(&self, call: Call) -> Written {
        let keys = loose::texts(&call.input, "tagKeys")?;
        self.edit_tags(&call, |kept| {
            kept.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    pub(super) fn list_tags(&self, call: Call) -> Result<Reply, Fault> {
        let profile = self.profiles.get(&tagged(&call)?);
        let profile = profile.ok_or_else(|| untagged(&call))?;
        Ok(json!({"tags": profile.tags}).into())
    }

    fn edit_tags(
        &self,
        call: &Call,
        change: impl FnOnce(&mut Tags) -> Result<(), Fault>,
    ) -> Written {
        let name = tagged(call)?;
        let ((), commit) = self.profiles.change(|profiles| {
            let mut profile = profiles.get(&name).cloned().ok_or_else(|| untagged(call))?;
            change(&mut profile.tags)?;
            profiles.put(&name, profile);
            Ok(())
        })?;
        Ok((Reply::empty(), commit))
    }

    fn shown(&self, profile: &Profile) -> Value {
        let platform = Platform::of(&profile.platform);
        let mut shown = json!({
            "profileName": profile.name,
            "profileVersion": profile.version,
            "profileVersionArn": self.version_arn(profile),
            "platformId": profile.platform,
            "platformDisplayName": platform.map(|platform| platform.name),
            "signingParameters": profile.parameters,
            "status": profile.status(),
            "arn": self.profile_arn(profile),
            "tags": profile.tags,
        });
        if let Some(arn) = &profile.certificate {
            shown["signingMaterial"] = json!({ "certificateArn": arn });
        }
        if let Some((value, unit)) = &profile.validity {
            shown["signatureValidityPeriod"] = json!({"value": value, "type": unit});
        }
        shown
    }

    fn check_certificate(&self, arn: &str, platform: &Platform) -> Result<(), Fault> {
        let facts = self.acm.facts(arn).map_err(|fault| match fault.code.as_str() {
            "ResourceNotFoundException" => not_found(fault.message),
            _ => invalid(fault.message),
        })?;
        if platform.encryption != "ECDSA" {
            return Ok(());
        }
        facts
            .check_code_signing()
            .map_err(|reason| invalid(format!("certificate {arn} cannot sign code: {reason}")))
    }
}

fn check_overrides(overrides: &Map<String, Value>, platform: &Platform) -> Result<(), Fault> {
    let configuration = loose::object(overrides, "signingConfiguration")?;
    let id = platform.id;
    for (member, only) in
        [("encryptionAlgorithm", platform.encryption), ("hashAlgorithm", platform.hash)]
    {
        if let Some(wanted) = loose::text(&configuration, member)?
            && wanted != only
        {
            return Err(invalid(format!("platform `{id}` signs with {only}, not `{wanted}`")));
        }
    }
    if let Some(format) = loose::text(overrides, "signingImageFormat")?
        && !platform.formats.contains(&format.as_str())
    {
        let known = platform.formats.join(" and ");
        return Err(invalid(format!("platform `{id}` writes {known}, not `{format}`")));
    }
    Ok(())
}

/// The name of the profile whose tags are meant.
fn tagged(call: &Call) -> Result<String, Fault> {
    let arn = loose::required(&call.input, "resourceArn")?;
    let name = arn.split_once("/signing-profiles/").map(|(_, name)| name);
    let name = name.filter(|name| arn.contains(":signer:") && !name.contains('/'));
    name.map(str::to_owned).ok_or_else(|| {
        let reason = format!("`{arn}` is not the ARN of a signing profile");
        Fault::new("BadRequestException", 400, reason)
    })
}

fn untagged(call: &Call) -> Fault {
    let arn = call.text("resourceArn").unwrap_or_default();
    Fault::new("NotFoundException", 404, format!("there is no signing profile {arn}"))
}

fn taken(kept: &Profile) -> Fault {
    let reason = if kept.cancelled {
        "a cancelled profile had this name, which is never given free"
    } else {
        "a profile with this name exists already"
    };
    invalid(format!("`{}`: {reason}", kept.name))
}

fn no_profile(name: &str) -> Fault {
    not_found(format!("there is no signing profile `{name}`"))
}
