//! The three forms of a report.

use super::*;
use crate::Profile;
use crate::device::DeviceRecord;
use crate::fault::Fault;
use crate::outcome::{Outcome, Reason};
use crate::update::JobKey;

fn report() -> Report {
    let mut device = DeviceRecord::new("lamp-1", &Profile::default(), Some(Fault::BitFlip));
    let job = JobKey { id: "job-1".parse().unwrap(), execution: 1 };
    device.end(job, &Outcome::new(Reason::Checksum, "a <b> & \"c\""), 1.5, 2.0);
    device.version = Some("1.0.0".to_owned());
    device.image_is_good = true;
    let counts = Counts { failed: 1, started: 1, ..Counts::default() };
    Report {
        scenario: "A <canary> & co".to_owned(),
        seed: 7,
        version: "1.1.0".to_owned(),
        job: Some("job-1".parse().unwrap()),
        view: None,
        seconds: 12.5,
        ready_after: 1.0,
        facts: Facts { devices: 1, failed: 1, ..Facts::default() },
        verdicts: vec![
            Verdict {
                expectation: "succeeded >= 99%".to_owned(),
                is_met: false,
                found: "0.0% (0 of 1)".to_owned(),
            },
            Verdict {
                expectation: "no device is bricked".to_owned(),
                is_met: true,
                found: "0 devices".to_owned(),
            },
        ],
        curve: vec![
            Moment { at: 0.0, counts: Counts::default(), job: None },
            Moment { at: 12.0, counts, job: None },
        ],
        fleet: FleetOutcome { devices: vec![device], counts, times: Vec::new() },
    }
}

#[test]
fn a_report_passes_only_if_everything_was_met() {
    let mut report = report();
    assert!(!report.is_passed());
    report.verdicts.remove(0);
    assert!(report.is_passed());
}

#[test]
fn json_holds_everything() {
    let json: serde_json::Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
    assert_eq!(json["verdicts"][0]["is_met"], false);
    assert_eq!(json["fleet"]["devices"][0]["updates"][0]["reason"], "checksum");
    assert_eq!(json["fleet"]["devices"][0]["fault"], "A1");
    assert_eq!(json["curve"][1]["counts"]["failed"], 1);
}

#[test]
fn junit_has_a_case_for_each_expectation_and_fault() {
    let xml = report().to_junit();
    assert!(
        xml.contains("<testsuites name=\"A &lt;canary&gt; &amp; co\" tests=\"3\" failures=\"1\"")
    );
    assert!(xml.contains("name=\"succeeded &gt;= 99%\"><failure message=\"0.0% (0 of 1)\">"));
    assert!(xml.contains("name=\"A1 one bit of the image arrives changed\"><system-out>"));
    assert_eq!(xml.matches("<testcase").count(), 3);
    assert_eq!(xml.matches("</testcase>").count(), 3);
}

#[test]
fn the_page_is_complete_in_itself_and_escapes_what_it_shows() {
    let page = report().to_html().unwrap();
    assert!(page.contains("A &lt;canary&gt; &amp; co"), "{page}");
    assert!(page.contains("a &lt;b&gt; &amp;"), "{page}");
    assert_eq!(page.matches("<svg").count(), 2);
    for outside in ["http://", "https://", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("prefers-color-scheme: dark"));
    assert!(page.contains("not met"));
}
