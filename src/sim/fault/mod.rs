//! Every way in which a device can be made to fail, one variant each.
//!
//! A scenario names a fault by its id (`A1`, `F3.hang`) or by the name of the test case
//! of AWS that it stands for (`OTAE2EUnsignedImage`, `MQTT_No_Ack_PingResp`). A fault is
//! injected between the cloud and the device's own logic, or in its flash, so it works
//! against any cloud; it happens once, in the first update of the device. Servers that
//! cannot be trusted are small ones of the injector's own, on the loopback address, which
//! the device really meets. Each variant says how an update must end in spite of it, and
//! the run's verdict holds devices to that.

mod authority;
mod injector;
mod origin;
mod relay;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use injector::{BodyFault, FaultKit, Injector, Moment};
pub(crate) use relay::Guise;

use crate::outcome::Reason;
use crate::{Error, Result};

/// How an update must end in spite of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// With this reason.
    Ends(Reason),
    /// As if nothing had happened.
    Succeeds,
    /// As if nothing had happened, and so do the two updates that follow it.
    SucceedsThrice,
    /// The cloud ends it and the device gives it up; what comes after it succeeds.
    EndedByTheCloud,
    /// As the cloud decides: the fault is played by whoever runs the cloud.
    AsTheCloudDecides,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Ends(reason) => write!(f, "{}, {reason}", reason.status().as_str()),
            Expected::Succeeds => f.write_str("SUCCEEDED"),
            Expected::SucceedsThrice => f.write_str("SUCCEEDED, three times"),
            Expected::EndedByTheCloud => f.write_str("ended by the cloud"),
            Expected::AsTheCloudDecides => f.write_str("as the cloud decides"),
        }
    }
}

macro_rules! faults {
    ($($name:ident = $id:literal, $words:literal, $expected:expr, [$($alias:literal),*];)*) => {
        /// A way to fail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Fault {
            $(#[doc = $words] $name,)*
        }

        impl Fault {
            /// Every fault: the rows of attacks, those of faults, and cases of AWS beyond them.
            pub const ALL: &'static [Fault] = &[$(Fault::$name),*];

            /// The id.
            pub fn id(self) -> &'static str {
                match self { $(Fault::$name => $id,)* }
            }

            /// What happens, in words.
            pub fn words(self) -> &'static str {
                match self { $(Fault::$name => $words,)* }
            }

            /// How an update must end in spite of it.
            pub fn expected(self) -> Expected {
                match self { $(Fault::$name => $expected,)* }
            }

            /// The names of test cases that it stands for.
            pub fn aliases(self) -> &'static [&'static str] {
                match self { $(Fault::$name => &[$($alias),*],)* }
            }
        }
    };
}

use Expected::{AsTheCloudDecides, EndedByTheCloud, Ends, Succeeds, SucceedsThrice};

faults! {
    BitFlip = "A1", "one bit of the image arrives changed", Ends(Reason::Checksum), [];
    Truncated = "A1.truncated", "the end of the image is missing", Ends(Reason::Checksum), [];
    Unsigned = "A2", "the job document has no signature",
        Ends(Reason::Signature), ["OTAE2EUnsignedImage"];
    GarbageSignature = "A2.garbage", "the signature is not one of the image",
        Ends(Reason::Signature), [];
    UntrustedSigner = "A3", "the signer is not one that the device trusts",
        Ends(Reason::UntrustedSigner), ["OTAE2EUntrustedCertificate"];
    RevokedSigner = "A3.revoked", "the signer has been revoked", Ends(Reason::UntrustedSigner), [];
    ExpiredSigner = "A3.expired", "the signer's certificate ran out",
        Ends(Reason::UntrustedSigner), [];
    WrongAlgorithm = "A4", "the signature is of another algorithm",
        Ends(Reason::Algorithm), ["OTAE2EIncorrectSigningAlgorithm"];
    Downgrade = "A5", "the image is an older one, well signed",
        Ends(Reason::Rollback), ["OTAE2EPreviousVersion"];
    SameVersion = "A6", "the image is of the version that runs",
        Ends(Reason::SameVersion), ["OTAE2ESameVersion"];
    FastForward = "A7", "the document claims a version that is not the signed one",
        Ends(Reason::Document), [];
    Expired = "A8", "the document has expired", Ends(Reason::Expired), [];
    ExpiredImage = "A8.image", "the signed image has expired", Ends(Reason::Expired), [];
    Replay = "A8.replay", "an old document is replayed after a later one",
        Ends(Reason::Expired), [];
    WrongDevice = "A9", "the image is for another model", Ends(Reason::WrongDevice), [];
    EndlessData = "A10", "the server sends data without end", Ends(Reason::Size), [];
    LengthLie = "A10.length", "the server says that it has more than was declared",
        Ends(Reason::Size), [];
    SlowRetrieval = "A11", "the image drips", Succeeds, [];
    Stall = "A11.stall", "the download stalls", Succeeds, [];
    ExtraBytes = "A12", "bytes follow the image", Ends(Reason::ExtraBytes), [];
    Redirect = "A13", "the server leads to another host", Ends(Reason::Tls), [];
    PlainRedirect = "A13.downgrade", "the server leads to plain HTTP", Ends(Reason::Tls), [];
    MisnamedServer = "A13.name", "the certificate of the image's server has another name",
        Ends(Reason::Tls), [];
    UnknownServer = "A13.authority", "nobody knows who vouches for the image's server",
        Ends(Reason::Tls), [];
    UrlExpired = "A14", "the URL expires during the download",
        Succeeds, ["OTAE2EPresignedUrlExpired"];
    MixAndMatch = "A15", "the image is another one after an interruption", Succeeds, [];
    RangeIgnored = "A15.range", "the server sends everything again after an interruption",
        Succeeds, [];
    SwappedImage = "A16", "the image is changed between the check and the boot",
        Ends(Reason::RolledBack), [];
    WrongBase = "A17", "the image builds upon another one", Ends(Reason::WrongBase), [];
    ForeignJob = "A18", "messages about a job that is not the device's", Succeeds, [];
    ForeignCertificate = "A18.certificate",
        "the device's certificate is used under another thing's name", Succeeds, [];
    ForeignTopics = "A18.policy", "the device's certificate is used on topics of others",
        Succeeds, ["Security_Device_Policies"];
    ClaimRefused = "A19", "the claim is refused after the certificate was made", Succeeds, [];
    PowerCut = "F1", "the power fails at a write to the flash", Succeeds, [];
    TornWrite = "F1.torn", "the power fails within a write to the flash", Succeeds, [];
    CutBeforeReport = "F2", "the power fails between the commit and the report", Succeeds, [];
    CutAfterInstall = "F2.install", "the power fails between the install and the first report",
        Succeeds, [];
    Crash = "F3", "the new image crashes", Ends(Reason::RolledBack), ["OTAE2EImageCrashed"];
    Hang = "F3.hang", "the new image hangs", Ends(Reason::RolledBack), [];
    SelfTest = "F3.self-test", "the new image fails its self test", Ends(Reason::RolledBack), [];
    NoConnection = "F3.no-connection", "the new image cannot connect",
        Ends(Reason::RolledBack), ["OTAE2ERollbackIfUnableToConnectAfterUpdate"];
    NetworkLoss = "F4", "the network is gone during the download", Succeeds,
        ["MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect",
         "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection"];
    SecondClient = "F4.duplicate", "a second client with the device's name kicks it",
        Succeeds, ["OTAE2EDisconnectResume"];
    Intermittent = "F4.intermittent", "the network is gone again and again, once for long",
        Succeeds, ["MQTT_Long_Duration"];
    KeptSession = "F4.session", "the network is gone while the broker keeps the session",
        Succeeds, ["MQTT_Persistent_Session_Happy_Case"];
    LostSession = "F4.session-expired", "the network is gone until the session has expired",
        Succeeds, ["MQTT_Expired_Persistent_Session"];
    NoConnack = "F4.connack", "CONNACK is lost", Succeeds,
        ["MQTT_Connect_Jitter_Backoff_Retries", "MQTT_Connect_Exponential_Backoff_Retries"];
    NoPuback = "F4.puback", "PUBACK is lost", Succeeds, ["MQTT_Publish_Retry_No_Puback"];
    NoSuback = "F4.suback", "SUBACK is lost", Succeeds, ["MQTT_Subscribe_Retry_No_Suback"];
    NoPingresp = "F4.pingresp", "PINGRESP is lost", Succeeds, ["MQTT_No_Ack_PingResp"];
    Duplicates = "F5", "messages arrive twice", Succeeds, [];
    Reordered = "F5.reordered", "messages arrive late and out of order", Succeeds, [];
    Conflict = "F5.conflict", "somebody else updates the execution before the report",
        Succeeds, [];
    Cancelled = "F6", "the job is cancelled while the device works on it", AsTheCloudDecides,
        ["OTAE2EDisconnectCancelUpdate", "OTAE2E2UpdatesCancel1st", "OTAE2ECancelThenUpdate"];
    CancelledInQueue = "F6.queued", "the job is cancelled before the device has begun it",
        EndedByTheCloud, [];
    CancelledOnTrial = "F6.trial", "the job is cancelled while the image is on trial",
        EndedByTheCloud, [];
    TimedOut = "F7", "the execution times out while the device is offline", EndedByTheCloud, [];
    FlashFull = "F8", "the flash is full", Ends(Reason::Storage), [];
    FlashReadOnly = "F8.read-only", "the flash is read-only", Ends(Reason::Storage), [];
    BadBlock = "F8.bad-block", "a page of the flash is bad", Ends(Reason::Storage), [];
    SyncFails = "F8.sync", "the flash does not confirm writes", Ends(Reason::Storage), [];
    WrongClock = "F9", "the clock of the device is years behind", Succeeds, [];
    ClockAhead = "F9.ahead", "the clock of the device is years ahead", Succeeds, [];
    ClockJumps = "F9.jumps", "the clock of the device jumps during the download", Succeeds, [];
    Herd = "F10", "all devices lose their connection at one moment", Succeeds, [];
    CloudKilled = "F11", "the cloud is killed and started again", AsTheCloudDecides, [];
    ReportRefused = "F12", "reports are refused for a while, also after a reset", Succeeds, [];
    Nothing = "none", "nothing: the update goes as on any other day", Succeeds,
        ["TLS_Connect", "MQTT_Connect", "MQTT_Publish", "MQTT_Subscribe",
         "MQTT_Client_Puback_Qos1", "Shadow_Publish_Reported_State", "Job_Execution",
         "OTAE2EGreaterVersion"];
    UnknownBroker = "TLS_Unsecure_Server_Cert",
        "a server in place of the broker has a certificate of an unknown authority",
        Succeeds, [];
    MisnamedBroker = "TLS_Incorrect_Subject_Name_Server_Cert",
        "a server in place of the broker has a certificate for another name", Succeeds, [];
    ExpiredBroker = "TLS_Expired_Server_Cert",
        "a server in place of the broker has a certificate that ran out", Succeeds, [];
    LargeCertificate = "TLS_Large_Size_Server_Cert",
        "the broker's certificate is very large", Succeeds, [];
    CipherSuites = "TLS_Support_AWS_IoT_Cipher_Suites",
        "the broker knows one cipher suite at a time", Succeeds, [];
    LargestFragments = "TLS_Receive_Maximum_Size_Fragments",
        "the broker sends fragments of the largest size", Succeeds, [];
    ShadowWish = "Shadow_Update_Reported_State",
        "the shadow wishes something of the device", Succeeds, [];
    BackToBack = "OTAE2EBackToBackDownloads",
        "two more updates follow the first one at once", SucceedsThrice, [];
}

impl Fault {
    /// Whether an update that ended with `reason` ended as it must.
    pub fn allows(self, reason: Reason) -> bool {
        match self.expected() {
            Expected::Ends(expected) => reason == expected,
            Expected::Succeeds | Expected::SucceedsThrice | Expected::EndedByTheCloud => {
                reason == Reason::Accepted
            }
            Expected::AsTheCloudDecides => true,
        }
    }

    /// Whether it is played on connections of the device's own, so that the device can
    /// tell whether it was: a fault that never happened was not survived.
    pub(crate) fn is_on_the_wire(self) -> bool {
        matches!(
            self,
            Fault::UnknownBroker
                | Fault::MisnamedBroker
                | Fault::ExpiredBroker
                | Fault::LargeCertificate
                | Fault::CipherSuites
                | Fault::LargestFragments
                | Fault::ShadowWish
                | Fault::ForeignCertificate
                | Fault::ForeignTopics
                | Fault::SecondClient
                | Fault::KeptSession
                | Fault::LostSession
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_meant = |fault: &&Fault| {
            fault.id().eq_ignore_ascii_case(text)
                || fault.aliases().iter().any(|alias| alias.eq_ignore_ascii_case(text))
        };
        Fault::ALL.iter().find(is_meant).copied().ok_or_else(|| Error::Invalid {
            what: "fault",
            reason: format!(
                "`{text}` is not known: expected one of {}",
                Fault::ALL.iter().map(|fault| fault.id()).collect::<Vec<_>>().join(", ")
            ),
        })
    }
}

impl TryFrom<String> for Fault {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> String {
        fault.id().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_one_fault() {
        let mut names = std::collections::BTreeSet::new();
        for fault in Fault::ALL {
            for name in [&fault.id()].into_iter().chain(fault.aliases()) {
                assert!(names.insert(name.to_ascii_lowercase()), "{name}");
                assert_eq!(name.parse::<Fault>().unwrap(), *fault);
            }
        }
        for row in 1..=19 {
            assert!(names.contains(&format!("a{row}")), "A{row}");
        }
        for row in 1..=12 {
            assert!(names.contains(&format!("f{row}")), "F{row}");
        }
    }

    #[test]
    fn names_the_faults_that_exist() {
        let error = "A99".parse::<Fault>().unwrap_err().to_string();
        assert!(error.starts_with("fault is not valid: `A99` is not known: expected one of A1, "));
    }

    #[test]
    fn only_what_the_table_says_is_allowed() {
        assert!(Fault::BitFlip.allows(Reason::Checksum));
        assert!(!Fault::BitFlip.allows(Reason::Accepted));
        assert!(Fault::UrlExpired.allows(Reason::Accepted));
        assert!(!Fault::UrlExpired.allows(Reason::Download));
    }
}
