//! Destroying: protection, what fails, and how far consent goes.

use iotstack_deploy::destroy::{Consent, destroy, inspect};
use iotstack_deploy::{Error, Event};

use crate::app::{Ears, template};
use crate::cloud::Cloud;

fn cloud(resources: &[&str]) -> Cloud {
    let cloud = Cloud::default();
    cloud.state().stacks.put("Fleet-dev", "UPDATE_COMPLETE", template(resources));
    cloud
}

async fn destroyed(
    cloud: &Cloud,
    consent: Consent,
    ears: &Ears,
) -> Result<iotstack_deploy::destroy::Destroyed, Error> {
    let clients = cloud.session().clients(&Default::default()).await?;
    let found = inspect(&clients, "Fleet-dev", ears).await?;
    destroy(&clients, &found, consent, ears).await
}

#[tokio::test]
async fn there_is_nothing_to_do_where_there_is_no_stack() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    destroyed(&cloud, Consent::default(), &ears).await.unwrap();
    assert_eq!(cloud.calls("DeleteStack"), 0);
}

#[tokio::test]
async fn respects_termination_protection() {
    let (cloud, ears) = (cloud(&["A"]), Ears::default());
    cloud.state().stacks.all[0].protected = true;
    let error = destroyed(&cloud, Consent::default(), &ears).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "stack `Fleet-dev` has termination protection and cannot be deleted"
    );
    assert_eq!(cloud.calls("DeleteStack"), 0);
}

#[tokio::test]
async fn names_what_could_not_be_deleted() {
    let (cloud, ears) = (cloud(&["A", "Sticky"]), Ears::default());
    let error = destroyed(&cloud, Consent::default(), &ears).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "stack `Fleet-dev` could not be deleted: `Sticky` (AWS::SNS::Topic) of `Fleet-dev` is \
         DELETE_FAILED: it is in use"
    );
    assert_eq!(cloud.calls("DeleteStack"), 1);
}

#[tokio::test]
async fn leaves_behind_what_cannot_be_deleted_when_told() {
    let (cloud, ears) = (cloud(&["A", "Sticky"]), Ears::default());
    let consent = Consent { leave_failed: true, ..Consent::default() };
    let done = destroyed(&cloud, consent, &ears).await.unwrap();
    let left: Vec<&str> = done.left_behind.iter().map(|it| it.logical_id.as_str()).collect();
    assert_eq!(left, ["Sticky"]);
    assert_eq!(cloud.calls("DeleteStack"), 2);
    assert!(cloud.state().stacks.live("Fleet-dev").is_none());
}

#[tokio::test]
async fn forces_deletion_only_as_the_last_resort_and_only_when_told() {
    let (cloud, ears) = (cloud(&["Sticky"]), Ears::default());
    let consent = Consent { force: true, ..Consent::default() };
    let done = destroyed(&cloud, consent, &ears).await.unwrap();
    assert_eq!(done.left_behind.len(), 1);
    assert_eq!(cloud.calls("DeleteStack"), 2);
}

#[tokio::test]
async fn tells_which_resources_outlive_the_stack() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let mut template = template(&["A", "Kept"]);
    template["Resources"]["Kept"]["DeletionPolicy"] = "Retain".into();
    cloud.state().stacks.put("Fleet-dev", "CREATE_COMPLETE", template);
    let done = destroyed(&cloud, Consent::default(), &ears).await.unwrap();
    assert_eq!(done.retained[0].logical_id, "Kept");
    let retained = |event: &Event| matches!(event, Event::Retained { .. });
    assert_eq!(ears.heard(retained), 1);
}
