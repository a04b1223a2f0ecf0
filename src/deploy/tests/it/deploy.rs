//! Deploying: made, changed, unchanged, and failed with its cause.

use iotstack_deploy::change_set::{DeployOptions, Proposal, discard};
use iotstack_deploy::{Error, Event, StackStatus, diff, outputs};
use serde_json::json;

use crate::app::{App, Ears, deploy, proposal, template};
use crate::cloud::Cloud;

#[tokio::test]
async fn makes_a_stack_and_tells_its_progress_and_outputs() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let app = App::new(template(&["A", "B", "C"]));
    let (deployed, changed) = deploy(&cloud, &app, &ears).await.unwrap();
    assert!(changed);
    assert_eq!(deployed.status, StackStatus::CreateComplete);
    let names: Vec<&str> = deployed.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["Alpha", "Zulu"]);

    // Every event once, in order, although they come in pages with the newest first.
    let events = ears.0.lock().unwrap();
    let told: Vec<(String, String)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Resource { event, .. } => Some((event.logical_id.clone(), event.status.clone())),
            _ => None,
        })
        .collect();
    let state = cloud.state();
    let happened: Vec<(String, String)> = state
        .stacks
        .live("Fleet-dev")
        .unwrap()
        .events
        .iter()
        .map(|event| (event.logical_id.clone(), event.status.clone()))
        .collect();
    assert_eq!(told, happened);
    let last = events.iter().rev().find_map(|event| match event {
        Event::Resource { progress, .. } => Some(*progress),
        _ => None,
    });
    let last = last.unwrap();
    assert_eq!((last.done, last.total), (3, Some(3)));
}

#[tokio::test]
async fn reads_a_change_set_of_many_pages() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let app = App::new(template(&["A", "B", "C", "D", "E"]));
    let proposal = proposal(&cloud, &app, &DeployOptions::default(), &ears).await.unwrap();
    let Proposal::Changes(change_set) = proposal else { panic!("{proposal:?}") };
    let ids: Vec<&str> = change_set.changes.iter().map(|it| it.logical_id.as_str()).collect();
    assert_eq!(ids, ["A", "B", "C", "D", "E"]);
    assert!(change_set.creates_stack);
}

#[tokio::test]
async fn says_that_nothing_changes_and_leaves_no_change_set() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let app = App::new(template(&["A"]));
    deploy(&cloud, &app, &ears).await.unwrap();
    let (deployed, changed) = deploy(&cloud, &app, &ears).await.unwrap();
    assert!(!changed);
    assert_eq!(deployed.outputs.len(), 2);
    let state = cloud.state();
    let stack = state.stacks.live("Fleet-dev").unwrap();
    assert!(stack.change_sets.is_empty());
    assert_eq!(stack.executions, 1);
}

#[tokio::test]
async fn names_the_first_real_failure_of_a_rollback() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let error = deploy(&cloud, &App::new(template(&["A", "Bad", "C"])), &ears).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "stack `Fleet-dev` was rolled back (ROLLBACK_COMPLETE): `Bad` (AWS::SNS::Topic) of \
         `Fleet-dev` is CREATE_FAILED: the name is taken"
    );
}

#[tokio::test]
async fn the_failure_of_an_earlier_operation_is_not_the_cause() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    deploy(&cloud, &App::new(template(&["A"])), &ears).await.unwrap();
    deploy(&cloud, &App::new(template(&["A", "Bad1"])), &ears).await.unwrap_err();
    let error = deploy(&cloud, &App::new(template(&["A", "Bad2"])), &ears).await.unwrap_err();
    let Error::RolledBack { failure, status, .. } = error else { panic!("{error}") };
    assert_eq!(failure.unwrap().logical_id, "Bad2");
    assert_eq!(status, StackStatus::UpdateRollbackComplete);
}

#[tokio::test]
async fn a_discarded_first_change_set_leaves_no_empty_stack() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let app = App::new(template(&["A"]));
    let options = DeployOptions::default();
    let proposal = proposal(&cloud, &app, &options, &ears).await.unwrap();
    let Proposal::Changes(change_set) = proposal else { panic!("{proposal:?}") };
    let assembly = app.assembly();
    let clients = cloud.session().clients_for(&assembly.stacks()[0], &ears).await.unwrap();
    discard(&clients, &change_set).await.unwrap();
    assert!(cloud.state().stacks.live("Fleet-dev").is_none());
}

#[tokio::test]
async fn a_preview_leaves_nothing_behind_and_makes_no_stack() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let app = App::new(template(&["A"]));
    let options = DeployOptions::default();
    let assembly = app.assembly();
    let artifact = &assembly.stacks()[0];
    let clients = cloud.session().clients_for(artifact, &ears).await.unwrap();
    let preview = diff::preview(&clients, artifact, &options, &ears).await.unwrap();
    assert_eq!(preview, diff::Preview::NewStack);
    assert_eq!(cloud.calls("CreateChangeSet"), 0);

    deploy(&cloud, &app, &ears).await.unwrap();
    let preview = diff::preview(&clients, artifact, &options, &ears).await.unwrap();
    assert_eq!(preview, diff::Preview::NoChanges);

    let changed = App::new(template(&["A", "B"]));
    let assembly = changed.assembly();
    let preview = diff::preview(&clients, &assembly.stacks()[0], &options, &ears).await.unwrap();
    assert!(matches!(preview, diff::Preview::Changes(set) if set.changes.len() == 2));
    assert!(cloud.state().stacks.live("Fleet-dev").unwrap().change_sets.is_empty());

    let deployed = diff::deployed_template(&clients, "Fleet-dev").await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&deployed).unwrap(), template(&["A"]));
}

#[tokio::test]
async fn asks_for_parameters_that_nobody_gave() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let mut template = template(&["A"]);
    template["Parameters"] =
        json!({"Stage": {"Type": "String"}, "Size": {"Type": "Number", "Default": 1}});
    let app = App::new(template);
    let options = DeployOptions::default();
    let error = proposal(&cloud, &app, &options, &ears).await.unwrap_err();
    assert_eq!(error.to_string(), "stack `Fleet-dev` needs a value for `Stage`");

    let unknown = [("Stge".to_owned(), "dev".to_owned())].into_iter().collect();
    let options = DeployOptions { parameters: unknown, ..options };
    let error = proposal(&cloud, &app, &options, &ears).await.unwrap_err();
    assert_eq!(error.to_string(), "stack `Fleet` has no parameter `Stge`; it has `Stage`, `Size`");

    let given = [("Stage".to_owned(), "dev".to_owned())].into_iter().collect();
    let options = DeployOptions { parameters: given, ..options };
    let given = proposal(&cloud, &app, &options, &ears).await.unwrap();
    assert!(matches!(given, Proposal::Changes(_)));
}

#[tokio::test]
async fn outputs_of_a_stack_that_is_not_there_are_an_error() {
    let cloud = Cloud::default();
    let clients = cloud.session().clients(&Default::default()).await.unwrap();
    let error = outputs::outputs(&clients, "Nope").await.unwrap_err().to_string();
    assert_eq!(error, "stack `Nope` does not exist in aws://123456789012/eu-west-1");
}
