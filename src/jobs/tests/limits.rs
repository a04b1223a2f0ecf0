//! The edges of what may be said: the most that is taken, and the least that is refused.
//!
//! Each line of a table is one limit. What is refused must leave nothing behind.

use serde_json::json;

use super::*;
use JobExecutionStatus::InProgress;

/// A text of so many characters that are longer than a byte.
fn text(length: usize) -> Value {
    "é".repeat(length).into()
}

fn ascii(length: usize) -> String {
    "a".repeat(length)
}

/// A document of so many bytes.
fn document(bytes: usize) -> Value {
    format!("{{\"a\":\"{}\"}}", ascii(bytes - 8)).into()
}

fn growth(base: i64, factor: f64, criteria: Value) -> Value {
    json!({"exponentialRate": {"baseRatePerMinute": base, "incrementFactor": factor,
        "rateIncreaseCriteria": criteria}})
}

fn notified(number: i64) -> Value {
    json!({"numberOfNotifiedThings": number})
}

fn abort(share: f64, least: i64) -> Value {
    json!({"criteriaList": [{"failureType": "ALL", "action": "CANCEL",
        "thresholdPercentage": share, "minNumberOfExecutedThings": least}]})
}

fn retries(numbers: &[i64]) -> Value {
    let criteria = |number: &i64| json!({"failureType": "ALL", "numberOfRetries": number});
    json!({"criteriaList": numbers.iter().map(criteria).collect::<Vec<_>>()})
}

fn window(cron: &str, minutes: i64) -> Value {
    json!({"maintenanceWindows": [{"startTime": cron, "durationInMinutes": minutes}]})
}

fn tags(count: usize, key: usize, value: usize) -> Value {
    let tag = |n: usize| json!({"Key": format!("{n:0>key$}"), "Value": ascii(value)});
    (0..count).map(tag).collect()
}

fn packages(count: usize, length: usize) -> Value {
    let start = "arn:aws:iot:eu-central-1:123456789012:package/lamp/version/";
    (0..count).map(|_| start.to_owned() + &ascii(length - start.len())).collect()
}

/// Every field of a job: what is taken, what is refused, and what the refusal says.
fn fields() -> Vec<(&'static str, Value, Value, &'static str)> {
    let rollout = "jobExecutionsRolloutConfig";
    let retry = "jobExecutionsRetryConfig";
    let daily = "cron(0 20 * * ? *)";
    let many = format!("cron({}0 20 * * ? *)", "0,".repeat(120));
    let (role, url) = ("presignedUrlConfig", "documentSource");
    let (timeout, packs) = ("timeoutConfig", "destinationPackageVersions");
    let when = "schedulingConfig";
    let minutes = |minutes: i64| json!({"inProgressTimeoutInMinutes": minutes});
    let seconds = |seconds: i64| json!({"expiresInSec": seconds});
    vec![
        ("description", text(2028), text(2029), "2029 characters"),
        ("description", text(1), json!("a\u{200b}"), "without control characters"),
        ("document", document(32_768), document(32_769), "has 32769 bytes"),
        ("document", json!("{}"), json!("[]"), "is not a JSON object"),
        (url, ascii(1350).into(), ascii(1351).into(), "documentSource has 1351"),
        (url, json!("s"), json!(""), "documentSource has 0"),
        (role, seconds(60), seconds(59), "is 59: expected 60 to 3600"),
        (role, seconds(3600), seconds(3601), "is 3601: expected 60 to 3600"),
        (role, json!({"roleArn": ascii(20)}), json!({"roleArn": ascii(19)}), "20 to 2048"),
        (role, json!({"roleArn": ascii(2048)}), json!({"roleArn": ascii(2049)}), "20 to 2048"),
        (rollout, json!({"maximumPerMinute": 1}), json!({"maximumPerMinute": 0}), "is 0"),
        (rollout, json!({"maximumPerMinute": 1000}), json!({"maximumPerMinute": 1001}), "is 1001"),
        (rollout, growth(1, 2.0, notified(1)), growth(0, 2.0, notified(1)), "Minute is 0"),
        (rollout, growth(1000, 2.0, notified(1)), growth(1001, 2.0, notified(1)), "is 1001"),
        (rollout, growth(1, 1.1, notified(1)), growth(1, 1.0, notified(1)), "Factor is 1:"),
        (rollout, growth(1, 5.0, notified(1)), growth(1, 5.1, notified(1)), "Factor is 5.1"),
        (rollout, growth(1, 1.2, notified(1)), growth(1, 1.25, notified(1)), "one decimal"),
        (rollout, growth(1, 2.0, notified(1)), growth(1, 2.0, notified(0)), "Things is 0"),
        (
            rollout,
            growth(1, 2.0, json!({"numberOfSucceededThings": 1})),
            growth(1, 2.0, json!({"numberOfSucceededThings": 0})),
            "Things is 0",
        ),
        (rollout, growth(1, 2.0, notified(1)), growth(1, 2.0, json!({})), "is empty"),
        ("abortConfig", abort(100.0, 1), abort(100.01, 1), "Percentage is 100.01"),
        ("abortConfig", abort(33.33, 1), abort(33.333, 1), "two decimals"),
        ("abortConfig", abort(1.0, 1), abort(1.0, 0), "minNumberOfExecutedThings is 0"),
        ("abortConfig", abort(1.0, 1), json!({"criteriaList": []}), "is empty"),
        (timeout, minutes(1), minutes(0), "is 0: expected 1 to 10080"),
        (timeout, minutes(10_080), minutes(10_081), "is 10081: expected 1 to 10080"),
        (retry, retries(&[0]), retries(&[-1]), "is -1: expected 0 to 10"),
        (retry, retries(&[10]), retries(&[11]), "is 11: expected 0 to 10"),
        (retry, retries(&[5, 5]), retries(&[5, 6]), "the sum of"),
        (retry, retries(&[1, 1]), retries(&[1, 1, 1]), "has 3 criteria"),
        (retry, retries(&[1]), retries(&[]), "has 0 criteria"),
        (when, window(daily, 1), window(daily, 0), "is 0: expected 1 to 1430"),
        (when, window(daily, 1430), window(daily, 1431), "is 1431: expected 1 to 1430"),
        (when, window("cron(0,0 20 * * ? *)", 1), window(&many, 1), "expected at most 256"),
        (
            when,
            json!({"startTime": "2026-11-21 10:30"}),
            json!({"startTime": "2026-11-21 10:28"}),
            "30 minutes to one year",
        ),
        (
            when,
            json!({"startTime": "2027-11-21 10:00"}),
            json!({"startTime": "2027-11-23 10:00"}),
            "30 minutes to one year",
        ),
        (
            when,
            json!({"endTime": "2026-11-21 10:30"}),
            json!({"endTime": "2026-11-21 10:28"}),
            "30 minutes to two years",
        ),
        (
            when,
            json!({"endTime": "2028-11-21 10:00"}),
            json!({"endTime": "2028-11-24 10:00"}),
            "30 minutes to two years",
        ),
        (
            when,
            json!({"endTime": "2026-11-22 10:00", "endBehavior": "CANCEL"}),
            json!({"endBehavior": "CANCEL"}),
            "needs an endTime",
        ),
        ("tags", tags(50, 2, 0), tags(51, 2, 0), "tags has 51 entries"),
        ("tags", tags(1, 128, 0), tags(1, 129, 0), "1 to 128 characters"),
        ("tags", tags(1, 1, 256), tags(1, 1, 257), "at most 256"),
        ("namespaceId", json!("a_B-9"), json!("a.b"), "namespaceId `a.b`"),
        ("namespaceId", json!("n"), json!(""), "namespaceId ``"),
        (packs, packages(25, 80), packages(26, 80), "has 26 entries"),
        (packs, packages(1, 1600), packages(1, 1601), "expected ARNs"),
        (packs, json!([]), json!(["arn:aws:iot:eu-central-1:123456789012:thing/a"]), "ARNs"),
        (packs, packages(1, 80), json!(["package/lamp/version/1"]), "expected ARNs"),
        (
            "targets",
            json!([arn("thing", &ascii(2004))]),
            json!([arn("thing", &ascii(2005))]),
            "2049",
        ),
    ]
}

#[test]
fn every_limit_of_a_job_holds_at_its_edge() {
    for (field, taken, refused, part) in fields() {
        let mut world = World::new();
        let mut request = json!({"targetSelection": "CONTINUOUS"});
        request[field] = refused.clone();
        let error = world.create("j1", &["lamp-1"], request.clone()).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{field}: {error:?}");
        assert!(error.to_string().contains(part), "{field}: {error}");
        assert!(world.engine.job("j1", world.now).is_err(), "{field}");
        request[field] = taken.clone();
        let answer = world.create("j1", &["lamp-1"], request);
        answer.unwrap_or_else(|error| panic!("{field} {taken}: {error}"));
    }
}

#[test]
fn a_change_and_a_template_have_the_limits_of_a_job() {
    let only_jobs = ["namespaceId", "targets", "schedulingConfig"];
    let changes = ["description", "presignedUrlConfig", "jobExecutionsRolloutConfig"];
    let changes = [&changes[..], &["abortConfig", "timeoutConfig", "jobExecutionsRetryConfig"]];
    for (field, taken, refused, part) in fields() {
        let mut world = World::new();
        let mut contents = json!({"description": "d", "document": "{}"});
        if !only_jobs.contains(&field) {
            contents[field] = refused.clone();
            let template = serde_json::from_value(contents.clone()).unwrap();
            let error = world.engine.create_template("t1", template, world.now).unwrap_err();
            assert!(error.to_string().contains(part), "template, {field}: {error}");
            contents[field] = taken;
            let template = serde_json::from_value(contents).unwrap();
            world.engine.create_template("t1", template, world.now).unwrap();
        }
        if changes.concat().contains(&field) {
            world.create("j1", &["lamp-1"], json!({})).unwrap();
            let mut fields = json!({});
            fields[field] = refused;
            let update: UpdateJob = serde_json::from_value(fields).unwrap();
            let World { engine, now, effects, .. } = &mut world;
            let error = engine.update_job("j1", update, *now, effects).unwrap_err();
            assert!(error.to_string().contains(part), "change, {field}: {error}");
        }
    }
}

#[test]
fn ids_have_at_most_64_characters() {
    let mut world = World::new();
    for (id, taken) in [(ascii(64), true), (ascii(65), false), ("a.b".to_owned(), false)] {
        assert_eq!(world.create(&id, &["lamp-1"], json!({})).is_ok(), taken, "{id}");
        let template: CreateTemplate =
            serde_json::from_value(json!({"description": "d", "document": "{}"})).unwrap();
        let made = world.engine.create_template(&id, template, world.now);
        assert_eq!(made.is_ok(), taken, "{id}");
    }
}

#[test]
fn comments_and_reasons_end_somewhere() {
    let mut world = World::new();
    world.create("j1", &["lamp-1"], json!({"targetSelection": "CONTINUOUS"})).unwrap();
    let World { engine, registry, now, effects } = &mut world;
    let comment = |length| Some("é".repeat(length));
    let more = [arn("thing", "lamp-2")];
    let mut associate = |comment| {
        engine.associate_targets("j1", &more, comment, registry, *now, effects).map(|()| "")
    };
    for refused in [comment(2029), Some("a\u{7}".to_owned())] {
        assert!(matches!(associate(refused), Err(Error::InvalidRequest(_))));
    }
    associate(comment(2028)).unwrap();
    let mut cancel = |reason: usize, comment| {
        let request = CancelJob { reason_code: Some("A".repeat(reason)), comment };
        engine.cancel_job("j1", request, Force::No, *now, effects)
    };
    for (reason, length) in [(129, 1), (0, 1), (1, 2029)] {
        let refused = cancel(reason, comment(length));
        assert!(matches!(refused, Err(Error::InvalidRequest(_))), "{reason} {length}");
    }
    cancel(128, comment(2028)).unwrap();
}

#[test]
fn whoever_reports_details_keeps_their_limits() {
    let pairs = |count: usize| -> BTreeMap<String, String> {
        (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect()
    };
    let pair = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    for (taken, refused) in [
        (pairs(10), pairs(11)),
        (pair(&ascii(128), "v"), pair(&ascii(129), "v")),
        (pair("a:B_c-9", "v"), pair("a.b", "v")),
        (pair("k", "v"), pair("", "v")),
        (pair("k", &"é".repeat(1024)), pair("k", &"é".repeat(1025))),
        (pair("k", "v"), pair("k", "")),
        (pair("k", "é 50 %"), pair("k", "a\tb")),
        (pair("k", "é"), pair("k", "a\u{7f}")),
        (pair("k", "é"), pair("k", "a\u{200d}")),
    ] {
        let mut world = World::new();
        world.create("j1", &["lamp-1"], json!({})).unwrap();
        let World { engine, now, effects, .. } = &mut world;
        let mut say = |details: &BTreeMap<String, String>| {
            let details = || Some(details.clone());
            let next = StartNext { status_details: details(), step_timeout_in_minutes: None };
            let report = UpdateExecution { status_details: details(), ..report(InProgress) };
            let cancel = CancelExecution { status_details: details(), expected_version: None };
            [
                engine.start_next("lamp-1", next, *now, effects).map(drop),
                engine.update_execution("j1", "lamp-1", report, *now, effects).map(drop),
                engine.cancel_execution("j1", "lamp-1", cancel, Force::Yes, *now, effects),
            ]
        };
        for answer in say(&refused) {
            assert!(matches!(answer, Err(Error::InvalidRequest(_))), "{refused:?}: {answer:?}");
        }
        assert!(say(&taken).iter().all(Result::is_ok), "{taken:?}");
    }
}

#[test]
fn parameters_of_managed_templates_end_somewhere() {
    let parameters = |key: &str, value: &str| {
        let mut parameters = json!({"command": "ls"});
        parameters[key] = value.into();
        json!({"jobTemplateArn": "arn:aws:iot:eu-central-1::jobtemplate/AWS-Run-Command:1.0",
            "documentParameters": parameters})
    };
    for (key, taken, refused) in [
        ("command", ascii(30_720), ascii(30_721)),
        ("command", "ls,-l".to_owned(), String::new()),
        ("command", "ls".to_owned(), "ls\n".to_owned()),
        ("runAsUser", ascii(256), ascii(257)),
    ] {
        let mut world = World::new();
        let error = world.create("j1", &["lamp-1"], parameters(key, &refused)).unwrap_err();
        assert!(error.to_string().contains(&format!("documentParameters.{key}")), "{error}");
        world.create("j1", &["lamp-1"], parameters(key, &taken)).unwrap();
    }
    let error =
        World::new().create("j1", &["lamp-1"], parameters("pathToHandler", "x")).unwrap_err();
    assert!(error.to_string().contains("pathToHandler is not known"), "{error}");
}

#[test]
fn the_quotas_are_those_of_the_service() {
    let quotas = Limits::default();
    assert_eq!((quotas.active_jobs, quotas.concurrent_jobs), (100_000, 500));
    assert_eq!((quotas.deleting_jobs, quotas.targets, quotas.templates), (10, 100, 100));
    assert_eq!(quotas.retention_days, 730);
    let mut world = World::with(Limits { active_jobs: 1, ..quotas });
    world.create("j1", &["lamp-1"], json!({})).unwrap();
    let error = world.create("j2", &["lamp-1"], json!({})).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded(_)), "{error:?}");
    world.update("j1", "lamp-1", JobExecutionStatus::Succeeded).unwrap();
    world.create("j2", &["lamp-1"], json!({})).unwrap();
}
