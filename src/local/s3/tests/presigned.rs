//! Presigned URLs: the cloud's and clients'.
//!
//! The cloud's clock is stepped by hand; clients' URLs are dated by the machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use iotstack_local_kernel::Timestamp;
use iotstack_local_kernel::signature::{Scope, sign};

use super::bench::request;
use super::{Bench, RequestExt};
use crate::presign::{canonical_query, stamp};

#[tokio::test]
async fn a_url_of_the_cloud_ends_on_the_clouds_clock_and_keeps_its_version() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    let first = bench.put("/firmware/pump%20%2B/v1", "old").await;
    bench.put("/firmware/pump%20%2B/v1", "new").await;
    let objects = bench.cloud.ports.objects().unwrap();
    let version = Some(first.header("x-amz-version-id"));
    let hour = Duration::from_secs(3600);
    let url = objects.presign("firmware", "pump +/v1", version, false, hour).unwrap();
    assert_eq!(bench.follow(&url).await.text(), "old");
    bench.cloud.clock.step(hour - Duration::from_secs(1));
    assert_eq!(bench.follow(&url).await.text(), "old");
    bench.cloud.clock.step(Duration::from_secs(1));
    let late = bench.follow(&url).await;
    assert_eq!(late.refusal(), (403, "AccessDenied".to_owned()));
    assert_eq!(late.all("Message"), ["Request has expired"]);
}

#[tokio::test]
async fn a_url_lets_nobody_do_anything_else() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    let version = bench.put("/firmware/a", "x").await.header("x-amz-version-id").to_owned();
    bench.put("/firmware/a", "y").await;
    let objects = bench.cloud.ports.objects().unwrap();
    let url = objects.presign("firmware", "a", Some(&version), false, Duration::from_secs(60));
    let url = url.unwrap();
    let target = url.strip_prefix(&format!("http://{}", bench.host)).unwrap().to_owned();
    let mismatch = (403, "SignatureDoesNotMatch".to_owned());
    for other in [
        target.replace("/a?", "/b?"),
        target.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
        target.replace(&format!("&versionId={version}"), ""),
        format!("{target}&tagging="),
    ] {
        let answer = bench.send_plain(request(Method::GET, &other, "")).await;
        assert_eq!(answer.refusal(), mismatch, "{other}");
    }
    let put = bench.send_plain(request(Method::PUT, &target, "evil")).await;
    assert_eq!(put.refusal(), mismatch);
    let twice = format!("{target}&X-Amz-Expires=600");
    let twice = bench.send_plain(request(Method::GET, &twice, "")).await;
    assert_eq!(twice.refusal().1, "AuthorizationQueryParametersError");
}

#[tokio::test]
async fn a_url_for_writing_takes_an_upload() {
    let bench = Bench::start().await;
    bench.bucket("reports", false).await;
    let objects = bench.cloud.ports.objects().unwrap();
    let url = objects.presign("reports", "r/1", None, true, Duration::from_secs(60)).unwrap();
    let target = url.strip_prefix(&format!("http://{}", bench.host)).unwrap();
    assert_eq!(bench.send_plain(request(Method::PUT, target, "log")).await.status, 200);
    assert_eq!(&objects.get("reports", "r/1", None).await.unwrap().bytes[..], b"log");
}

#[tokio::test]
async fn a_clients_url_is_judged_by_the_clients_time() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    bench.put("/firmware/a", "x").await;
    let fresh = client_url(&bench, 0, "");
    assert_eq!(bench.send_plain(request(Method::GET, &fresh, "")).await.text(), "x");
    let range = request(Method::GET, &fresh, "").with("range", "bytes=0-0");
    assert_eq!(bench.send_plain(range).await.status, 206);
    let old = bench.send_plain(request(Method::GET, &client_url(&bench, -61, ""), "")).await;
    assert_eq!(old.all("Message"), ["Request has expired"]);
    let early = bench.send_plain(request(Method::GET, &client_url(&bench, 3600, ""), "")).await;
    assert_eq!(early.all("Message"), ["Request is not valid yet"]);
}

/// A URL as an SDK makes it with the key `test`, good for 60 seconds.
fn client_url(bench: &Bench, shift: i64, extra: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let stamp = stamp(Timestamp((i64::try_from(now).unwrap() + shift) * 1000));
    let date = &stamp[..8];
    let mut query: Vec<(String, String)> = [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &format!("test/{date}/us-east-1/s3/aws4_request")),
        ("X-Amz-Date", &stamp),
        ("X-Amz-Expires", "60"),
        ("X-Amz-SignedHeaders", "host"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let canonical = canonical_query(&mut query);
    let request =
        format!("GET\n/firmware/a\n{canonical}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD", bench.host);
    let scope = Scope { date, region: "us-east-1", service: "s3" };
    let signature = sign("secret of test", &scope, &stamp, request.as_bytes());
    format!("/firmware/a?{canonical}&X-Amz-Signature={signature}{extra}")
}
