//! A cloud that is stopped, and one that goes on with its state.
//!
//! Each life has a runtime of its own, which ends in the middle of an operation as a
//! killed process would; the shelf is the other services, which outlive it.

use super::*;

use iotstack_local_kernel::cloud::Addresses;
use iotstack_local_kernel::{Account, Clock, Store, Timestamp};

/// Runs a part of a test in a runtime that ends with it, as a killed process would.
fn life(folder: &std::path::Path, shelf: &Arc<Shelf>, part: impl AsyncFnOnce(&World)) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = Store::open(folder).unwrap();
    let clock = Clock::stepped(Timestamp(1_767_225_600_000));
    let cloud = Cloud::new(Account::default(), clock, store);
    runtime.block_on(async {
        let world = World::with(cloud, shelf.clone());
        world.cloud.listen_at(Addresses {
            endpoint: "http://127.0.0.1:4566".into(),
            mqtt: "localhost:8883".into(),
        });
        part(&world).await;
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn template(delay: u32) -> Value {
    json!({"Resources": {
        "A": topic("a"),
        "Q": {"Type": "AWS::SQS::Queue", "DependsOn": "A",
            "Properties": {"QueueName": "q", "DelaySeconds": delay}}},
        "Outputs": {"O": {"Value": {"Ref": "A"}, "Export": {"Name": "e"}}}})
}

#[test]
fn what_stands_still_stands_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Arc::new(Shelf::default());
    let mut before = Value::Null;
    life(folder.path(), &shelf, async |world| {
        assert_eq!(world.create("s", template(1)).await, "CREATE_COMPLETE");
        world.create("gone", json!({"Resources": {"T": topic("gone")}})).await;
        world.delete("gone").await;
        world.propose("s", "UPDATE", &template(2)).await;
        before = world.stack("s").await;
        before["Events"] = json!(world.events("s").await);
    });
    life(folder.path(), &shelf, async |world| {
        let mut after = world.stack("s").await;
        after["Events"] = json!(world.events("s").await);
        assert_eq!(after, before);
        let names = json!({"StackName": "s", "ChangeSetName": "proposal"});
        world.ask("ExecuteChangeSet", names).await;
        assert_eq!(world.end("s").await, "UPDATE_COMPLETE");
        assert_eq!(
            world.create("gone", json!({"Resources": {"T": topic("g")}})).await,
            "CREATE_COMPLETE"
        );
        assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    });
}

#[test]
fn a_creation_that_was_interrupted_is_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Arc::new(Shelf::default());
    let mut with_thing = template(1);
    with_thing["Resources"]["T"] = json!({"Type": "AWS::IoT::Thing", "DependsOn": "Q",
        "Properties": {"ThingName": "t"}});
    shelf.hold("create AWS::IoT::Thing t");
    life(folder.path(), &shelf, async |world| {
        world.ask("CreateStack", request("s", &with_thing)).await;
        world.until_asked("create AWS::IoT::Thing t").await;
        // It was made, but nobody heard of it any more.
        let mut things = world.shelf.things.lock().unwrap();
        things.insert("AWS::IoT::Thing t".into(), json!({}));
    });
    shelf.let_go();
    life(folder.path(), &shelf, async |world| {
        assert_eq!(world.end("s").await, "ROLLBACK_COMPLETE");
        let events = world.events("s").await;
        assert!(events.iter().any(|event| event.contains("was stopped")), "{events:#?}");
    });
    assert!(shelf.names().is_empty(), "{:?}", shelf.names());
}

#[test]
fn an_update_that_was_interrupted_is_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Arc::new(Shelf::default());
    life(folder.path(), &shelf, async |world| {
        world.create("s", template(1)).await;
        shelf.hold("update AWS::SQS::Queue q");
        let mut wanted = template(2);
        wanted["Resources"]["A"] = topic("b");
        world.ask("UpdateStack", request("s", &wanted)).await;
        world.until_asked("update AWS::SQS::Queue q").await;
    });
    shelf.let_go();
    life(folder.path(), &shelf, async |world| {
        assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
        assert_eq!(world.outputs("s").await["O"], "a");
    });
    assert_eq!(shelf.names(), ["AWS::SNS::Topic a", "AWS::SQS::Queue q"]);
    assert_eq!(shelf.thing("AWS::SQS::Queue q")["DelaySeconds"], 1);
}

#[test]
fn an_inner_update_that_had_ended_is_rolled_back_with_the_outer_one() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Arc::new(Shelf::default());
    let inside = |name: &str| {
        let queue = json!({"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}});
        json!({"Resources": {"Q": queue}}).to_string()
    };
    let lay = |name: &str| shelf.objects.lock().unwrap().insert("b/in.json".into(), inside(name));
    let outside = |topics: &[&str]| {
        let mut template = json!({"Resources": {"Inner": {"Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": "https://s3.us-east-1.amazonaws.com/b/in.json"}}}});
        for name in topics {
            template["Resources"]["Late"] = topic(name);
            template["Resources"]["Late"]["DependsOn"] = json!("Inner");
        }
        template
    };
    lay("q");
    shelf.hold("create AWS::SNS::Topic late");
    life(folder.path(), &shelf, async |world| {
        assert_eq!(world.create("s", outside(&[])).await, "CREATE_COMPLETE");
        lay("q2");
        world.ask("UpdateStack", request("s", &outside(&["late"]))).await;
        world.until_asked("create AWS::SNS::Topic late").await;
    });
    assert_eq!(shelf.names(), ["AWS::SQS::Queue q", "AWS::SQS::Queue q2"]);
    shelf.let_go();
    life(folder.path(), &shelf, async |world| {
        assert_eq!(world.end("s").await, "UPDATE_ROLLBACK_COMPLETE");
    });
    assert_eq!(shelf.names(), ["AWS::SQS::Queue q"]);
}

#[test]
fn a_deletion_that_was_interrupted_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Arc::new(Shelf::default());
    let mut id = String::new();
    life(folder.path(), &shelf, async |world| {
        world.create("s", template(1)).await;
        id = world.stack("s").await["StackId"].as_str().unwrap().to_owned();
        shelf.hold("delete AWS::SNS::Topic a");
        world.ask("DeleteStack", json!({"StackName": "s"})).await;
        world.until_asked("delete AWS::SNS::Topic a").await;
    });
    shelf.let_go();
    life(folder.path(), &shelf, async |world| {
        assert_eq!(world.end(&id).await, "DELETE_COMPLETE");
    });
    assert!(shelf.names().is_empty());
}
