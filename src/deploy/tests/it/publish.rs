//! Publishing through the SDK: what is sent, what is not, and what is refused before.

use iotstack_deploy::asset::{Publication, publish};
use iotstack_deploy::{Error, Event, Result};
use serde_json::{Value, json};

use crate::app::{App, Ears, template};
use crate::cloud::Cloud;

const BUCKET: &str = "assets-123456789012-eu-west-1";

fn app(role: Option<&str>) -> App {
    let mut destination =
        json!({"bucketName": "assets-${AWS::AccountId}-${AWS::Region}", "objectKey": "abc.json"});
    if let Some(role) = role {
        destination["assumeRoleArn"] = role.into();
    }
    let file = |path: &str, packaging: &str, key: &str| {
        let mut destination = destination.clone();
        destination["objectKey"] = key.into();
        json!({"displayName": path, "source": {"path": path, "packaging": packaging},
            "destinations": {"here": destination}})
    };
    let files = json!({"1": file("t.json", "file", "t.json"), "2": file("code", "zip", "c.zip")});
    let app = App::with(template(&["A"]), json!({}), json!({"files": files}));
    std::fs::create_dir(app.folder.path().join("code")).unwrap();
    std::fs::write(app.folder.path().join("code/main"), "code").unwrap();
    app
}

async fn published(cloud: &Cloud, app: &App, ears: &Ears) -> Result<Publication> {
    let assembly = app.assembly();
    let clients = cloud.session().clients_for(&assembly.stacks()[0], ears).await?;
    publish(&clients, &assembly.stacks()[0], ears).await
}

#[tokio::test]
async fn sends_only_what_is_missing() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    cloud.state().buckets.insert(BUCKET.into());
    cloud.state().objects.insert(format!("{BUCKET}/t.json"));
    let publication = published(&cloud, &app(None), &ears).await.unwrap();
    assert_eq!((publication.sent, publication.present), (1, 1));
    assert!(cloud.state().objects.contains(&format!("{BUCKET}/c.zip")));
    let publication = published(&cloud, &app(None), &ears).await.unwrap();
    assert_eq!((publication.sent, publication.present), (0, 2));
    assert_eq!(cloud.calls("PUT object"), 1);
}

#[tokio::test]
async fn asks_about_an_asset_once_in_a_session() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    cloud.state().buckets.insert(BUCKET.into());
    let (app, session) = (app(None), cloud.session());
    let assembly = app.assembly();
    for _ in 0..2 {
        let clients = session.clients_for(&assembly.stacks()[0], &ears).await.unwrap();
        publish(&clients, &assembly.stacks()[0], &ears).await.unwrap();
    }
    assert_eq!(cloud.calls("HEAD object"), 2);
    assert_eq!(cloud.calls("GetCallerIdentity"), 1);
}

#[tokio::test]
async fn a_missing_bucket_is_a_missing_bootstrap() {
    let (cloud, ears) = (Cloud::default(), Ears::default());
    let error = published(&cloud, &app(None), &ears).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "aws://123456789012/eu-west-1 is not bootstrapped: bucket \
         `assets-123456789012-eu-west-1` does not exist"
    );
    assert_eq!(error.hint().unwrap(), "run `iotstack bootstrap aws://123456789012/eu-west-1`");
}

#[tokio::test]
async fn uses_the_publishing_role_or_says_that_it_could_not() {
    let role = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/publisher";
    let arn = "arn:aws:iam::123456789012:role/publisher";
    for (known, complaints) in [(true, 0), (false, 1)] {
        let (cloud, ears) = (Cloud::default(), Ears::default());
        cloud.state().buckets.insert(BUCKET.into());
        if known {
            cloud.state().roles.insert(arn.into());
        }
        let publication = published(&cloud, &app(Some(role)), &ears).await.unwrap();
        assert_eq!(publication.sent, 2);
        let complaint = |event: &Event| {
            matches!(event, Event::RoleNotAssumed { role, reason }
            if role == arn && reason == "AccessDenied: nobody may assume this role")
        };
        assert_eq!(ears.heard(complaint), complaints);
    }
}

#[tokio::test]
async fn refuses_what_it_cannot_publish_before_it_sends_anything() {
    let refused = async |assets: Value| {
        let (cloud, ears) = (Cloud::default(), Ears::default());
        let app = App::with(template(&["A"]), json!({}), assets);
        let error = published(&cloud, &app, &ears).await.unwrap_err();
        assert_eq!(cloud.calls("HEAD object"), 0);
        (error.to_string(), matches!(error, Error::AssetMissing { .. }))
    };
    let images = json!({"dockerImages": {"x": {"displayName": "Service/Image"}}});
    let (message, _) = refused(images).await;
    assert_eq!(message, "container images are not supported: `Service/Image`");

    let missing = json!({"files": {"x": {"displayName": "Code", "source": {"path": "nowhere"},
        "destinations": {}}}});
    let (message, is_missing) = refused(missing).await;
    assert!(is_missing && message.starts_with("asset `Code` is missing: "), "{message}");

    let command = json!({"files": {"x": {"source": {"executable": ["make"]}, "destinations": {}}}});
    let (message, _) = refused(command).await;
    assert_eq!(message, "asset `x` is not valid: its source is a command; expected a `path`");
}
