//! Requests that no client means: refused, never answered with a broken
//! connection or a fault of the cloud.
//!
//! They are sent as bytes over loopback, as somebody hostile would.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};

use super::bench::request;
use super::{Bench, RequestExt};

#[tokio::test]
async fn no_changed_character_of_a_presigned_url_goes_unnoticed() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    let version = bench.put("/firmware/pump/v1", "x").await.header("x-amz-version-id").to_owned();
    let objects = bench.cloud.ports.objects().unwrap();
    let hour = Duration::from_secs(3600);
    let url = objects.presign("firmware", "pump/v1", Some(&version), false, hour).unwrap();
    let target = url.strip_prefix(&format!("http://{}", bench.host)).unwrap().to_owned();
    assert_eq!(bench.follow(&url).await.status, 200);
    let mut tried = 0;
    for at in 1..target.len() {
        for other in ["x", "%", "&", "="] {
            let mut changed = target.clone();
            changed.replace_range(at..=at, other);
            if changed == target {
                continue;
            }
            let Ok(asked) = Request::get(&changed).body(Bytes::new()) else { continue };
            let answer = bench.send_plain(asked).await;
            assert!(answer.status.is_client_error(), "{} {changed}", answer.status);
            tried += 1;
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[tokio::test]
async fn odd_queries_and_bodies_are_the_clients_fault() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    bench.put("/firmware/a", "x").await;
    let signed = [
        request(Method::GET, "/firmware?list-type=2&max-keys=-1", ""),
        request(Method::GET, "/firmware?list-type=2&max-keys=many", ""),
        request(Method::GET, "/firmware/a?partNumber=0", ""),
        request(Method::GET, "/firmware/a?versionId=%00", ""),
        request(Method::GET, "/firmware/a?partNumber=1", "").with("range", "bytes=0-0"),
        request(Method::PUT, "/firmware?versioning", "<VersioningConfiguration>"),
        request(Method::PUT, "/firmware?versioning", "<<>"),
        request(Method::PUT, "/firmware?policy", "no json"),
        request(Method::PUT, "/firmware?policy", "[[[["),
        request(Method::PUT, "/firmware?tagging", ""),
        request(Method::POST, "/firmware?delete", "<Delete></Delete>"),
        request(Method::POST, "/firmware?delete", "\u{0}"),
        request(Method::POST, "/firmware/a?uploadId=none", "<CompleteMultipartUpload/>"),
        request(Method::PUT, "/firmware/a?partNumber=99999&uploadId=none", "x"),
        request(Method::PUT, "/firmware/b", "").with("x-amz-copy-source", "firmware"),
        request(Method::PUT, "/firmware/b", "").with("x-amz-copy-source", "/firmware/none"),
        request(Method::PUT, "/firmware/b", "x").with("content-md5", "nonsense"),
        request(Method::PUT, "/firmware/b", "x").with("x-amz-checksum-sha256", "nonsense"),
        request(Method::PUT, &format!("/firmware/{}", "k".repeat(1025)), "x"),
    ];
    for request in signed {
        let what = format!("{} {} {:?}", request.method(), request.uri(), request.body());
        let answer = bench.send(request).await;
        assert!(answer.status.is_client_error(), "{} for {what}: {}", answer.status, answer.text());
    }
    for target in [
        "/firmware/a?X-Amz-Signature=",
        "/firmware/a?X-Amz-Signature=a&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a",
        "/firmware/a?X-Amz-Signature=a&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=test/20260101/r/s3/aws4_request&X-Amz-Date=2026\
         &X-Amz-Expires=9&X-Amz-SignedHeaders=host",
        "/firmware/a?X-Amz-Signature=a&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=test/20260101/r/s3/aws4_request&X-Amz-Date=20260101TTTTTTTT\
         &X-Amz-Expires=9&X-Amz-SignedHeaders=host",
        "/firmware/a?X-Amz-Signature=a&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=test/20260101/r/s3/aws4_request&X-Amz-Date=20260101T000000Z\
         &X-Amz-Expires=999999999&X-Amz-SignedHeaders=host",
    ] {
        let answer = bench.send_plain(request(Method::GET, target, "")).await;
        assert!(answer.status.is_client_error(), "{} for {target}", answer.status);
    }
    // All that left no trace.
    assert_eq!(bench.get("/firmware?list-type=2").await.all("Key"), ["a"]);
}

#[tokio::test]
async fn a_body_that_ends_early_writes_nothing() {
    use tokio::io::AsyncWriteExt;

    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let objects = bench.cloud.ports.objects().unwrap();
    let url = objects.presign("firmware", "a", None, true, Duration::from_secs(60)).unwrap();
    let target = url.strip_prefix(&format!("http://{}", bench.host)).unwrap();
    let mut stream = tokio::net::TcpStream::connect(&bench.host).await.unwrap();
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: 100\r\n\r\nonly this",
        bench.host
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    // The server has seen the end once it has answered another request.
    assert_eq!(bench.get("/firmware/a").await.status, 404);
    bench.put("/firmware/b", "x").await;
    assert_eq!(bench.get("/firmware?list-type=2").await.all("Key"), ["b"]);
}
