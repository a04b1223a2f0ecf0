//! Clouds whose clock runs faster: hours of rollouts and timers in seconds.
//!
//! All that counts is what the cloud's own clock shows; how long a test takes says nothing.

use serde_json::{Value, json};

use crate::judge::cloud::Cloud;
use crate::project::Project;

/// A job that begins in twelve hours, one thing in a minute, of which the last never ends;
/// and one that may begin on things in the second hour of each day only. An hour is a second.
const HOURS: &str = "
import boto3, datetime, json, sys, time

began, factor = float(sys.argv[1]), float(sys.argv[2])
iot, data = boto3.client('iot'), boto3.client('iot-jobs-data')

def wait(find):
    while not (found := find()):
        time.sleep(0.02)
    return found

def begin(thing, **timer):
    ask = lambda: data.start_next_pending_job_execution(thingName=thing, **timer)
    return wait(lambda: ask().get('execution'))

def execution(job, thing):
    return iot.describe_job_execution(jobId=job, thingName=thing)['execution']

names = [f'pump-{number}' for number in range(4)]
things = [iot.create_thing(thingName=name)['thingArn'] for name in names]
group = iot.create_thing_group(thingGroupName='pumps')['thingGroupArn']
iot.add_thing_to_thing_group(thingGroupName='pumps', thingName=names[3])

shown = began + (time.time() - began) * factor
start = datetime.datetime.fromtimestamp(shown, datetime.timezone.utc)
start = (start + datetime.timedelta(hours=12)).replace(second=0, microsecond=0)
iot.create_job(
    jobId='tonight', targets=things[:3], document='{}',
    schedulingConfig={'startTime': start.strftime('%Y-%m-%d %H:%M')},
    jobExecutionsRolloutConfig={'maximumPerMinute': 1})
scheduled = iot.describe_job(jobId='tonight')['job']['status']
iot.create_job(
    jobId='nightly', targets=[group], document='{}', targetSelection='CONTINUOUS',
    schedulingConfig={'maintenanceWindows': [
        {'startTime': 'cron(0 1 * * ? *)', 'durationInMinutes': 60}]})

for name in names[:2]:
    begin(name)
    data.update_job_execution(jobId='tonight', thingName=name, status='SUCCEEDED')
# An hour and a half are a second and a half: only who never ends has such a timer.
begin(names[2], stepTimeoutInMinutes=90)
wait(lambda: iot.describe_job(jobId='tonight')['job']['status'] == 'COMPLETED')
begin(names[3])
print(json.dumps({
    'start': start.timestamp(),
    'scheduled': scheduled,
    'job': iot.describe_job(jobId='tonight')['job'],
    'executions': [execution('tonight', name) for name in names[:3]],
    'nightly': execution('nightly', names[3]),
    'took': time.time() - began,
}, default=lambda moment: moment.timestamp()))
";

#[test]
fn schedules_windows_rates_and_timers_of_hours_pass_in_seconds() {
    const FACTOR: f64 = 3600.0;
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let cloud = Cloud::ours(&["--time-lapse", &FACTOR.to_string()]);
    let found = cloud.boto3(HOURS, &[&began.as_secs_f64().to_string(), &FACTOR.to_string()]);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{found:#}"));

    assert_eq!(found["scheduled"], "SCHEDULED");
    let counts = &found["job"]["jobProcessDetails"];
    assert_eq!(counts["numberOfSucceededThings"], 2, "{counts:#}");
    assert_eq!(counts["numberOfTimedOutThings"], 1, "{counts:#}");
    let executions = found["executions"].as_array().unwrap();
    let mut queued: Vec<f64> = executions.iter().map(|one| number(&one["queuedAt"])).collect();
    queued.sort_by(f64::total_cmp);
    let start = number(&found["start"]);
    let minutes: Vec<f64> = queued.iter().map(|at| (at - start) / 60.0).collect();
    // A busy machine is late by moments, which are minutes there; it is never early.
    assert!((0.0..240.0).contains(&minutes[0]), "from its beginning: {minutes:?}");
    for pair in minutes.windows(2) {
        let apart = pair[1] - pair[0];
        assert!((0.999..240.0).contains(&apart), "one in each minute: {minutes:?}");
    }

    let late = executions.iter().find(|one| one["status"] == "TIMED_OUT").unwrap();
    let took = number(&late["lastUpdatedAt"]) - number(&late["startedAt"]);
    assert!((5399.0..5400.0 + 14_400.0).contains(&took), "{took} s");
    let hour = (number(&found["nightly"]["queuedAt"]) / 3600.0).rem_euclid(24.0);
    assert!((1.0..2.0).contains(&hour), "hour {hour}");

    // From the beginning to the end of the job alone, twelve hours have passed there.
    let passed = number(&found["job"]["completedAt"]) - number(&found["job"]["createdAt"]);
    assert!(passed > 11.0 * 3600.0, "{passed} s");
    assert!(number(&found["took"]) < passed / 60.0, "{found:#}");
}

/// At thirty times the speed a minute takes two seconds. The slow device would need a minute
/// of ours for its image, and its time is up after twenty seconds.
const EVENING: &str = "
fleet:
  size: 6
  profiles:
    - {name: usual, share: 5, version: 1.0.0}
    - {name: slow, share: 1, version: 1.0.0, bandwidth: 4 KiB}
firmware: {version: 1.1.0, size: 256 KiB}
job:
  rollout: {maximum_per_minute: 1}
  in_progress_timeout_minutes: 10
  abort: []
  retries: []
timeout: 10 min
expect:
  - succeeded > 80%
  - no device is bricked
  - job completes
";

#[test]
fn a_rollout_of_many_minutes_is_simulated_in_seconds() {
    let project = Project::empty().file("evening.yaml", EVENING);
    let run = project.run(["simulate", "evening.yaml", "--time-lapse", "30", "--json"]);
    let report = run.json();
    let view = &report["view"];
    assert_eq!(view["status"], "COMPLETED");
    assert_eq!((&view["succeeded"], &view["timed_out"]), (&json!(5), &json!(1)), "{view}");

    let devices = report["fleet"]["devices"].as_array().unwrap();
    let updates = devices.iter().flat_map(|device| device["updates"].as_array().unwrap());
    let number = |update: &Value, name: &str| update[name].as_f64().unwrap();
    let mut good: Vec<&Value> = updates.filter(|one| one["status"] == "SUCCEEDED").collect();
    good.sort_by(|one, other| number(one, "at").total_cmp(&number(other, "at")));
    assert_eq!(good.len(), 5, "{report:#}");
    // One begins in each minute of the cloud; a tick of its clock may fall either way.
    let first = number(good[0], "at") - number(good[0], "seconds");
    for (place, update) in good.iter().enumerate() {
        let minutes = (number(update, "at") - first) * 30.0 / 60.0;
        assert!(minutes > place as f64 - 0.5, "{place}: {minutes} minutes");
    }
    let seconds = report["seconds"].as_f64().unwrap();
    assert!(seconds < 600.0, "ten minutes of the cloud's time took {seconds} s");
}
