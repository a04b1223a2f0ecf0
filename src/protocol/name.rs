//! Names that AWS IoT and AWS Signer accept, each a type of its own.
//!
//! A thing name and a job id have different alphabets and lengths, and mixing
//! them up is a fault that only shows in the cloud. A value of one of these
//! types has been checked; it is made with `FromStr` or from JSON.
//!
//! Whether something of that name exists is not known here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Makes a newtype over `String` with a check, `FromStr`, `Display` and serde.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $kind:literal, $expected:literal, $check:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Error::InvalidName {
                        kind: $kind,
                        value: text.to_owned(),
                        expected: $expected,
                    })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a thing, 1 to 128 characters.
    ThingName,
    "thing name",
    "1 to 128 of the characters a-z, A-Z, 0-9, `:`, `_` and `-`",
    is_registry_name
);

name!(
    /// The name of a thing group, 1 to 128 characters.
    ThingGroupName,
    "thing group name",
    "1 to 128 of the characters a-z, A-Z, 0-9, `:`, `_` and `-`",
    is_registry_name
);

name!(
    /// The name of a thing type, 1 to 128 characters.
    ThingTypeName,
    "thing type name",
    "1 to 128 of the characters a-z, A-Z, 0-9, `:`, `_` and `-`",
    is_registry_name
);

name!(
    /// The name of a billing group, 1 to 128 characters.
    BillingGroupName,
    "billing group name",
    "1 to 128 of the characters a-z, A-Z, 0-9, `:`, `_` and `-`",
    is_registry_name
);

name!(
    /// The id of a job, 1 to 64 characters.
    JobId,
    "job id",
    "1 to 64 of the characters a-z, A-Z, 0-9, `_` and `-`",
    |text| has_length(text, 1, 64) && text.bytes().all(|b| is_word(b) || b == b'-')
);

name!(
    /// The name of a signing profile of AWS Signer, 2 to 64 characters.
    SigningProfileName,
    "signing profile name",
    "2 to 64 of the characters a-z, A-Z, 0-9 and `_`",
    |text| has_length(text, 2, 64) && text.bytes().all(is_word)
);

name!(
    /// A firmware version, short enough to be part of a job id.
    FirmwareVersion,
    "firmware version",
    "1 to 46 of the characters a-z, A-Z, 0-9, `.`, `_`, `+`, `:`, `~` and `-`",
    |text| has_length(text, 1, 46)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+:~-".contains(&b))
);

name!(
    /// Where a device keeps the certificate that it verifies firmware with.
    ///
    /// AWS calls it the `certname` of the signing parameters: a path or a name,
    /// by agreement with the device. `${` is refused, because AWS IoT would take
    /// what follows for a placeholder of the job document.
    CertificateName,
    "certificate name",
    "text without control characters and without `${`",
    |text| !text.is_empty() && !text.contains("${") && !text.chars().any(char::is_control)
);

impl JobId {
    /// The id of the job that brings `version` to devices.
    ///
    /// `prefix` begins the id and tells the jobs of one fleet from others in the
    /// account. The first eight letters and digits of `token` tell two jobs for the
    /// same version apart. The same version and token give the same id, so that a
    /// repeated request finds the first job instead of making another. A version
    /// that would make the id too long is cut.
    pub fn for_firmware(prefix: &JobId, version: &FirmwareVersion, token: &str) -> JobId {
        let token: String = token.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        let room = 64_usize.saturating_sub(prefix.0.len() + token.len() + 2);
        let version = version.as_str().chars().take(room);
        let version: String =
            version.map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let id: String = format!("{prefix}-{version}-{token}").chars().take(64).collect();
        JobId(id)
    }
}

fn is_registry_name(text: &str) -> bool {
    has_length(text, 1, 128) && text.bytes().all(|b| is_word(b) || b":-".contains(&b))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn has_length(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn says_what_a_thing_name_may_hold() {
        assert_eq!(
            "lamp one".parse::<ThingName>().unwrap_err().to_string(),
            "thing name `lamp one` is not valid: expected 1 to 128 of the characters a-z, A-Z, \
             0-9, `:`, `_` and `-`"
        );
        assert!("a".repeat(128).parse::<ThingGroupName>().is_ok());
        assert!("a".repeat(129).parse::<ThingGroupName>().is_err());
    }

    #[test]
    fn refuses_a_hyphen_in_a_signing_profile_name() {
        assert!("firmware_dev".parse::<SigningProfileName>().is_ok());
        assert!("firmware-dev".parse::<SigningProfileName>().is_err());
        assert!("f".parse::<SigningProfileName>().is_err());
    }

    #[test]
    fn refuses_names_in_json_that_it_refuses_in_text() {
        let error = serde_json::from_str::<JobId>("\"a:b\"").unwrap_err();
        assert!(error.to_string().starts_with("job id `a:b` is not valid"), "{error}");
    }

    #[test]
    fn refuses_a_placeholder_where_a_certificate_name_belongs() {
        assert!("/etc/firmware/signer.pem".parse::<CertificateName>().is_ok());
        assert!("${aws:iot:parameter:x}".parse::<CertificateName>().is_err());
        assert!("".parse::<CertificateName>().is_err());
    }

    #[test]
    fn names_a_firmware_job_after_its_version_and_its_request() {
        let version: FirmwareVersion = "1.1.0+build~7".parse().unwrap();
        let prefix = "firmware".parse().unwrap();
        let id = JobId::for_firmware(&prefix, &version, "8f14-e45fceea-167a");
        assert_eq!(id.as_str(), "firmware-1-1-0-build-7-8f14e45f");
    }

    proptest! {
        #[test]
        fn every_firmware_version_makes_a_valid_job_id(
            prefix in "[a-z-]{1,64}", version in "[a-zA-Z0-9._+:~-]{1,46}", token in ".{0,40}"
        ) {
            let version: FirmwareVersion = version.parse().unwrap();
            let prefix = prefix.parse().unwrap();
            let id = JobId::for_firmware(&prefix, &version, &token);
            prop_assert_eq!(id.as_str().parse::<JobId>(), Ok(id.clone()));
        }

        #[test]
        fn a_thing_name_survives_json(name in "[a-zA-Z0-9:_-]{1,128}") {
            let name: ThingName = name.parse().unwrap();
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<ThingName>(&json).unwrap(), name);
        }

        #[test]
        fn nothing_makes_parsing_panic(text in ".{0,200}") {
            let _ = text.parse::<ThingName>();
            let _ = text.parse::<JobId>();
            let _ = text.parse::<FirmwareVersion>();
            let _ = text.parse::<CertificateName>();
        }
    }
}
