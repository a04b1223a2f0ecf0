//! A whole scenario: fleet, rollout, verdict, report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use iotstack_protocol::{JobId, JobStatus};
use iotstack_sim::{
    Answer, Did, Event, JobView, Observer, Rollout, Scenario, Silence, Workers, run, run_with, work,
};

use super::cloud::{Cloud as TestCloud, is_terminal};

/// The operator's side of the tests' cloud.
struct Operator(TestCloud);

/// One whose cloud does not come back when it is started again.
struct Unlucky(Operator);

impl iotstack_sim::Cloud for Unlucky {
    fn roll_out<'a>(&'a self, rollout: &'a Rollout) -> Answer<'a, JobId> {
        self.0.roll_out(rollout)
    }

    fn job<'a>(&'a self, job: &'a JobId) -> Answer<'a, JobView> {
        self.0.job(job)
    }

    fn cancel_job<'a>(&'a self, job: &'a JobId) -> Answer<'a, ()> {
        self.0.cancel_job(job)
    }

    fn cancel_execution<'a>(&'a self, thing: &'a str, job: &'a JobId) -> Answer<'a, ()> {
        self.0.cancel_execution(thing, job)
    }

    fn restart(&self) -> Answer<'_, bool> {
        let action = "start the cloud again".to_owned();
        let reason = "its port is taken".to_owned();
        Box::pin(async { Err(iotstack_sim::Error::Cloud { action, reason }) })
    }
}

/// One who stops every job: what had been done by then is all that is done.
struct Stopping(Operator);

impl iotstack_sim::Cloud for Stopping {
    fn roll_out<'a>(&'a self, rollout: &'a Rollout) -> Answer<'a, JobId> {
        self.0.roll_out(rollout)
    }

    fn job<'a>(&'a self, job: &'a JobId) -> Answer<'a, JobView> {
        Box::pin(async {
            let view = self.0.job(job).await?;
            let status = if view.is_over() { JobStatus::Canceled } else { view.status };
            Ok(JobView { status, ..view })
        })
    }

    fn cancel_job<'a>(&'a self, job: &'a JobId) -> Answer<'a, ()> {
        self.0.cancel_job(job)
    }

    fn cancel_execution<'a>(&'a self, thing: &'a str, job: &'a JobId) -> Answer<'a, ()> {
        self.0.cancel_execution(thing, job)
    }

    fn restart(&self) -> Answer<'_, bool> {
        self.0.restart()
    }
}

impl iotstack_sim::Cloud for Operator {
    fn roll_out<'a>(&'a self, rollout: &'a Rollout) -> Answer<'a, JobId> {
        Box::pin(async {
            let document = self.0.document_of(rollout.image.clone(), rollout.version.as_str());
            let made: std::collections::BTreeSet<String> =
                self.0.executions().into_iter().map(|(job, ..)| job).collect();
            let job = format!("job-{}", made.len() + 1);
            for thing in &rollout.things {
                self.0.queue(thing, &job, document.clone());
            }
            Ok(job.parse().unwrap())
        })
    }

    fn job<'a>(&'a self, job: &'a JobId) -> Answer<'a, JobView> {
        Box::pin(async {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for (_, status, _) in
                self.0.executions().into_iter().filter(|(found, ..)| found == job.as_str())
            {
                *counts.entry(status).or_default() += 1;
            }
            let count = |status: &str| counts.get(status).copied().unwrap_or_default();
            let is_over = counts.keys().all(|status| is_terminal(status));
            let status = if is_over { JobStatus::Completed } else { JobStatus::InProgress };
            Ok(JobView::new(status, |state| count(state.as_str())))
        })
    }

    fn cancel_job<'a>(&'a self, _: &'a JobId) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn cancel_execution<'a>(&'a self, thing: &'a str, job: &'a JobId) -> Answer<'a, ()> {
        Box::pin(async {
            self.0.end(thing, job.as_str(), "CANCELED");
            Ok(())
        })
    }
}

#[derive(Default)]
struct Ends(Mutex<BTreeMap<String, String>>);

impl Observer for Ends {
    fn hear(&self, event: &Event<'_>) {
        if let Event::Device { thing, did: Did::End { outcome, .. } } = event {
            let mut ends = self.0.lock().unwrap();
            ends.insert((*thing).to_owned(), outcome.reason.to_string());
        }
    }
}

const SCENARIO: &str = "
name: Whole
seed: 11
fleet:
  size: 40
  profiles:
    - {name: good, share: 6, model: lamp}
    - {name: shaky, share: 2, model: lamp, failure_rate: 50%}
    - {name: faulty, share: 2, model: lamp, faults: [A1, A2, A9, F1, F3, F5, F6, F12]}
firmware: {version: 1.1.0, size: 20 KB, model: lamp}
timeout: 60 s
expect:
  - succeeded >= 60%
  - failed > 0
  - no device runs an unsigned image
  - no device is bricked
  - every fault ends as it must
  - job completes
  - duration < 1 min
";

/// Devices that are in no hurry: what they make of a seed must not depend on how busy
/// the machine is.
fn patient(cloud: &TestCloud) -> iotstack_sim::Target {
    let mut target = cloud.target();
    target.pace.patience = std::time::Duration::from_secs(8);
    target.pace.self_test = std::time::Duration::from_secs(30);
    target
}

async fn play(seed: u64) -> (iotstack_sim::Report, BTreeMap<String, String>) {
    let cloud = TestCloud::with_tls("localhost").await;
    let target = patient(&cloud);
    let scenario = Scenario::from_yaml(SCENARIO).unwrap().with_seed(seed);
    let ends = Arc::new(Ends::default());
    let report = run(&scenario, target, &Operator(cloud), ends.clone()).await.unwrap();
    let ends = ends.0.lock().unwrap().clone();
    (report, ends)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scenario_comes_to_its_verdict_and_the_same_seed_to_the_same_ends() {
    let (report, ends) = play(11).await;
    for verdict in &report.verdicts {
        assert!(verdict.is_met, "{verdict:?} {:#?}", report.facts);
    }
    assert!(report.is_passed());
    assert_eq!(report.fleet.devices.len(), 40);
    assert_eq!(report.facts.provisioned, 40);
    let view = report.view.unwrap();
    assert_eq!(view.succeeded, report.facts.succeeded, "the cloud and the devices agree");
    assert_eq!(view.failed, report.facts.failed);
    assert_eq!(view.rejected, report.facts.rejected);
    assert!(report.curve.len() > 2);
    assert!(report.to_html().unwrap().contains("passed"));
    assert!(report.to_junit().contains("failures=\"0\""));
    let names: Vec<_> = report.fleet.devices.iter().map(|device| device.thing.as_str()).collect();
    assert_eq!((names[0], names[1], names[39]), ("fleet-1", "fleet-2", "fleet-40"));
    let (_, again) = play(11).await;
    assert_eq!(ends, again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_over_several_processes_comes_to_the_same_verdict() {
    let cloud = TestCloud::with_tls("localhost").await;
    let target = patient(&cloud);
    let scenario = Scenario::from_yaml(SCENARIO).unwrap();
    let workers = Workers {
        program: std::env::current_exe().unwrap(),
        arguments: ["whole::plays_a_part_as_a_worker_process", "--exact", "--ignored", "-q"]
            .into_iter()
            .chain(["--nocapture"])
            .map(Into::into)
            .collect(),
        processes: 3,
    };
    let operator = Operator(cloud);
    let report = run_with(&scenario, target, &operator, Arc::new(Silence), &workers).await;
    let report = report.unwrap();
    for verdict in &report.verdicts {
        assert!(verdict.is_met, "{verdict:?} {:#?}", report.facts);
    }
    assert_eq!(report.fleet.devices.len(), 40);
    assert_eq!(report.view.unwrap().succeeded, report.facts.succeeded);
    let (alone, _) = play(11).await;
    let ends = |report: &iotstack_sim::Report| -> Vec<_> {
        let devices = report.fleet.devices.iter();
        devices.map(|device| (device.thing.clone(), device.version.clone())).collect()
    };
    assert_eq!(ends(&report), ends(&alone), "the same seed, the same ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_time_is_up_does_not_pass() {
    let cloud = TestCloud::start().await;
    // Every image drips, and nothing is patient enough to see the end of it.
    cloud.web.behave(&[super::web::Manner::StallsAfter(4096)]);
    let mut target = cloud.target();
    target.pace.stall = std::time::Duration::from_secs(30);
    let text = SCENARIO.replace("timeout: 60 s", "timeout: 2 s").replace("size: 40", "size: 3");
    let scenario = Scenario::from_yaml(&text).unwrap();
    let report = run(&scenario, target, &Operator(cloud), Arc::new(Silence)).await.unwrap();
    assert!(!report.is_passed());
    let last = report.verdicts.last().unwrap();
    assert_eq!(last.expectation, "ends within its time of 2 s");
    assert!(last.found.contains("in progress"), "{last:?}");
}

#[tokio::test]
async fn f11_a_cloud_that_does_not_come_back_ends_the_run_with_the_reason() {
    let cloud = TestCloud::start().await;
    let target = patient(&cloud);
    let text = "fleet: {size: 1, profiles: [{faults: [F11]}]}\n\
                firmware: {version: 1.1.0}\ntimeout: 1 h\n";
    let scenario = Scenario::from_yaml(text).unwrap();
    let unlucky = Unlucky(Operator(cloud));
    let error = run(&scenario, target, &unlucky, Arc::new(Silence)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start the cloud again: its port is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otae2e_back_to_back_downloads_of_a_whole_fleet() {
    let cloud = TestCloud::start().await;
    let target = patient(&cloud);
    let text = "
fleet: {size: 3, profiles: [{model: lamp, faults: [OTAE2EBackToBackDownloads]}]}
firmware: {version: 1.1.0, size: 20 KB, model: lamp}
timeout: 60 s
expect: [succeeded = 100%, updated = 100%, every fault ends as it must, job completes]
";
    let scenario = Scenario::from_yaml(text).unwrap();
    let report = run(&scenario, target, &Operator(cloud), Arc::new(Silence)).await.unwrap();
    assert!(report.is_passed(), "{:?} {:#?}", report.verdicts, report.facts);
    assert_eq!(report.version, "1.1.2");
    for device in &report.fleet.devices {
        assert_eq!((device.updates.len(), device.boots), (3, 4), "{device:?}");
        assert_eq!(device.version.as_deref(), Some("1.1.2"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rollout_follows_one_that_was_stopped() {
    let cloud = TestCloud::start().await;
    let target = patient(&cloud);
    let text = "
fleet: {size: 1, profiles: [{model: lamp, faults: [OTAE2EBackToBackDownloads]}]}
firmware: {version: 1.1.0, size: 20 KB, model: lamp}
timeout: 60 s
";
    let scenario = Scenario::from_yaml(text).unwrap();
    let stopping = Stopping(Operator(cloud));
    let report = run(&scenario, target, &stopping, Arc::new(Silence)).await.unwrap();
    assert_eq!(report.facts.job, Some(JobStatus::Canceled));
    assert_eq!(report.version, "1.1.0");
    assert_eq!(stopping.0.0.executions().len(), 1, "{:?}", stopping.0.0.executions());
}

#[tokio::test]
async fn what_cannot_follow_is_refused_before_any_device_starts() {
    let cloud = TestCloud::start().await;
    let target = patient(&cloud);
    let longest = "1".repeat(46);
    let text = format!(
        "fleet: {{size: 1, profiles: [{{faults: [OTAE2EBackToBackDownloads]}}]}}\n\
         firmware: {{version: '{longest}'}}\n"
    );
    let scenario = Scenario::from_yaml(&text).unwrap();
    let operator = Operator(cloud);
    let error = run(&scenario, target, &operator, Arc::new(Silence)).await.unwrap_err();
    assert!(error.to_string().contains("`firmware.version`"), "{error}");
    assert!(operator.0.connects().is_empty() && operator.0.executions().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_cancels_what_devices_ask_for() {
    let cloud = TestCloud::start().await;
    let target = patient(&cloud);
    let text = "
fleet: {size: 2, profiles: [{model: lamp, faults: [F6.queued, F6.trial]}]}
firmware: {version: 1.1.0, size: 20 KB, model: lamp}
timeout: 60 s
expect: [canceled = 2, every fault ends as it must, no device is bricked, job completes]
";
    let scenario = Scenario::from_yaml(text).unwrap();
    let report = run(&scenario, target, &Operator(cloud), Arc::new(Silence)).await.unwrap();
    assert!(report.is_passed(), "{:?} {:#?}", report.verdicts, report.facts);
    for device in &report.fleet.devices {
        assert_eq!(device.version.as_deref(), Some("1.0.0"), "{device:?}");
    }
}

#[tokio::test]
async fn a_worker_that_ends_early_ends_the_run() {
    let cloud = TestCloud::start().await;
    let target = patient(&cloud);
    let scenario = Scenario::from_yaml(SCENARIO).unwrap();
    let program = "/bin/false".into();
    let workers = Workers { program, arguments: Vec::new(), processes: 2 };
    let run = run_with(&scenario, target, &Operator(cloud), Arc::new(Silence), &workers).await;
    let error = run.unwrap_err().to_string();
    assert!(error.starts_with("a worker process failed: "), "{error}");
}

/// Not a test of its own: the process that the test above starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "plays the part of a worker process"]
async fn plays_a_part_as_a_worker_process() {
    // Ctrl-C in a terminal goes to a group of processes, and this one must not be in it.
    #[cfg(target_os = "linux")]
    {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let group = rest.split_whitespace().nth(2).unwrap();
        assert_eq!(group, std::process::id().to_string(), "{stat}");
    }
    work(std::io::stdin(), std::io::stdout()).await.unwrap();
}
