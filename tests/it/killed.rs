//! `iotstack local` and its devices when the cloud is killed in the middle of a rollout.
//!
//! The cloud is a process of its own that keeps its state in a folder; it is killed without
//! a warning at several moments of the rollout and started again where its clients know it.
//! Whatever it has said before must still hold: no execution is lost, none is run twice.

use std::fs::File;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::acceptance::live::{Live, json_file, program};
use crate::judge::cloud::Cloud;
use crate::project::Project;

/// One device is slow, so that there is a moment at which all others are done and the job is
/// not over yet.
const ROLLOUT: &str = "
fleet:
  size: 16
  profiles:
    - {name: usual, share: 15, version: 1.0.0, bandwidth: 64 KiB}
    - {name: slow, share: 1, version: 1.0.0, bandwidth: 6 KiB}
firmware: {version: 1.1.0, size: 256 KiB}
job:
  rollout: {maximum_per_minute: 1000}
timeout: 10 min
expect:
  - succeeded = 100%
  - no device is bricked
  - no device runs an unsigned image
  - job completes
";

const CONFIG: &str = "parameters: {jobs: {rollout: {maximum_per_minute: 1000}}}\n";

#[test]
fn no_execution_is_lost_or_run_twice_when_the_cloud_is_killed_during_a_rollout() {
    let project = Project::with_config(CONFIG).file("rollout.yaml", ROLLOUT);
    let state = project.path("state");
    let kept = ["--state", state.to_str().unwrap()];
    let live = Live { project, cloud: Cloud::ours(&kept) };
    live.run(["bootstrap"]).success();
    live.run(["deploy", "--yes"]).success();
    let Live { project, mut cloud } = live;

    let mut simulation = Simulation::start(&project, &cloud);
    let job = simulation.wait("the job is made", || {
        console(&cloud, "jobs")["jobs"][0]["jobId"].as_str().map(str::to_owned)
    });
    let count = |cloud: &Cloud, name: &str| {
        console(cloud, &format!("jobs/{job}"))["jobProcessDetails"][name].as_u64().unwrap()
    };
    let succeeded = |cloud: &Cloud| count(cloud, "numberOfSucceededThings");

    // While the first devices begin, while they download, while they report, and when most
    // are done.
    simulation
        .wait("the first begins", || (count(&cloud, "numberOfInProgressThings") > 0).then_some(()));
    for done in [0, 1, 5, 12] {
        simulation.wait("devices go on", || (succeeded(&cloud) >= done).then_some(()));
        cloud.kill();
        cloud.start_again(&kept);
    }

    // All are done but the slow one: what is written about them is final. The devices stand
    // still meanwhile, so that it is not over before everything was looked at.
    simulation.wait("all others are done", || (succeeded(&cloud) == 15).then_some(()));
    simulation.signal("STOP");
    let executions = executions(&cloud, &job);
    simulation.signal("CONT");
    assert_eq!(executions.len(), 16);
    let (done, working): (Vec<&Value>, Vec<&Value>) =
        executions.iter().partition(|execution| execution["status"] == "SUCCEEDED");
    assert_eq!((done.len(), working.len()), (15, 1), "{executions:#?}");
    for execution in done {
        // Queued, begun, installed, ended: each at most once. That it is installed is not
        // said again if the cloud died before it heard of it: a device reboots anyway.
        let versions = execution["versionNumber"].as_i64().unwrap();
        assert!((3..=4).contains(&versions), "{execution}");
        assert_eq!(execution["executionNumber"], 1, "{execution}");
    }

    let report = simulation.report();
    let view = &report["view"];
    assert_eq!((&view["status"], &view["succeeded"]), (&json!("COMPLETED"), &json!(16)));
    let others =
        ["queued", "in_progress", "failed", "rejected", "timed_out", "canceled", "removed"];
    for other in others {
        assert_eq!(view[other], 0, "{other}: {view}");
    }
    let devices = report["fleet"]["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 16);
    for device in devices {
        let updates = device["updates"].as_array().unwrap();
        assert_eq!(updates.len(), 1, "{device:#}");
        assert_eq!(updates[0]["job"], json!({ "id": job, "execution": 1 }));
        assert_eq!(updates[0]["status"], "SUCCEEDED");
        // Its first boot and the one into the new image.
        assert_eq!((&device["version"], &device["boots"]), (&json!("1.1.0"), &json!(2)));
        assert!(device["losses"].as_u64().unwrap() > 0, "the cloud was gone: {device:#}");
    }
}

/// One device has the cloud killed as soon as it has begun its update.
const FATAL: &str = "
fleet:
  size: 6
  profiles:
    - {name: usual, share: 5, version: 1.0.0, bandwidth: 64 KiB}
    - {name: fatal, share: 1, version: 1.0.0, bandwidth: 64 KiB, faults: [F11]}
firmware: {version: 1.1.0, size: 256 KiB}
job:
  rollout: {maximum_per_minute: 1000}
timeout: 10 min
expect:
  - succeeded = 100%
  - no device is bricked
  - job completes
";

#[test]
fn a_scenario_has_its_own_cloud_killed_and_ends_well() {
    let project = Project::empty().file("fatal.yaml", FATAL);
    let report = project.run(["simulate", "fatal.yaml", "--json"]).json();
    assert_eq!(report["view"]["succeeded"], 6, "{:#}", report["view"]);
    for device in report["fleet"]["devices"].as_array().unwrap() {
        assert_eq!(device["updates"].as_array().unwrap().len(), 1, "{device:#}");
        assert_eq!(device["boots"], 2, "{device:#}");
        assert!(device["losses"].as_u64().unwrap() > 0, "it was not killed: {device:#}");
    }

    let run = project.run(["simulate", "fatal.yaml", "--time-lapse", "60"]);
    run.failure(
        2,
        "error: `--time-lapse 60` does not go with the fault F11: a cloud that is killed and \
         started again shows the time of this machine\n",
    );
}

/// `iotstack simulate` at work in a project.
struct Simulation<'a> {
    process: Child,
    project: &'a Project,
    began: Instant,
}

impl<'a> Simulation<'a> {
    fn start(project: &'a Project, cloud: &Cloud) -> Self {
        let file = |name: &str| File::create(project.path(name)).unwrap();
        let arguments = ["simulate", "rollout.yaml", "--env", "dev", "--yes", "--json"];
        let mut command = program(project, cloud, &arguments);
        let process = command.stdout(file("report.json")).stderr(file("told")).spawn().unwrap();
        Simulation { process, project, began: Instant::now() }
    }

    /// Waits until there is something to be found.
    fn wait<T>(&mut self, what: &str, find: impl Fn() -> Option<T>) -> T {
        loop {
            if let Some(found) = find() {
                return found;
            }
            let ended = self.process.try_wait().unwrap();
            let told = self.project.read("told");
            assert_eq!(ended, None, "the simulation ended before {what}:\n{told}");
            assert!(self.began.elapsed() < PATIENCE, "{what} takes too long:\n{told}");
            std::thread::sleep(GLANCE);
        }
    }

    fn signal(&self, name: &str) {
        let process = self.process.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &process]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end, which must be a good one, and reads its report.
    fn report(mut self) -> Value {
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", self.project.read("told"));
        json_file(&self.project.path("report.json"))
    }
}

impl Drop for Simulation<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a page of the console is made of.
fn console(cloud: &Cloud, page: &str) -> Value {
    serde_json::from_str(&cloud.get(&format!("/_iotstack/console/api/{page}"))).unwrap()
}

/// Every execution of a job, whole.
fn executions(cloud: &Cloud, job: &str) -> Vec<Value> {
    const LOOK: &str = "
import boto3, json, sys
iot, job = boto3.client('iot'), sys.argv[1]
found = iot.list_job_executions_for_job(jobId=job, maxResults=250)['executionSummaries']
names = [one['thingArn'].split('/')[-1] for one in found]
look = lambda name: iot.describe_job_execution(jobId=job, thingName=name)['execution']
print(json.dumps([look(name) for name in names], default=str))
";
    let found = cloud.boto3(LOOK, &[job]);
    found.as_array().unwrap().clone()
}

/// How often the cloud is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// How long a simulation may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(580);
