//! How an update ends on a device, and the word that it reports.
//!
//! A device ends every job execution with exactly one of three statuses, and with a
//! reason in the status details that a person or a rule can act upon. The words
//! are fixed; the detail beside them is for people.
//!
//! `TIMED_OUT` and `CANCELED` are missing on purpose: only the cloud says those.

use std::collections::BTreeMap;
use std::fmt;

use iotstack_protocol::JobExecutionStatus;
use iotstack_protocol::text::is_other;
use serde::{Deserialize, Serialize};

/// The end of an update, as the device reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The word.
    pub reason: Reason,
    /// What happened, for people.
    pub detail: String,
}

/// Why an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The new image runs, has tested itself and is the one that boots from now on.
    Accepted,
    /// The version runs already, and the device is set to call that a success.
    NothingToDo,
    /// The image's bytes are not those of the job document.
    Checksum,
    /// There is no signature, or it does not fit the image.
    Signature,
    /// The signer is not one that the device trusts, or no longer.
    UntrustedSigner,
    /// The signature is of an algorithm that the device does not accept.
    Algorithm,
    /// The version is older than what the device may run.
    Rollback,
    /// The version runs already.
    SameVersion,
    /// The document or the image is out of date, or has been replayed.
    Expired,
    /// The image is for another model.
    WrongDevice,
    /// The image is larger or smaller than declared.
    Size,
    /// The image did not arrive in the time that the device allows.
    Timeout,
    /// There is something after the image.
    ExtraBytes,
    /// The download's host cannot be trusted, or wanted to lead elsewhere.
    Tls,
    /// The download failed in another way.
    Download,
    /// The image builds upon one that the device does not run.
    WrongBase,
    /// The new image did not live; the old one runs again.
    RolledBack,
    /// The flash could not be written.
    Storage,
    /// The device's clock cannot be right.
    Clock,
    /// The job document cannot be understood.
    Document,
}

impl Outcome {
    /// An outcome with its explanation.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Outcome { reason, detail: detail.into() }
    }

    /// The status that goes with it.
    pub fn status(&self) -> JobExecutionStatus {
        self.reason.status()
    }

    /// What the status details of the report hold.
    pub fn status_details(&self) -> BTreeMap<String, String> {
        let mut details = BTreeMap::from([("reason".to_owned(), self.reason.to_string())]);
        // AWS IoT accepts values of 1 to 1024 characters that somebody can see.
        let detail: String = self.detail.chars().filter(|c| !is_other(*c)).take(1024).collect();
        if !detail.is_empty() {
            details.insert("detail".to_owned(), detail);
        }
        details
    }
}

impl Reason {
    /// Every reason, in the order of the enum.
    pub const ALL: [Reason; 20] = [
        Reason::Accepted,
        Reason::NothingToDo,
        Reason::Checksum,
        Reason::Signature,
        Reason::UntrustedSigner,
        Reason::Algorithm,
        Reason::Rollback,
        Reason::SameVersion,
        Reason::Expired,
        Reason::WrongDevice,
        Reason::Size,
        Reason::Timeout,
        Reason::ExtraBytes,
        Reason::Tls,
        Reason::Download,
        Reason::WrongBase,
        Reason::RolledBack,
        Reason::Storage,
        Reason::Clock,
        Reason::Document,
    ];

    /// The status that goes with the reason: REJECTED for what the device will
    /// not run however often it is asked, FAILED for what may go better next time.
    pub fn status(self) -> JobExecutionStatus {
        match self {
            Reason::Accepted | Reason::NothingToDo => JobExecutionStatus::Succeeded,
            Reason::UntrustedSigner
            | Reason::Algorithm
            | Reason::Rollback
            | Reason::SameVersion
            | Reason::WrongDevice
            | Reason::ExtraBytes
            | Reason::WrongBase
            | Reason::Document => JobExecutionStatus::Rejected,
            Reason::Checksum
            | Reason::Signature
            | Reason::Expired
            | Reason::Size
            | Reason::Timeout
            | Reason::Tls
            | Reason::Download
            | Reason::RolledBack
            | Reason::Storage
            | Reason::Clock => JobExecutionStatus::Failed,
        }
    }

    /// The word in the status details.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Accepted => "accepted",
            Reason::NothingToDo => "nothing_to_do",
            Reason::Checksum => "checksum",
            Reason::Signature => "signature",
            Reason::UntrustedSigner => "untrusted_signer",
            Reason::Algorithm => "algorithm",
            Reason::Rollback => "rollback",
            Reason::SameVersion => "same_version",
            Reason::Expired => "expired",
            Reason::WrongDevice => "wrong_device",
            Reason::Size => "size",
            Reason::Timeout => "timeout",
            Reason::ExtraBytes => "extra_bytes",
            Reason::Tls => "tls",
            Reason::Download => "download",
            Reason::WrongBase => "wrong_base",
            Reason::RolledBack => "rolled_back",
            Reason::Storage => "storage",
            Reason::Clock => "clock",
            Reason::Document => "document",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.status(), self.reason, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_its_own_word_and_reportable() {
        let words: std::collections::BTreeSet<_> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(words.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(reason.status().is_reportable() && reason.status().is_terminal(), "{reason}");
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn status_details_stay_within_the_limits_of_jobs() {
        let outcome = Outcome::new(Reason::Tls, format!("a\nb{}", "x".repeat(3000)));
        let details = outcome.status_details();
        assert_eq!(details["reason"], "tls");
        assert_eq!(details["detail"].chars().count(), 1024);
        assert!(details.values().all(|value| !value.chars().any(char::is_control)));
        assert_eq!(Outcome::new(Reason::Size, "").status_details().len(), 1);
    }
}
