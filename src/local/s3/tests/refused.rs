//! What S3 does not offer, asked for over the wire: each operation is refused by its own
//! name in S3's format of errors, and none is taken for another.

use http::Method;

use super::bench::request;
use super::{Bench, RequestExt};
use crate::refused::{REFUSED, younger};

#[tokio::test]
async fn every_refused_operation_is_refused_by_its_name_and_harms_nothing() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    bench.put("/firmware/a", "x").await;
    for (name, method, target) in ASKED {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut asked = request(method, target, "");
        if *name == "WriteGetObjectResponse" {
            asked = asked.with("x-amz-request-route", "r").with("x-amz-request-token", "t");
        }
        let answer = bench.send(asked).await;
        assert_eq!(answer.refusal(), (501, "NotImplemented".to_owned()), "{name}");
        assert_eq!(answer.header("content-type"), "application/xml", "{name}");
        let reason = REFUSED.iter().find(|(other, _)| other == name).unwrap().1;
        let message = answer.all("Message")[0].to_owned();
        assert!(message.contains("local cloud does not offer"), "{name}: {message}");
        assert!(message.contains(&format!("s3:{name}: {reason}")), "{name}: {message}");
    }
    assert_eq!(bench.get("/firmware/a").await.text(), "x");
    assert_eq!(bench.get("/firmware?list-type=2").await.all("Key"), ["a"]);
    let asked: Vec<&str> = ASKED.iter().map(|(name, _, _)| *name).collect();
    let listed: Vec<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
    assert_eq!(asked, listed);
}

#[tokio::test]
async fn what_is_refused_is_told_to_nobody_who_does_not_sign() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    for target in ["/firmware?website", "/firmware?abac"] {
        let answer = bench.send_plain(request(Method::GET, target, "")).await;
        assert_eq!(answer.refusal(), (403, "AccessDenied".to_owned()), "{target}");
    }
}

#[tokio::test]
async fn a_word_of_a_younger_operation_means_nothing_elsewhere() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    bench.put("/firmware/a", "x").await;
    // Of a bucket it is an old operation, and as a value it is no word.
    assert_eq!(bench.get("/firmware?encryption").await.status, 200);
    assert_eq!(bench.get("/firmware/a?x=annotation").await.text(), "x");
}

#[test]
fn an_object_is_told_from_its_bucket_wherever_the_bucket_is_named() {
    let meant = |host: &str, target: &str| {
        let request = request(Method::PUT, target, "").with("host", host);
        younger(request.method(), request.uri(), request.headers())
    };
    for (host, target, name) in [
        ("127.0.0.1:4566", "/firmware/a?encryption", Some("UpdateObjectEncryption")),
        ("127.0.0.1:4566", "/firmware?encryption", None),
        ("127.0.0.1:4566", "/firmware/?encryption", None),
        ("firmware.s3.localhost", "/a?encryption", Some("UpdateObjectEncryption")),
        ("firmware.s3.localhost", "/?encryption", None),
        ("firmware.s3.localhost", "/?ab%61c", Some("PutBucketAbac")),
        ("firmware.s3.localhost", "/a?abac", None),
    ] {
        assert_eq!(meant(host, target), name, "{host} {target}");
    }
}

#[rustfmt::skip]
const ASKED: &[(&str, &str, &str)] = &[
    ("CreateBucketMetadataConfiguration", "POST", "/firmware?metadataConfiguration"),
    ("CreateBucketMetadataTableConfiguration", "POST", "/firmware?metadataTable"),
    ("CreateSession", "GET", "/firmware?session"),
    ("DeleteBucketAnalyticsConfiguration", "DELETE", "/firmware?analytics&id=i"),
    ("DeleteBucketIntelligentTieringConfiguration", "DELETE", "/firmware?intelligent-tiering&id=i"),
    ("DeleteBucketInventoryConfiguration", "DELETE", "/firmware?inventory&id=i"),
    ("DeleteBucketMetadataConfiguration", "DELETE", "/firmware?metadataConfiguration"),
    ("DeleteBucketMetadataTableConfiguration", "DELETE", "/firmware?metadataTable"),
    ("DeleteBucketMetricsConfiguration", "DELETE", "/firmware?metrics&id=i"),
    ("DeleteBucketReplication", "DELETE", "/firmware?replication"),
    ("DeleteBucketWebsite", "DELETE", "/firmware?website"),
    ("DeleteObjectAnnotation", "DELETE", "/firmware/a?annotation&annotationName=n"),
    ("GetBucketAbac", "GET", "/firmware?abac"),
    ("GetBucketAnalyticsConfiguration", "GET", "/firmware?analytics&id=i"),
    ("GetBucketIntelligentTieringConfiguration", "GET", "/firmware?intelligent-tiering&id=i"),
    ("GetBucketInventoryConfiguration", "GET", "/firmware?inventory&id=i"),
    ("GetBucketMetadataConfiguration", "GET", "/firmware?metadataConfiguration"),
    ("GetBucketMetadataTableConfiguration", "GET", "/firmware?metadataTable"),
    ("GetBucketMetricsConfiguration", "GET", "/firmware?metrics&id=i"),
    ("GetBucketReplication", "GET", "/firmware?replication"),
    ("GetBucketWebsite", "GET", "/firmware?website"),
    ("GetObjectAnnotation", "GET", "/firmware/a?annotation&annotationName=n"),
    ("GetObjectLegalHold", "GET", "/firmware/a?legal-hold"),
    ("GetObjectLockConfiguration", "GET", "/firmware?object-lock"),
    ("GetObjectRetention", "GET", "/firmware/a?retention"),
    ("GetObjectTorrent", "GET", "/firmware/a?torrent"),
    ("ListBucketAnalyticsConfigurations", "GET", "/firmware?analytics"),
    ("ListBucketIntelligentTieringConfigurations", "GET", "/firmware?intelligent-tiering"),
    ("ListBucketInventoryConfigurations", "GET", "/firmware?inventory"),
    ("ListBucketMetricsConfigurations", "GET", "/firmware?metrics"),
    ("ListDirectoryBuckets", "GET", "/?x-id=ListDirectoryBuckets"),
    ("ListObjectAnnotations", "GET", "/firmware/a?annotation"),
    ("PutBucketAbac", "PUT", "/firmware?abac"),
    ("PutBucketAccelerateConfiguration", "PUT", "/firmware?accelerate"),
    ("PutBucketAcl", "PUT", "/firmware?acl"),
    ("PutBucketAnalyticsConfiguration", "PUT", "/firmware?analytics&id=i"),
    ("PutBucketIntelligentTieringConfiguration", "PUT", "/firmware?intelligent-tiering&id=i"),
    ("PutBucketInventoryConfiguration", "PUT", "/firmware?inventory&id=i"),
    ("PutBucketLogging", "PUT", "/firmware?logging"),
    ("PutBucketMetricsConfiguration", "PUT", "/firmware?metrics&id=i"),
    ("PutBucketReplication", "PUT", "/firmware?replication"),
    ("PutBucketRequestPayment", "PUT", "/firmware?requestPayment"),
    ("PutBucketWebsite", "PUT", "/firmware?website"),
    ("PutObjectAcl", "PUT", "/firmware/a?acl"),
    ("PutObjectAnnotation", "PUT", "/firmware/a?annotation&annotationName=n"),
    ("PutObjectLegalHold", "PUT", "/firmware/a?legal-hold"),
    ("PutObjectLockConfiguration", "PUT", "/firmware?object-lock"),
    ("PutObjectRetention", "PUT", "/firmware/a?retention"),
    ("RenameObject", "PUT", "/firmware/a?renameObject"),
    ("RestoreObject", "POST", "/firmware/a?restore"),
    ("SelectObjectContent", "POST", "/firmware/a?select&select-type=2"),
    ("UpdateBucketMetadataAnnotationTableConfiguration", "PUT", "/firmware?metadataAnnotationTable"),
    ("UpdateBucketMetadataInventoryTableConfiguration", "PUT", "/firmware?metadataInventoryTable"),
    ("UpdateBucketMetadataJournalTableConfiguration", "PUT", "/firmware?metadataJournalTable"),
    ("UpdateObjectEncryption", "PUT", "/firmware/a?encryption"),
    ("WriteGetObjectResponse", "POST", "/firmware"),
];
