//! The table of everything that a device must survive, held against what is there.
//!
//! The names of the test cases of AWS and the rows of attacks and faults are written down
//! here by hand: each must be accepted in a scenario, and be the name of a test.

use iotstack_sim::{Fault, Scenario};

/// The test cases of Device Advisor.
const ADVISOR: &[&str] = &[
    "TLS_Connect",
    "TLS_Receive_Maximum_Size_Fragments",
    "TLS_Support_AWS_IoT_Cipher_Suites",
    "TLS_Large_Size_Server_Cert",
    "TLS_Unsecure_Server_Cert",
    "TLS_Incorrect_Subject_Name_Server_Cert",
    "TLS_Expired_Server_Cert",
    "MQTT_Connect",
    "MQTT_Client_Puback_Qos1",
    "MQTT_Connect_Jitter_Backoff_Retries",
    "MQTT_Connect_Exponential_Backoff_Retries",
    "MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect",
    "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection",
    "MQTT_Publish",
    "MQTT_Publish_Retry_No_Puback",
    "MQTT_Subscribe",
    "MQTT_Subscribe_Retry_No_Suback",
    "MQTT_No_Ack_PingResp",
    "MQTT_Persistent_Session_Happy_Case",
    "MQTT_Expired_Persistent_Session",
    "MQTT_Long_Duration",
    "Shadow_Publish_Reported_State",
    "Shadow_Update_Reported_State",
    "Job_Execution",
    "Security_Device_Policies",
];

/// The end-to-end cases of AWS IoT Device Tester.
const TESTER: &[&str] = &[
    "OTAE2EGreaterVersion",
    "OTAE2EBackToBackDownloads",
    "OTAE2ERollbackIfUnableToConnectAfterUpdate",
    "OTAE2ESameVersion",
    "OTAE2EUnsignedImage",
    "OTAE2EUntrustedCertificate",
    "OTAE2EPreviousVersion",
    "OTAE2EIncorrectSigningAlgorithm",
    "OTAE2EDisconnectResume",
    "OTAE2EDisconnectCancelUpdate",
    "OTAE2EPresignedUrlExpired",
    "OTAE2E2UpdatesCancel1st",
    "OTAE2ECancelThenUpdate",
    "OTAE2EImageCrashed",
];

/// The rows of the table of attacks and faults, and how many of each there are at least:
/// a row says more than one thing.
const ROWS: &[(&str, usize)] = &[
    ("A1", 2),
    ("A2", 2),
    ("A3", 3),
    ("A4", 1),
    ("A5", 1),
    ("A6", 1),
    ("A7", 1),
    ("A8", 3),
    ("A9", 1),
    ("A10", 2),
    ("A11", 2),
    ("A12", 1),
    ("A13", 4),
    ("A14", 1),
    ("A15", 2),
    ("A16", 1),
    ("A17", 1),
    ("A18", 3),
    ("A19", 1),
    ("F1", 2),
    ("F2", 2),
    ("F3", 4),
    ("F4", 9),
    ("F5", 3),
    ("F6", 3),
    ("F7", 1),
    ("F8", 4),
    ("F9", 3),
    ("F10", 1),
    ("F11", 1),
    ("F12", 1),
];

/// Where tests are.
const SOURCES: &[&str] = &[
    include_str!("advisor.rs"),
    include_str!("connection.rs"),
    include_str!("faults.rs"),
    include_str!("updates.rs"),
    include_str!("whole.rs"),
    include_str!("../../update/tests.rs"),
];

/// The names of all test functions, those that macros make included, without `_`.
fn tests() -> Vec<String> {
    let mut names = Vec::new();
    for source in SOURCES {
        let mut follows_attribute = false;
        let mut is_in_macro = false;
        for line in source.lines() {
            let text = line.trim();
            if line == "}" {
                is_in_macro = false;
            } else if line == "faults! {" || line == "cases! {" {
                is_in_macro = true;
            } else if is_in_macro && let Some((name, _)) = text.split_once(" =") {
                names.push(name.to_owned());
            } else if follows_attribute && let Some((_, rest)) = text.split_once("fn ") {
                names.extend(rest.split_once('(').map(|(name, _)| name.to_owned()));
            }
            follows_attribute = text.starts_with("#[test]") || text.starts_with("#[tokio::test");
        }
    }
    names.iter().filter(|name| !name.starts_with('$')).map(|name| name.to_lowercase()).collect()
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('_', "")
}

#[test]
fn the_sources_have_the_tests_that_are_looked_for() {
    let tests = tests();
    assert!(tests.len() > 150, "{tests:?}");
    let has = |name: &str| tests.iter().any(|test| test == name);
    // One of each kind: of a macro, of an attribute, and a helper that is none.
    assert!(has("a1_bit_flip") && has("otae2e_same_version") && has("mqtt_connect"));
    assert!(!has("play") && !has("until_ready"), "{tests:?}");
}

#[test]
fn every_case_can_be_injected_and_has_a_test_of_its_name() {
    let tests = tests();
    let mut gaps = Vec::new();
    for case in ADVISOR.iter().chain(TESTER) {
        let scenario = format!(
            "fleet: {{size: 1, profiles: [{{faults: [{case}]}}]}}\nfirmware: {{version: 1.1.0}}"
        );
        match Scenario::from_yaml(&scenario) {
            Ok(scenario) if scenario.devices[0].fault.is_some() => {}
            Ok(_) => gaps.push(format!("{case}: nothing is injected")),
            Err(error) => gaps.push(format!("{case}: {error}")),
        }
        if !tests.iter().any(|test| plain(test).starts_with(&plain(case))) {
            gaps.push(format!("{case}: no test has this name"));
        }
    }
    assert!(gaps.is_empty(), "{gaps:#?}");
}

#[test]
fn every_row_can_be_injected_and_has_a_test_of_its_name() {
    let tests = tests();
    let mut gaps = Vec::new();
    for (row, least) in ROWS {
        let is_of_row = |fault: &&Fault| {
            let rest = fault.id().strip_prefix(row);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let found = Fault::ALL.iter().filter(is_of_row).count();
        if row.parse::<Fault>().is_err() || found < *least {
            gaps.push(format!("{row}: {found} faults, expected {least}"));
        }
        let start = format!("{}_", row.to_lowercase());
        if !tests.iter().any(|test| test.starts_with(&start)) {
            gaps.push(format!("{row}: no test has this name"));
        }
    }
    assert!(gaps.is_empty(), "{gaps:#?}");
    let known = |fault: &Fault| {
        let start = fault.id().split('.').next().unwrap_or_default();
        ROWS.iter().any(|(row, _)| *row == start)
            || ADVISOR.iter().chain(TESTER).any(|case| *case == fault.id())
            || *fault == Fault::Nothing
    };
    let strays: Vec<&Fault> = Fault::ALL.iter().filter(|fault| !known(fault)).collect();
    assert!(strays.is_empty(), "no row of the table: {strays:?}");
}

#[test]
fn as_many_faults_as_the_readme_says() {
    let readme = include_str!("../../../../README.md");
    // One of them is that there is none.
    let count = Fault::ALL.len() - 1;
    assert!(readme.contains(&format!("any of {count} faults")), "{count}");
}
