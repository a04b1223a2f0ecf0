//! Job templates: what a job takes from them, and how they are kept.
//!
//! Templates of the account and managed ones; the documents of managed templates have
//! tests of their own beside their table.

use serde_json::json;

use super::*;

fn template(fields: Value) -> CreateTemplate {
    serde_json::from_value(fields).unwrap()
}

#[test]
fn a_job_takes_from_its_template_what_it_does_not_say() {
    let mut world = World::new();
    let contents = template(json!({"description": "t", "document": "{\"from\":\"template\"}",
        "timeoutConfig": {"inProgressTimeoutInMinutes": 5},
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 7}}));
    let template_arn = world.engine.create_template("t1", contents, world.now).unwrap();
    assert_eq!(template_arn, arn("jobtemplate", "t1"));
    let mut request = CreateJob {
        targets: vec![arn("thing", "lamp-1")],
        job_template_arn: Some(template_arn.clone()),
        timeout_config: Some(TimeoutConfig { in_progress_timeout_in_minutes: Some(9) }),
        ..CreateJob::default()
    };
    let World { engine, registry, now, effects } = &mut world;
    engine.create_job("j1", request.clone(), registry, *now, effects).unwrap();
    let job = world.job("j1");
    assert_eq!(&*world.engine.job_document("j1").unwrap(), "{\"from\":\"template\"}");
    assert_eq!(job.timeout_config.unwrap().in_progress_timeout_in_minutes, Some(9));
    assert_eq!(job.job_executions_rollout_config.unwrap().maximum_per_minute, Some(7));
    assert_eq!(job.description.as_deref(), Some("t"));
    assert_eq!(job.job_template_arn, Some(template_arn));
    request.document = Some("{}".to_owned());
    let World { engine, registry, now, effects } = &mut world;
    engine.create_job("j2", request, registry, *now, effects).unwrap();
    assert_eq!(&*world.engine.job_document("j2").unwrap(), "{}");
}

#[test]
fn a_template_is_judged_kept_listed_and_deleted() {
    let mut world = World::with(Limits { templates: 2, ..Limits::default() });
    for (id, fields, part) in [
        ("a b", json!({"description": "t", "document": "{}"}), "jobTemplateId `a b`"),
        ("t", json!({"document": "{}"}), "has no description"),
        ("t", json!({"description": "t"}), "has no document"),
        ("t", json!({"description": "t", "document": "nope"}), "is not valid JSON"),
        (
            "t",
            json!({"description": "t", "document": "{}", "maintenanceWindows":
                [{"startTime": "cron(0 0 * * ? *)", "durationInMinutes": 0}]}),
            "durationInMinutes is 0",
        ),
    ] {
        let error = world.engine.create_template(id, template(fields), world.now).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let contents = template(json!({"description": "t", "document": "{}"}));
    world.engine.create_template("t2", contents.clone(), world.now).unwrap();
    world.engine.create_template("t1", contents.clone(), world.now).unwrap();
    let error = world.engine.create_template("t1", contents.clone(), world.now).unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    let error = world.engine.create_template("t3", contents, world.now).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded(_)), "{error:?}");
    let page = Page { max_results: Some(1), next_token: None };
    let (first, token) = world.engine.list_templates(&page).unwrap();
    let page = Page { max_results: Some(1), next_token: token };
    let (second, token) = world.engine.list_templates(&page).unwrap();
    assert_eq!((&*first[0].job_template_id, &*second[0].job_template_id), ("t1", "t2"));
    assert_eq!(token, None);
    let shown = serde_json::to_value(world.engine.template("t1").unwrap()).unwrap();
    assert_eq!(shown["document"], "{}");
    assert_eq!(shown["createdAt"], json!(1_795_255_200.0));
    world.engine.delete_template("t1").unwrap();
    assert!(matches!(world.engine.delete_template("t1"), Err(Error::ResourceNotFound(_))));
}

#[test]
fn a_template_can_be_made_from_a_job() {
    let mut world = World::new();
    let fields =
        json!({"document": "{\"a\":1}", "timeoutConfig": {"inProgressTimeoutInMinutes": 5}});
    world.create("j1", &["lamp-1"], fields).unwrap();
    let contents = template(json!({"description": "t", "jobArn": arn("job", "j1")}));
    world.engine.create_template("t1", contents, world.now).unwrap();
    let shown = serde_json::to_value(world.engine.template("t1").unwrap()).unwrap();
    assert_eq!(shown["document"], "{\"a\":1}");
    assert_eq!(shown["timeoutConfig"]["inProgressTimeoutInMinutes"], 5);
    assert_eq!(shown.get("jobArn"), None);
    let contents = template(json!({"description": "t", "jobArn": arn("job", "j9")}));
    assert!(world.engine.create_template("t2", contents, world.now).is_err());
}

#[test]
fn a_managed_template_is_filled_with_the_parameters() {
    let mut world = World::new();
    let fields = json!({
        "jobTemplateArn": "arn:aws:iot:eu-central-1::jobtemplate/AWS-Run-Command:1.0",
        "documentParameters": {"command": "ls,-l"}});
    world.create("j1", &["lamp-1"], fields).unwrap();
    let document = world.engine.job_document("j1").unwrap();
    assert!(document.contains(r#""command":"ls,-l""#), "{document}");
    let shown = serde_json::to_value(world.job("j1")).unwrap();
    assert_eq!(shown["documentParameters"]["command"], "ls,-l");
}
