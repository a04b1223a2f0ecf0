//! What outlives the process, and what lies on disk.
//!
//! A process is killed by copying its folder while it runs.

use std::path::Path;

use http::Method;
use iotstack_local_kernel::Store;

use super::bench::request;
use super::{Bench, RequestExt};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (version, upload);
    {
        let bench = Bench::over(Store::open(folder.path()).unwrap()).await;
        bench.bucket("firmware", true).await;
        version = bench.put("/firmware/a", "one").await.header("x-amz-version-id").to_owned();
        bench.put("/firmware/a", "two").await;
        bench.put("/firmware/b", &"x".repeat(700_000)).await;
        bench.delete("/firmware/b").await;
        let begun = bench.send(request(Method::POST, "/firmware/c?uploads", "")).await;
        upload = begun.all("UploadId")[0].to_owned();
        bench.put(&format!("/firmware/c?partNumber=1&uploadId={upload}"), "part").await;
        bench.put("/firmware?policy", &policy()).await;
    }
    std::fs::write(folder.path().join("objects/orphan"), "left behind").unwrap();
    let (folder, store) = killed(folder.path());
    let bench = Bench::over(store).await;
    assert!(!folder.path().join("objects/orphan").exists());
    assert_eq!(bench.get("/firmware/a").await.text(), "two");
    assert_eq!(bench.get(&format!("/firmware/a?versionId={version}")).await.text(), "one");
    assert_eq!(bench.get("/firmware/b").await.status, 404);
    assert_eq!(bench.get("/firmware?versions&prefix=b").await.all("VersionId").len(), 2);
    let parts = bench.get(&format!("/firmware/c?uploadId={upload}")).await;
    assert_eq!(parts.all("Size"), ["4"]);
    assert_eq!(bench.get("/firmware?policy").await.text(), policy());
}

#[tokio::test]
async fn bytes_lie_in_private_files_with_names_that_no_key_can_choose() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::over(Store::open(folder.path()).unwrap()).await;
    bench.bucket("firmware", false).await;
    for key in ["%2e%2e/%2e%2e/%2e%2e/escaped", "..%2F..%2Fescaped", "%2Fetc%2Fescaped"] {
        let answer = bench.put(&format!("/firmware/{key}"), "x").await;
        assert!(answer.status == 200 || answer.status.is_client_error(), "{}", answer.text());
    }
    bench.put("/firmware/plain", "bytes").await;
    let files: Vec<_> = std::fs::read_dir(folder.path().join("objects"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    assert!(!files.is_empty());
    for file in &files {
        let name = file.file_name().into_string().unwrap();
        assert!(name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    assert!(!folder.path().parent().unwrap().join("escaped").exists());
    // What is overwritten leaves nothing behind.
    bench.put("/firmware/plain", "other").await;
    assert_eq!(kept(folder.path()), files.len());
}

#[tokio::test]
async fn an_upload_whose_checksum_does_not_fit_leaves_nothing_but_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::over(Store::open(folder.path()).unwrap()).await;
    bench.bucket("firmware", false).await;
    let begin = request(Method::POST, "/firmware/a?uploads", "")
        .with("x-amz-checksum-algorithm", "CRC32")
        .with("x-amz-checksum-type", "FULL_OBJECT");
    let begun = bench.send(begin).await;
    let upload = format!("uploadId={}", begun.all("UploadId")[0]);
    let part = bench.put(&format!("/firmware/a?partNumber=1&{upload}"), "hello").await;
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
         </CompleteMultipartUpload>",
        part.header("etag").trim_matches('"')
    );
    let complete = |sum: &str| {
        request(Method::POST, &format!("/firmware/a?{upload}"), &parts)
            .with("x-amz-checksum-crc32", sum)
    };
    let before = kept(folder.path());
    assert_eq!(bench.send(complete("AAAAAA==")).await.refusal(), (400, "BadDigest".to_owned()));
    assert_eq!(kept(folder.path()), before);
    let made = bench.send(complete("NhCmhg==")).await;
    assert_eq!(made.all("ChecksumType"), ["FULL_OBJECT"]);
}

/// How many files hold bytes.
fn kept(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("objects")).unwrap().count()
}

#[tokio::test]
async fn a_url_outlives_the_process_that_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let key = {
        let store = Store::open(folder.path()).unwrap();
        let bench = Bench::over(store).await;
        bench.bucket("firmware", false).await;
        let objects = bench.cloud.ports.objects().unwrap();
        let minute = std::time::Duration::from_secs(60);
        credential(&objects.presign("firmware", "a", None, false, minute).unwrap())
    };
    let (_folder, store) = killed(folder.path());
    let bench = Bench::over(store).await;
    let objects = bench.cloud.ports.objects().unwrap();
    let minute = std::time::Duration::from_secs(60);
    let again = objects.presign("firmware", "a", None, false, minute).unwrap();
    assert_eq!(credential(&again), key);
}

fn credential(url: &str) -> String {
    let (_, rest) = url.split_once("X-Amz-Credential=").unwrap();
    rest.split("%2F").next().unwrap().to_owned()
}

/// What a process finds whose predecessor was killed at this moment.
fn killed(folder: &Path) -> (tempfile::TempDir, Store) {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("objects")).unwrap();
    for part in ["", "objects"] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let to = copy.path().join(part).join(entry.file_name());
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let store = Store::open(copy.path()).unwrap();
    (copy, store)
}

fn policy() -> String {
    let statement =
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::firmware"}"#;
    format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
}
