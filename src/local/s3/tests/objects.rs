//! Objects, versions, uploads, lists.
//!
//! Everything goes over the wire, as the wire library has its own ideas of what
//! a request means.

use std::sync::{Arc, Mutex};

use http::Method;
use iotstack_local_kernel::CloudEvent;

use super::bench::request;
use super::{Bench, RequestExt};

#[tokio::test]
async fn versions_stay_readable_under_a_delete_marker() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    let first = bench.put("/firmware/a", "one").await.header("x-amz-version-id").to_owned();
    let second = bench.put("/firmware/a", "two").await.header("x-amz-version-id").to_owned();
    let deleted = bench.delete("/firmware/a").await;
    assert_eq!(deleted.header("x-amz-delete-marker"), "true");
    let marker = deleted.header("x-amz-version-id").to_owned();
    let gone = bench.get("/firmware/a").await;
    assert_eq!(gone.refusal(), (404, "NoSuchKey".to_owned()));
    assert_eq!(gone.header("x-amz-delete-marker"), "true");
    assert_eq!(bench.get(&format!("/firmware/a?versionId={first}")).await.text(), "one");
    let marked = bench.get(&format!("/firmware/a?versionId={marker}")).await;
    assert_eq!(marked.refusal(), (405, "MethodNotAllowed".to_owned()));

    let list = bench.get("/firmware?versions").await;
    assert_eq!(list.all("VersionId"), [marker.as_str(), &second, &first]);
    assert_eq!(list.all("IsLatest"), ["true", "false", "false"]);
    bench.delete(&format!("/firmware/a?versionId={marker}")).await;
    assert_eq!(bench.get("/firmware/a").await.text(), "two");
    let nothing = "0".repeat(32);
    let unknown = bench.get(&format!("/firmware/a?versionId={nothing}")).await;
    assert_eq!(unknown.refusal(), (404, "NoSuchVersion".to_owned()));
    assert_eq!((unknown.all("Key"), unknown.all("VersionId")), (vec!["a"], vec![&*nothing]));
    let none = bench.get("/firmware/a?versionId=nothing").await;
    assert_eq!(none.refusal(), (400, "InvalidArgument".to_owned()));
}

#[tokio::test]
async fn a_suspended_bucket_writes_the_null_version_over() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    let kept = bench.put("/firmware/a", "kept").await.header("x-amz-version-id").to_owned();
    let off = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    bench.put("/firmware?versioning", off).await;
    assert_eq!(bench.put("/firmware/a", "one").await.header("x-amz-version-id"), "null");
    bench.put("/firmware/a", "two").await;
    assert_eq!(bench.get("/firmware?versions").await.all("VersionId"), ["null", &kept]);
    assert_eq!(bench.delete("/firmware/a").await.header("x-amz-version-id"), "null");
    assert_eq!(bench.get("/firmware/a").await.status, 404);
    assert_eq!(bench.get(&format!("/firmware/a?versionId={kept}")).await.text(), "kept");
}

#[tokio::test]
async fn ranges_and_conditions_hold() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let etag = bench.put("/firmware/a", "0123456789").await.header("etag").to_owned();
    let get = |name, value: &str| request(Method::GET, "/firmware/a", "").with(name, value);
    let part = bench.send(get("range", "bytes=2-4")).await;
    assert_eq!((part.status.as_u16(), part.text()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(bench.send(get("range", "bytes=-3")).await.text(), "789");
    assert_eq!(bench.send(get("range", "bytes=8-99")).await.text(), "89");
    let behind = bench.send(get("range", "bytes=10-")).await;
    assert_eq!(behind.refusal(), (416, "InvalidRange".to_owned()));
    assert_eq!(
        (behind.all("ActualObjectSize"), behind.all("RangeRequested")),
        (vec!["10"], vec!["bytes=10-"])
    );
    let head = request(Method::HEAD, "/firmware/a", "").with("range", "bytes=2-4");
    assert_eq!(bench.send(head).await.status, 206);
    // AWS ignores what it does not understand, here only where it is not signed.
    let objects = bench.cloud.ports.objects().unwrap();
    let minute = std::time::Duration::from_secs(60);
    let url = objects.presign("firmware", "a", None, false, minute).unwrap();
    let target = url.strip_prefix(&format!("http://{}", bench.host)).unwrap();
    let several = request(Method::GET, target, "").with("range", "bytes=0-1,4-5");
    assert_eq!(bench.send_plain(several).await.text(), "0123456789");
    // Nobody comes in by a refusal that speaks of ranges.
    let target = "/firmware/a?zX-Amz-Signature=1&X-Amz-Algorithm=invalid%20header:%20range:";
    let sly = request(Method::GET, target, "").with("range", "bytes=-");
    let refused = bench.send_plain(sly.with("authorization", "range")).await;
    assert!(refused.status.is_client_error() && !refused.text().contains("0123456789"));

    let same = bench.send(get("if-none-match", &etag)).await;
    assert_eq!((same.status.as_u16(), same.body.len(), same.header("etag")), (304, 0, &*etag));
    assert_eq!(bench.send(get("if-none-match", "\"other\"")).await.status, 200);
    assert_eq!(bench.send(get("if-match", "\"other\"")).await.status, 412);
    let future = "Wed, 01 Jan 2098 00:00:00 GMT";
    assert_eq!(bench.send(get("if-modified-since", future)).await.status, 304);
    assert_eq!(bench.send(get("if-unmodified-since", future)).await.status, 200);
    let new_only = request(Method::PUT, "/firmware/a", "x").with("if-none-match", "*");
    assert_eq!(bench.send(new_only).await.refusal(), (412, "PreconditionFailed".to_owned()));
}

#[tokio::test]
async fn a_chunked_upload_is_unwrapped_and_its_trailing_checksum_checked() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let upload = |crc: &str| {
        let body = format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n");
        request(Method::PUT, "/firmware/a", &body)
            .with("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .with("content-encoding", "aws-chunked")
            .with("x-amz-decoded-content-length", "5")
            .with("x-amz-trailer", "x-amz-checksum-crc32")
    };
    assert_eq!(bench.send(upload("NhCmhg==")).await.status, 200);
    assert_eq!(bench.get("/firmware/a").await.text(), "hello");
    assert_eq!(bench.get("/firmware/a").await.header("content-encoding"), "");
    let wrong = bench.send(upload("AAAAAA==")).await;
    assert_eq!(wrong.refusal(), (400, "BadDigest".to_owned()));
    let asked = request(Method::HEAD, "/firmware/a", "").with("x-amz-checksum-mode", "ENABLED");
    assert_eq!(bench.send(asked).await.header("x-amz-checksum-crc32"), "NhCmhg==");
}

#[tokio::test]
async fn an_upload_in_parts_becomes_one_object() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    let begun = bench.send(request(Method::POST, "/firmware/big?uploads", "")).await;
    let id = begun.all("UploadId")[0].to_owned();
    let large = "a".repeat(5 * 1024 * 1024);
    let part = async |number: u32, body: &str| {
        let target = format!("/firmware/big?partNumber={number}&uploadId={id}");
        bench.put(&target, body).await.header("etag").to_owned()
    };
    let (first, second) = (part(1, &large).await, part(2, "tail").await);
    let complete = async |parts: &[(u32, &str)]| {
        let parts: String = parts
            .iter()
            .map(|(number, etag)| {
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let target = format!("/firmware/big?uploadId={id}");
        bench.send(request(Method::POST, &target, &body)).await
    };
    assert_eq!(bench.delete("/firmware/missing?uploadId=x").await.status, 404);
    assert_eq!(complete(&[(2, &second), (1, &first)]).await.refusal().1, "InvalidPartOrder");
    assert_eq!(complete(&[(1, &second)]).await.refusal().1, "InvalidPart");
    assert_eq!(complete(&[(3, &second)]).await.refusal().1, "InvalidPart");
    let done = complete(&[(1, &first), (2, &second)]).await;
    assert_eq!(done.status, 200);
    assert!(done.all("ETag")[0].contains("-2"), "{}", done.text());
    let read = bench.get("/firmware/big").await;
    assert_eq!(read.text(), format!("{large}tail"));
    assert_eq!(bench.get("/firmware/big?partNumber=2").await.text(), "tail");
    assert_eq!(complete(&[(1, &first)]).await.refusal(), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn lists_fold_prefixes_and_turn_pages() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    for key in ["a/1", "a/2", "b", "c/1", "c/x/1", "d%20%26"] {
        bench.put(&format!("/firmware/{key}"), "x").await;
    }
    let list = bench.get("/firmware?list-type=2&delimiter=%2F").await;
    assert_eq!(list.all("Key"), ["b", "d &amp;"]);
    assert_eq!(list.all("KeyCount"), ["4"]);
    let mut pages = Vec::new();
    let mut target = "/firmware?list-type=2&delimiter=%2F&max-keys=1&encoding-type=url".to_owned();
    loop {
        let page = bench.get(&target).await;
        // The prefix asked for stands in an element of its own.
        let prefixes = page.all("CommonPrefixes").into_iter();
        pages.extend(prefixes.map(|p| p.replace("<Prefix>", "").replace("</Prefix>", "")));
        pages.extend(page.all("Key").into_iter().map(str::to_owned));
        match page.all("NextContinuationToken").first() {
            Some(token) => {
                let (head, _) = target.split_once("&continuation").unwrap_or((&target, ""));
                target = format!("{head}&continuation-token={token}");
            }
            None => break,
        }
    }
    assert_eq!(pages, ["a/", "b", "c/", "d%20%26"]);
    let inner = bench.get("/firmware?list-type=2&prefix=c%2F&start-after=c%2F1").await;
    assert_eq!(inner.all("Key"), ["c/x/1"]);
    let refused = bench.get("/firmware?list-type=2&continuation-token=%3F").await;
    assert_eq!(refused.refusal(), (400, "InvalidArgument".to_owned()));
}

#[tokio::test]
async fn a_copy_takes_or_replaces_metadata() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let put = request(Method::PUT, "/firmware/a", "x").with("x-amz-meta-version", "1.2.0");
    bench.send(put).await;
    let copy = |to: &str| {
        request(Method::PUT, &format!("/firmware/{to}"), "").with("x-amz-copy-source", "firmware/a")
    };
    assert_eq!(bench.send(copy("b")).await.status, 200);
    assert_eq!(bench.get("/firmware/b").await.header("x-amz-meta-version"), "1.2.0");
    let replaced = copy("c").with("x-amz-metadata-directive", "REPLACE");
    bench.send(replaced.with("x-amz-meta-other", "1")).await;
    let read = bench.get("/firmware/c").await;
    assert_eq!((read.header("x-amz-meta-version"), read.header("x-amz-meta-other")), ("", "1"));
    assert_eq!(bench.send(copy("a")).await.refusal(), (400, "InvalidRequest".to_owned()));
}

#[tokio::test]
async fn every_written_object_is_told_on_the_bus() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    bench.cloud.bus.hear({
        let heard = heard.clone();
        move |event| {
            if let CloudEvent::ObjectCreated { bucket, key } = event {
                heard.lock().unwrap().push(format!("{bucket}/{key}"));
            }
        }
    });
    bench.put("/firmware/a", "x").await;
    let objects = bench.cloud.ports.objects().unwrap();
    objects.put("firmware", "b", "y".into(), None).await.unwrap();
    bench.delete("/firmware/a").await;
    assert_eq!(*heard.lock().unwrap(), ["firmware/a", "firmware/b"]);
}

#[tokio::test]
async fn tags_travel_and_are_checked() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let put = request(Method::PUT, "/firmware/a", "x").with("x-amz-tagging", "k=v&model=p%201");
    bench.send(put).await;
    assert_eq!(bench.get("/firmware/a?tagging").await.all("Value"), ["v", "p 1"]);
    let twice = request(Method::PUT, "/firmware/a", "x").with("x-amz-tagging", "k=v&k=w");
    assert_eq!(bench.send(twice).await.refusal().1, "InvalidTag");
    bench.delete("/firmware/a?tagging").await;
    assert_eq!(bench.get("/firmware/a?tagging").await.all("Value"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_copy_and_an_upload_in_parts_have_the_checksums_that_were_asked_for() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    bench.put("/firmware/a", "hello").await;
    let copy = request(Method::PUT, "/firmware/b", "")
        .with("x-amz-copy-source", "/firmware/a")
        .with("x-amz-checksum-algorithm", "CRC32");
    assert_eq!(bench.send(copy).await.all("ChecksumCRC32"), ["NhCmhg=="]);
    assert_eq!(
        bench.get("/firmware?list-type=2&prefix=b").await.all("ChecksumType"),
        ["FULL_OBJECT"]
    );

    let begin =
        request(Method::POST, "/firmware/c?uploads", "").with("x-amz-checksum-algorithm", "CRC32");
    let begun = bench.send(begin).await;
    let id = begun.all("UploadId")[0];
    let etag = bench.put(&format!("/firmware/c?partNumber=1&uploadId={id}"), "hello").await;
    let etag = etag.header("etag").trim_matches('"').to_owned();
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let complete = || request(Method::POST, &format!("/firmware/c?uploadId={id}"), &parts);
    let made = bench.send(complete()).await;
    assert_eq!(made.all("ChecksumType"), ["COMPOSITE"]);
    assert!(made.all("ChecksumCRC32")[0].ends_with("-1"), "{}", made.text());
    // Who did not hear it may say it again.
    assert_eq!(bench.send(complete()).await.all("ETag"), made.all("ETag"));
    let whole = request(Method::PUT, "/firmware/d", "").with("x-amz-copy-source", "/firmware/c");
    assert_eq!(bench.send(whole).await.all("ChecksumCRC32"), ["NhCmhg=="]);
}

#[tokio::test]
async fn deleting_and_tagging_are_refused_for_what_stands_against_them() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let etag = bench.put("/firmware/a", "x").await.header("etag").to_owned();
    let delete =
        |target: &str, etag: &str| request(Method::DELETE, target, "").with("if-match", etag);
    let other = bench.send(delete("/firmware/a", "\"other\"")).await;
    assert_eq!(other.refusal(), (412, "PreconditionFailed".to_owned()));
    assert_eq!(other.all("Condition"), ["If-Match"]);
    let none = bench.send(delete("/firmware/none", "\"other\"")).await;
    assert_eq!((none.refusal(), none.all("Key")), ((404, "NoSuchKey".to_owned()), vec!["none"]));
    let tagged =
        |tagging: &str| request(Method::PUT, "/firmware/b", "x").with("x-amz-tagging", tagging);
    let system = bench.send(tagged("aws%3Ax=y")).await;
    assert_eq!(system.refusal(), (400, "InvalidTag".to_owned()));
    let many: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
    assert_eq!(bench.send(tagged(&many.join("&"))).await.refusal(), (400, "BadRequest".to_owned()));
    let classed = request(Method::PUT, "/firmware/b", "x").with("x-amz-storage-class", "COLD");
    assert_eq!(bench.send(classed).await.refusal(), (400, "InvalidStorageClass".to_owned()));
    assert_eq!(bench.send(delete("/firmware/a", &etag)).await.status, 204);
}
