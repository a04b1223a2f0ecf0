//! Who may ask at all, and for what.
//!
//! The services of identity are not here: keys and permissions are a test's own.

use http::Method;
use iotstack_local_kernel::Timestamp;

use super::bench::request;
use super::{Bench, RequestExt};

#[tokio::test]
async fn a_wrong_secret_an_unknown_key_and_no_signature_are_refused() {
    let bench = Bench::start().await;
    let list = || request(Method::GET, "/", "");
    let wrong = bench.send_as(list(), "test", "guess").await;
    assert_eq!(wrong.refusal(), (403, "SignatureDoesNotMatch".to_owned()));
    let unknown = bench.send_as(list(), "nobody", "guess").await;
    assert_eq!(unknown.refusal(), (403, "InvalidAccessKeyId".to_owned()));
    let unsigned = bench.send_plain(list()).await;
    assert_eq!(unsigned.refusal(), (403, "AccessDenied".to_owned()));
    assert_eq!(bench.send(list()).await.status, 200);
}

#[tokio::test]
async fn a_session_needs_its_token_and_ends_on_the_clouds_clock() {
    let bench = Bench::start().await;
    let secret = "secret of session";
    let list = || request(Method::GET, "/", "");
    for bad in [list(), list().with("x-amz-security-token", "another")] {
        let answer = bench.send_as(bad, "session", secret).await;
        assert_eq!(answer.refusal(), (400, "InvalidToken".to_owned()));
    }
    let good = || list().with("x-amz-security-token", "token");
    assert_eq!(bench.send_as(good(), "session", secret).await.status, 200);
    *bench.keys.expires.lock().unwrap() = Some(Timestamp(bench.cloud.clock.now().0 + 1000));
    assert_eq!(bench.send_as(good(), "session", secret).await.status, 200);
    bench.cloud.clock.step(std::time::Duration::from_secs(1));
    let late = bench.send_as(good(), "session", secret).await;
    assert_eq!(late.refusal(), (400, "ExpiredToken".to_owned()));
}

#[tokio::test]
async fn permissions_are_asked_for_the_action_that_is_meant() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    let version = bench.put("/firmware/a/b", "x").await.header("x-amz-version-id").to_owned();
    bench.keys.asked.lock().unwrap().clear();
    bench.get("/firmware/a/b").await;
    bench.get(&format!("/firmware/a/b?versionId={version}")).await;
    bench.get("/firmware?list-type=2").await;
    bench.get("/").await;
    bench.get("/firmware?encryption").await;
    assert_eq!(
        *bench.keys.asked.lock().unwrap(),
        [
            "s3:GetObject arn:aws:s3:::firmware/a/b",
            "s3:GetObjectVersion arn:aws:s3:::firmware/a/b",
            "s3:ListBucket arn:aws:s3:::firmware",
            "s3:ListAllMyBuckets *",
            "s3:GetEncryptionConfiguration arn:aws:s3:::firmware",
        ]
    );
}

#[tokio::test]
async fn what_no_policy_allows_is_denied_also_inside_a_batch_and_behind_a_copy() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    bench.put("/firmware/a", "x").await;
    bench.keys.denied.lock().unwrap().extend(["s3:DeleteObject", "s3:GetObject"].map(String::from));
    let ask = async |request: http::Request<bytes::Bytes>| {
        let request = request.with("x-amz-security-token", "token");
        bench.send_as(request, "session", "secret of session").await
    };
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(ask(request(Method::GET, "/firmware/a", "")).await.refusal(), denied);
    assert_eq!(ask(request(Method::DELETE, "/firmware/a", "")).await.refusal(), denied);
    let copy = request(Method::PUT, "/firmware/b", "").with("x-amz-copy-source", "/firmware/a");
    assert_eq!(ask(copy).await.refusal(), denied);
    let batch = "<Delete><Object><Key>a</Key></Object></Delete>";
    let batch = ask(request(Method::POST, "/firmware?delete", batch)).await;
    assert_eq!((batch.status.as_u16(), batch.all("Code")), (200, vec!["AccessDenied"]));
    assert_eq!(bench.get("/firmware/a").await.text(), "x");
}

#[tokio::test]
async fn the_bucket_of_another_owner_is_not_touched() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let ask = |owner| {
        request(Method::GET, "/firmware?location", "").with("x-amz-expected-bucket-owner", owner)
    };
    assert_eq!(bench.send(ask("123456789012")).await.status, 200);
    assert_eq!(bench.send(ask("999999999999")).await.status, 403);
}
