//! A stack in each state of the table, met by a deployment and by a destruction.

use iotstack_deploy::change_set::{DeployOptions, OnFailure, Proposal};
use iotstack_deploy::destroy::{Consent, destroy, inspect};
use iotstack_deploy::recover::{RecoveryAction, recover};
use iotstack_deploy::{Error, Event, StackStatus};

use crate::app::{App, Ears, deploy, proposal, template};
use crate::cloud::Cloud;

/// A cloud whose stack is in `status`; what runs ends in `end`.
fn cloud_in(status: &str, end: Option<&str>) -> Cloud {
    let cloud = Cloud::default();
    let mut state = cloud.state();
    let stack = state.stacks.put("Fleet-dev", "CREATE_COMPLETE", template(&["A"]));
    stack.status = status.to_owned();
    if let Some(end) = end {
        let begin = match status {
            "ROLLBACK_IN_PROGRESS" => "CREATE_IN_PROGRESS",
            status if status.starts_with("UPDATE_") => "UPDATE_IN_PROGRESS",
            status if status.starts_with("IMPORT_") => "IMPORT_IN_PROGRESS",
            status => status,
        };
        let failed = if end.contains("ROLLBACK") { "UPDATE_FAILED" } else { "UPDATE_COMPLETE" };
        stack.run(
            "other",
            &[
                ("Fleet-dev", begin, "User Initiated"),
                ("A", failed, "somebody else's mistake"),
                ("Fleet-dev", status, ""),
                ("Fleet-dev", end, ""),
            ],
        );
        stack.status = status.to_owned();
    }
    drop(state);
    cloud
}

async fn proposed(cloud: &Cloud, ears: &Ears) -> Result<Proposal, Error> {
    let app = App::new(template(&["A", "B"]));
    proposal(cloud, &app, &DeployOptions::default(), ears).await
}

#[tokio::test]
async fn deploys_over_every_settled_state() {
    for status in [
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "IMPORT_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
        "REVIEW_IN_PROGRESS",
    ] {
        let (cloud, ears) = (cloud_in(status, None), Ears::default());
        let app = App::new(template(&["A", "B"]));
        let (deployed, changed) = deploy(&cloud, &app, &ears).await.unwrap();
        assert!(changed && deployed.status.is_success(), "{status}");
    }
}

#[tokio::test]
async fn attaches_to_what_runs_and_proposes_afterwards() {
    for (status, end) in [
        ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"),
        ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"),
        ("IMPORT_IN_PROGRESS", "IMPORT_COMPLETE"),
        ("DELETE_IN_PROGRESS", "DELETE_COMPLETE"),
    ] {
        let (cloud, ears) = (cloud_in(status, Some(end)), Ears::default());
        let proposal = proposed(&cloud, &ears).await.unwrap();
        let Proposal::Changes(change_set) = proposal else { panic!("{status}: {proposal:?}") };
        assert_eq!(change_set.creates_stack, end == "DELETE_COMPLETE", "{status}");
        let attached = |event: &Event| matches!(event, Event::Attached { .. });
        assert_eq!(ears.heard(attached), 1, "{status}");
    }
}

#[tokio::test]
async fn reports_a_rollback_that_runs_with_its_cause() {
    for (status, end) in [
        ("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
        ("IMPORT_ROLLBACK_IN_PROGRESS", "IMPORT_ROLLBACK_COMPLETE"),
    ] {
        let (cloud, ears) = (cloud_in(status, Some(end)), Ears::default());
        let error = proposed(&cloud, &ears).await.unwrap_err();
        let Error::RolledBack { status: at, failure, .. } = error else { panic!("{error}") };
        assert_eq!(at.as_str(), end);
        assert_eq!(failure.unwrap().reason, "somebody else's mistake");
        assert_eq!(cloud.calls("CreateChangeSet"), 0);
    }
}

#[tokio::test]
async fn proposes_the_way_out_of_every_bad_state_and_takes_it() {
    use RecoveryAction::{ContinueRollback, Delete, RollBack};
    for (status, action) in [
        ("ROLLBACK_COMPLETE", Delete),
        ("ROLLBACK_FAILED", Delete),
        ("DELETE_FAILED", Delete),
        ("CREATE_FAILED", RollBack),
        ("UPDATE_FAILED", RollBack),
        ("UPDATE_ROLLBACK_FAILED", ContinueRollback),
        ("IMPORT_ROLLBACK_FAILED", ContinueRollback),
    ] {
        let (cloud, ears) = (cloud_in(status, None), Ears::default());
        let proposal = proposed(&cloud, &ears).await.unwrap();
        let Proposal::Recover(recovery) = proposal else { panic!("{status}: {proposal:?}") };
        assert_eq!(recovery.action, action, "{status}");
        // Nothing was done before somebody agreed.
        for call in ["DeleteStack", "RollbackStack", "ContinueUpdateRollback", "CreateChangeSet"] {
            assert_eq!(cloud.calls(call), 0, "{status}: {call}");
        }
        let (deployed, _) = deploy(&cloud, &App::new(template(&["A", "B"])), &ears).await.unwrap();
        assert!(deployed.status.is_success(), "{status}");
    }
}

#[tokio::test]
async fn a_failed_stack_is_tried_again_where_rollback_is_switched_off() {
    for status in ["CREATE_FAILED", "UPDATE_FAILED"] {
        let (cloud, ears) = (cloud_in(status, None), Ears::default());
        let app = App::new(template(&["A"]));
        let options = DeployOptions { on_failure: OnFailure::Keep, ..DeployOptions::default() };
        let proposal = proposal(&cloud, &app, &options, &ears).await.unwrap();
        assert!(matches!(proposal, Proposal::Changes(_)), "{status}");
    }
}

#[tokio::test]
async fn a_rollback_that_fails_again_needs_a_resource_to_be_left_out() {
    let (cloud, ears) = (cloud_in("UPDATE_ROLLBACK_FAILED", None), Ears::default());
    cloud.state().stacks.all[0].resources[0].1 = "UPDATE_FAILED".into();
    let proposal = proposed(&cloud, &ears).await.unwrap();
    let Proposal::Recover(recovery) = proposal else { panic!("{proposal:?}") };
    assert_eq!(recovery.failed_resources[0].logical_id, "A");
    let clients = cloud.session().clients(&Default::default()).await.unwrap();
    let error = recover(&clients, &recovery, &[], &ears).await.unwrap_err();
    assert!(matches!(error, Error::Failed { status: StackStatus::UpdateRollbackFailed, .. }));
    recover(&clients, &recovery, &["A".to_owned()], &ears).await.unwrap();
    assert_eq!(cloud.state().stacks.all[0].status, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test]
async fn refuses_a_state_that_it_does_not_know() {
    let (cloud, ears) = (cloud_in("HALF_BAKED", None), Ears::default());
    let error = proposed(&cloud, &ears).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "stack `Fleet-dev` is in state HALF_BAKED: this version does not know the state; look at \
         the stack in the console"
    );
}

#[tokio::test]
async fn destroys_a_stack_in_every_state() {
    let settled = StackStatus::known().filter(|status| !status.is_in_progress());
    let settled = settled.map(|status| (status.to_string(), None));
    let running = [
        ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"),
        ("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"),
        ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
        ("IMPORT_IN_PROGRESS", "IMPORT_COMPLETE"),
        ("IMPORT_ROLLBACK_IN_PROGRESS", "IMPORT_ROLLBACK_COMPLETE"),
        ("DELETE_IN_PROGRESS", "DELETE_COMPLETE"),
    ];
    let running = running.map(|(status, end)| (status.to_owned(), Some(end)));
    for (status, end) in settled.chain(running) {
        let (cloud, ears) = (cloud_in(&status, end), Ears::default());
        let clients = cloud.session().clients(&Default::default()).await.unwrap();
        let found = inspect(&clients, "Fleet-dev", &ears).await.unwrap();
        destroy(&clients, &found, Consent::default(), &ears).await.unwrap();
        assert!(cloud.state().stacks.live("Fleet-dev").is_none(), "{status}");
    }
}
