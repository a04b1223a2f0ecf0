//! A deployment that is dropped at any of its calls, and begun again.
//!
//! Every call of a deployment is tried twice: dropped before the service heard it, and
//! dropped after it took effect but before the answer arrived. The next deployment must
//! end with the stack as the template wants it, whatever the first one left.

use iotstack_deploy::StackStatus;
use serde_json::Value;

use crate::app::{App, Ears, deploy, template};
use crate::cloud::Cloud;

/// Drops a deployment of `next` onto what `prepare` made, at each of its calls.
async fn interrupted_everywhere(before: Option<Value>, next: Value) -> usize {
    let ears = Ears::default();
    let app = App::new(next.clone());
    let mut call = 0;
    loop {
        let mut finished = false;
        for takes_effect in [false, true] {
            let cloud = Cloud::default();
            if let Some(before) = &before {
                cloud.state().stacks.put("Fleet-dev", "CREATE_COMPLETE", before.clone());
            }
            cloud.stall(call, takes_effect);
            tokio::select! {
                biased;
                () = cloud.stalled() => {}
                result = deploy(&cloud, &app, &ears) => {
                    result.unwrap();
                    finished = true;
                }
            }
            cloud.unstall();
            let (deployed, _) = deploy(&cloud, &app, &ears).await.unwrap_or_else(|error| {
                panic!(
                    "dropped at call {call} ({takes_effect}): {error}; {:?}",
                    cloud.state().calls
                )
            });
            assert!(matches!(
                deployed.status,
                StackStatus::CreateComplete | StackStatus::UpdateComplete
            ));
            let state = cloud.state();
            let stack = state.stacks.live("Fleet-dev").unwrap();
            assert_eq!(stack.template, next, "dropped at call {call} ({takes_effect})");
            assert_eq!(stack.executions, 1, "dropped at call {call} ({takes_effect})");
            assert!(stack.change_sets.is_empty(), "dropped at call {call} ({takes_effect})");
        }
        if finished {
            return call;
        }
        call += 1;
    }
}

#[tokio::test]
async fn a_new_stack_survives_being_interrupted_at_every_call() {
    let calls = interrupted_everywhere(None, template(&["A", "B", "C"])).await;
    assert!(calls > 10, "{calls}");
}

#[tokio::test]
async fn an_update_survives_being_interrupted_at_every_call() {
    let calls = interrupted_everywhere(Some(template(&["A"])), template(&["A", "B"])).await;
    assert!(calls > 10, "{calls}");
}
