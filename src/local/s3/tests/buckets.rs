//! Buckets, by the API and by CloudFormation.
//!
//! Properties that have no meaning here must be refused by their name.

use http::Method;
use iotstack_local_kernel::{ResourceFault, ResourceRequest};
use serde_json::{Value, json};

use super::bench::request;
use super::{Bench, RequestExt};

#[tokio::test]
async fn a_bucket_that_is_not_empty_is_not_deleted() {
    let bench = Bench::start().await;
    bench.bucket("firmware", true).await;
    bench.put("/firmware/a", "x").await;
    bench.delete("/firmware/a").await;
    let refused = bench.delete("/firmware").await;
    assert_eq!(refused.refusal(), (409, "BucketNotEmpty".to_owned()));
    for version in bench.get("/firmware?versions").await.all("VersionId") {
        bench.delete(&format!("/firmware/a?versionId={version}")).await;
    }
    assert_eq!(bench.delete("/firmware").await.status, 204);
    let gone = bench.get("/firmware?list-type=2").await;
    assert_eq!(gone.refusal(), (404, "NoSuchBucket".to_owned()));
}

#[tokio::test]
async fn names_follow_the_rules_of_s3() {
    let bench = Bench::start().await;
    for name in ["ab", "Firmware", "a_b", "-ab", "a..b"] {
        let refused = bench.put(&format!("/{name}"), "").await;
        assert_eq!(refused.refusal(), (400, "InvalidBucketName".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn the_host_may_name_the_bucket() {
    let bench = Bench::start().await;
    bench.bucket("firm.s3.ware", false).await;
    bench.put("/firm.s3.ware/a", "x").await;
    for host in [
        "firm.s3.ware.s3.us-east-1.amazonaws.com",
        "firm.s3.ware.s3.amazonaws.com",
        "firm.s3.ware.localhost:4566",
        "firm.s3.ware.s3.localhost:4566",
    ] {
        use s3s::host::S3Host;
        let found = crate::front::Hosts.parse_host_header(host).unwrap();
        assert_eq!(found.bucket(), Some("firm.s3.ware"), "{host}");
    }
    for host in ["localhost:4566", "s3.us-east-1.amazonaws.com", "s3.localhost", "box:80"] {
        use s3s::host::S3Host;
        assert_eq!(crate::front::Hosts.parse_host_header(host).unwrap().bucket(), None, "{host}");
    }
}

#[tokio::test]
async fn configurations_are_refused_if_wrong_and_given_back_if_right() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    for (name, code) in [
        ("policy", "NoSuchBucketPolicy"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("cors", "NoSuchCORSConfiguration"),
        ("tagging", "NoSuchTagSet"),
    ] {
        let answer = bench.get(&format!("/firmware?{name}")).await;
        assert_eq!(answer.refusal(), (404, code.to_owned()));
    }
    let policy = |resource: &str| {
        let statement = json!({
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": format!("arn:aws:s3:::{resource}"),
        });
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
    let foreign = bench.put("/firmware?policy", &policy("other/*")).await;
    assert_eq!(foreign.refusal(), (400, "MalformedPolicy".to_owned()));
    assert_eq!(bench.put("/firmware?policy", &policy("firmware/*")).await.status, 204);
    assert_eq!(bench.get("/firmware?policy").await.text(), policy("firmware/*"));
    let idle =
        "<LifecycleConfiguration><Rule><Status>Enabled</Status></Rule></LifecycleConfiguration>";
    assert_eq!(bench.put("/firmware?lifecycle", idle).await.status, 400);
    let website = request(Method::PUT, "/firmware?website", "<WebsiteConfiguration/>");
    assert_eq!(bench.send(website.with("content-md5", "")).await.status, 501);
}

#[tokio::test]
async fn a_bucket_is_made_in_the_region_of_the_endpoint() {
    use crate::Error::{IllegalLocationConstraint, InvalidLocationConstraint};
    use crate::configuration::location;
    assert_eq!(location("us-east-1", None).unwrap(), "us-east-1");
    assert_eq!(location("us-east-1", Some("eu-west-1")).unwrap(), "eu-west-1");
    assert_eq!(location("eu-west-1", Some("eu-west-1")).unwrap(), "eu-west-1");
    assert_eq!(location("eu-west-1", Some("EU")).unwrap(), "eu-west-1");
    let named = location("us-east-1", Some("us-east-1")).unwrap_err();
    assert_eq!(named, InvalidLocationConstraint("us-east-1".to_owned()));
    for (wanted, told) in [(None, "unspecified"), (Some("eu-west-2"), "eu-west-2")] {
        let refused = location("eu-west-1", wanted).unwrap_err();
        assert_eq!(refused, IllegalLocationConstraint(told.to_owned()));
    }
}

#[tokio::test]
async fn what_a_configuration_leaves_open_is_said_and_what_breaks_the_schema_refused() {
    let bench = Bench::start().await;
    bench.bucket("firmware", false).await;
    let rule = |inner: &str| {
        format!(
            "<LifecycleConfiguration><Rule><Status>Enabled</Status>{inner}</Rule>\
             </LifecycleConfiguration>"
        )
    };
    let days = "<Expiration><Days>7</Days></Expiration>";
    let whole = format!("<Filter><Prefix></Prefix></Filter>{days}");
    assert_eq!(bench.put("/firmware?lifecycle", &rule(&whole)).await.status, 200);
    assert_eq!(bench.get("/firmware?lifecycle").await.all("ID").len(), 1);
    for wrong in [
        days.to_owned(),
        format!("<Prefix>a</Prefix>{whole}"),
        format!("<Filter><Prefix>a</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></Filter>{days}"),
        "<Prefix/><Expiration><Days>7</Days><ExpiredObjectDeleteMarker>true\
         </ExpiredObjectDeleteMarker></Expiration>"
            .to_owned(),
    ] {
        let refused = bench.put("/firmware?lifecycle", &rule(&wrong)).await;
        assert_eq!(refused.refusal(), (400, "MalformedXML".to_owned()), "{wrong}");
    }
    let tags = |tag: &str| {
        format!("<Tagging><TagSet><Tag><Key>{tag}</Key><Value>v</Value></Tag></TagSet></Tagging>")
    };
    let system = bench.put("/firmware?tagging", &tags("aws:x")).await;
    assert_eq!(system.refusal(), (400, "InvalidTag".to_owned()));
    assert_eq!(bench.put("/firmware?tagging", &tags("x")).await.status, 204);
    bench.put("/firmware?tagging", "<Tagging><TagSet></TagSet></Tagging>").await;
    let none = bench.get("/firmware?tagging").await;
    assert_eq!(none.refusal(), (404, "NoSuchTagSet".to_owned()));
    assert_eq!(none.all("BucketName"), ["firmware"]);
    assert_eq!(none.all("RequestId"), [none.header("x-amz-request-id")]);
    let queue = |arn: &str, event: &str| {
        format!(
            "<NotificationConfiguration><QueueConfiguration><Queue>{arn}</Queue>\
             <Event>{event}</Event></QueueConfiguration></NotificationConfiguration>"
        )
    };
    let arn = "arn:aws:sqs:us-east-1:1:q";
    for (arn, event) in [
        ("arn:aws:sns:us-east-1:1:q", "s3:ObjectCreated:*"),
        ("arn:aws:sqs:eu-west-1:1:q", "s3:ObjectCreated:*"),
        (arn, "s3:Created"),
    ] {
        let refused = bench.put("/firmware?notification", &queue(arn, event)).await;
        assert_eq!(refused.refusal(), (400, "InvalidArgument".to_owned()), "{arn} {event}");
    }
    bench.put("/firmware?notification", &queue(arn, "s3:ObjectCreated:*")).await;
    assert_eq!(bench.get("/firmware?notification").await.all("Id").len(), 1);
}

#[tokio::test]
async fn a_stack_makes_a_bucket_with_all_that_it_asks_for() {
    let bench = Bench::start().await;
    let properties = json!({
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [{
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
            "BucketKeyEnabled": true,
        }]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "BlockPublicPolicy": "true"},
        "VersioningConfiguration": {"Status": "Enabled"},
        "LifecycleConfiguration": {"Rules": [{
            "Id": "old",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 365},
            "NoncurrentVersionTransitions": [
                {"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": "30"},
            ],
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }]},
        "CorsConfiguration": {"CorsRules": [
            {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAge": 5},
        ]},
        "NotificationConfiguration": {
            "EventBridgeConfiguration": {"EventBridgeEnabled": true},
            "QueueConfigurations": [{
                "Event": "s3:ObjectCreated:*",
                "Queue": "arn:aws:sqs:us-east-1:123456789012:q",
                "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "in/"}]}},
            }],
        },
        "Tags": [{"Key": "team", "Value": "fleet"}],
    });
    let request = stack(properties.clone());
    let handler = bench.cloud.resource("AWS::S3::Bucket").unwrap();
    let made = handler.create(&request).await.unwrap();
    let name = made.physical_id.as_str();
    assert!(name.starts_with("fleet-firmwarebucket-"), "{name}");
    assert!(s3s::path::check_bucket_name(name), "{name}");
    assert_eq!(made.attributes["Arn"], format!("arn:aws:s3:::{name}"));
    assert_eq!(made.attributes["RegionalDomainName"], format!("{name}.s3.us-east-1.amazonaws.com"));

    let get = async |what: &str| bench.get(&format!("/{name}?{what}")).await;
    assert_eq!(get("versioning").await.all("Status"), ["Enabled"]);
    assert_eq!(get("encryption").await.all("KMSMasterKeyID"), ["k"]);
    let lifecycle = get("lifecycle").await;
    assert_eq!(lifecycle.all("NoncurrentDays"), ["365", "30"]);
    assert_eq!(lifecycle.all("DaysAfterInitiation"), ["7"]);
    assert_eq!(get("publicAccessBlock").await.all("BlockPublicPolicy"), ["true"]);
    assert_eq!(get("publicAccessBlock").await.all("IgnorePublicAcls"), ["false"]);
    assert_eq!(get("ownershipControls").await.all("ObjectOwnership"), ["BucketOwnerEnforced"]);
    assert_eq!(get("cors").await.all("MaxAgeSeconds"), ["5"]);
    assert_eq!(get("notification").await.all("Event"), ["s3:ObjectCreated:*"]);
    assert!(get("tagging").await.text().contains("<Key>team</Key><Value>fleet</Value>"));
    let written = bench.put(&format!("/{name}/a"), "x").await;
    assert_eq!(written.header("x-amz-server-side-encryption"), "aws:kms");
    assert!(written.header("x-amz-server-side-encryption-aws-kms-key-id").ends_with(":key/k"));

    let policies = bench.cloud.resource("AWS::S3::BucketPolicy").unwrap();
    let statement = json!({
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": format!("arn:aws:s3:::{name}"),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    });
    let document = json!({"Version": "2012-10-17", "Statement": [statement]});
    let policy = stack(json!({"Bucket": name, "PolicyDocument": document}));
    policies.create(&policy).await.unwrap();
    assert!(get("policy").await.text().contains("SecureTransport"));
    assert!(policies.create(&policy).await.is_err());

    // An update leaves the policy alone, and versions are suspended, not forgotten.
    let mut fewer = properties;
    fewer.as_object_mut().unwrap().remove("VersioningConfiguration");
    fewer.as_object_mut().unwrap().remove("LifecycleConfiguration");
    let changed = ResourceRequest { physical_id: Some(name.to_owned()), ..stack(fewer) };
    handler.update(&changed).await.unwrap();
    assert_eq!(get("versioning").await.all("Status"), ["Suspended"]);
    assert_eq!(get("lifecycle").await.status, 404);
    assert_eq!(get("policy").await.status, 200);

    let refused = handler.delete(&changed).await.unwrap_err();
    let ResourceFault::Failed { message, .. } = &refused else { panic!("{refused}") };
    assert!(message.contains("The bucket you tried to delete is not empty"), "{message}");
    let objects = bench.get(&format!("/{name}?versions")).await;
    bench.delete(&format!("/{name}/a?versionId={}", objects.all("VersionId")[0])).await;
    handler.delete(&changed).await.unwrap();
    handler.delete(&changed).await.unwrap();
}

#[tokio::test]
async fn a_property_without_meaning_here_is_refused_by_name() {
    let bench = Bench::start().await;
    let handler = bench.cloud.resource("AWS::S3::Bucket").unwrap();
    let refused = handler.create(&stack(json!({"WebsiteConfiguration": {}}))).await.unwrap_err();
    assert!(refused.to_string().contains("WebsiteConfiguration"), "{refused}");
    let named = stack(json!({"BucketName": "firmware"}));
    handler.create(&named).await.unwrap();
    let again = handler.create(&named).await.unwrap_err();
    assert!(matches!(&again, ResourceFault::Failed { code, .. } if code == "AlreadyExists"));
    let moved = ResourceRequest {
        physical_id: Some("firmware".to_owned()),
        ..stack(json!({"BucketName": "other"}))
    };
    assert_eq!(handler.update(&moved).await, Err(ResourceFault::Replace));
}

fn stack(properties: Value) -> ResourceRequest {
    ResourceRequest {
        logical_id: "FirmwareBucket".to_owned(),
        stack_name: "Fleet".to_owned(),
        stack_id: "arn:aws:cloudformation:us-east-1:123456789012:stack/Fleet/1".to_owned(),
        properties,
        ..ResourceRequest::default()
    }
}
