//! Parameters as clients and stacks use them.
//!
//! Secure strings are sealed by the KMS of this crate; everything goes through the
//! operations.

use std::sync::Arc;

use iotstack_local_kernel::testing::{self, call};
use iotstack_local_kernel::{Cloud, Fault, ResourceFault, ResourceRequest};
use serde_json::{Value, json};

use crate::RootKey;

fn cloud() -> Arc<Cloud> {
    let cloud = testing::cloud();
    crate::install(&cloud, RootKey::default()).unwrap();
    cloud
}

async fn ssm(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "ssm", operation, input).await
}

async fn put(cloud: &Cloud, name: &str, value: &str) -> Result<Value, Fault> {
    let input = json!({"Name": name, "Value": value, "Type": "String"});
    ssm(cloud, "PutParameter", input).await
}

#[tokio::test]
async fn versions_count_and_selectors_find_them() {
    let cloud = cloud();
    assert_eq!(put(&cloud, "/fw/version", "1.1.0").await.unwrap()["Version"], 1);
    let refused = put(&cloud, "/fw/version", "1.2.0").await.unwrap_err();
    assert_eq!(refused.code, "ParameterAlreadyExists");
    let over = json!({"Name": "/fw/version", "Value": "1.2.0", "Overwrite": true});
    assert_eq!(ssm(&cloud, "PutParameter", over).await.unwrap()["Version"], 2);
    let label = json!({"Name": "/fw/version", "ParameterVersion": 1, "Labels": ["old", "1x"]});
    let labelled = ssm(&cloud, "LabelParameterVersion", label).await.unwrap();
    assert_eq!(labelled["InvalidLabels"], json!(["1x"]));
    let get = async |name: &str| {
        ssm(&cloud, "GetParameter", json!({"Name": name})).await.map(|p| p["Parameter"].clone())
    };
    assert_eq!(get("/fw/version").await.unwrap()["Value"], "1.2.0");
    assert_eq!(get("/fw/version:1").await.unwrap()["Value"], "1.1.0");
    assert_eq!(get("/fw/version:old").await.unwrap()["Selector"], ":old");
    let arn = get("/fw/version").await.unwrap()["ARN"].as_str().unwrap().to_owned();
    assert_eq!(arn, "arn:aws:ssm:us-east-1:123456789012:parameter/fw/version");
    assert_eq!(get(&arn).await.unwrap()["Version"], 2);
    assert_eq!(get("/fw/version:9").await.unwrap_err().code, "ParameterVersionNotFound");
    assert_eq!(get("/fw/none").await.unwrap_err().code, "ParameterNotFound");
    let history = ssm(&cloud, "GetParameterHistory", json!({"Name": "/fw/version"})).await.unwrap();
    assert_eq!(history["Parameters"].as_array().unwrap().len(), 2);
    assert_eq!(cloud.ports.parameters().unwrap().value("/fw/version:1").unwrap(), "1.1.0");
}

#[tokio::test]
async fn outside_of_hierarchies_a_name_may_begin_with_a_slash_or_not() {
    let cloud = cloud();
    put(&cloud, "plain", "a").await.unwrap();
    put(&cloud, "/rooted", "b").await.unwrap();
    put(&cloud, "/fw/version", "c").await.unwrap();
    assert_eq!(put(&cloud, "/plain", "x").await.unwrap_err().code, "ParameterAlreadyExists");
    let names = ["/plain", "rooted", "rooted", "fw/version"];
    let found = ssm(&cloud, "GetParameters", json!({"Names": names})).await.unwrap();
    let values: Vec<&Value> =
        found["Parameters"].as_array().unwrap().iter().map(|each| &each["Value"]).collect();
    assert_eq!(values, ["a", "b"], "each once");
    assert_eq!(found["InvalidParameters"], json!(["fw/version"]));
    let below = ssm(&cloud, "GetParametersByPath", json!({"Path": "/"})).await.unwrap();
    assert_eq!(below["Parameters"].as_array().unwrap().len(), 2);
    ssm(&cloud, "DeleteParameter", json!({"Name": "/plain"})).await.unwrap();
    let gone = ssm(&cloud, "GetParameter", json!({"Name": "plain"})).await;
    assert_eq!(gone.unwrap_err().code, "ParameterNotFound");
    for (member, value) in [("Type", "Number"), ("DataType", "number")] {
        let mut input = json!({"Name": "n", "Value": "1", "Type": "String"});
        input[member] = json!(value);
        let refused = ssm(&cloud, "PutParameter", input).await.unwrap_err();
        assert_eq!((refused.code.as_str(), refused.status), ("ValidationException", 400));
    }
}

#[tokio::test]
async fn every_parameter_is_on_one_page_whether_it_is_rooted_or_not() {
    let cloud = cloud();
    for name in ["a", "/b", "c", "/d/e"] {
        put(&cloud, name, "v").await.unwrap();
    }
    let (mut names, mut input) = (Vec::new(), json!({"MaxResults": 1}));
    for _ in 0..9 {
        let page = ssm(&cloud, "DescribeParameters", input).await.unwrap();
        let found = page["Parameters"].as_array().unwrap().iter();
        names.extend(found.map(|one| one["Name"].as_str().unwrap().to_owned()));
        if page["NextToken"].is_null() {
            break;
        }
        input = json!({"MaxResults": 1, "NextToken": page["NextToken"]});
    }
    assert_eq!(names, ["/d/e", "a", "/b", "c"]);
    let history = json!({"Name": "b"});
    let history = ssm(&cloud, "GetParameterHistory", history).await.unwrap();
    assert_eq!(history["Parameters"][0]["Name"], "/b");
}

#[tokio::test]
async fn a_secure_string_is_shown_only_to_those_who_ask_for_decryption() {
    let cloud = cloud();
    let input = json!({"Name": "token", "Value": "hidden", "Type": "SecureString"});
    ssm(&cloud, "PutParameter", input).await.unwrap();
    let sealed = ssm(&cloud, "GetParameter", json!({"Name": "token"})).await.unwrap();
    let sealed = sealed["Parameter"]["Value"].as_str().unwrap().to_owned();
    assert!(!sealed.contains("hidden"));
    let open = json!({"Name": "token", "WithDecryption": true});
    let open = ssm(&cloud, "GetParameter", open).await.unwrap();
    assert_eq!(open["Parameter"]["Value"], "hidden");
    // What is shown is what KMS can open.
    let arn = open["Parameter"]["ARN"].clone();
    let input = json!({"CiphertextBlob": sealed, "EncryptionContext": {"PARAMETER_ARN": arn}});
    let opened = call(&cloud, "kms", "Decrypt", input).await.unwrap();
    assert_eq!(opened["Plaintext"], "aGlkZGVu");
    let listed = ssm(&cloud, "DescribeParameters", json!({})).await.unwrap();
    assert!(!listed.to_string().contains("hidden"));
    assert_eq!(listed["Parameters"][0]["KeyId"], "alias/aws/ssm");
    let missing = json!({
        "Name": "other", "Value": "x", "Type": "SecureString", "KeyId": "alias/none",
    });
    let missing = ssm(&cloud, "PutParameter", missing).await.unwrap_err();
    assert_eq!(missing.code, "InvalidKeyId");
}

#[tokio::test]
async fn hierarchies_are_read_by_their_path() {
    let cloud = cloud();
    for name in ["/a/x", "/a/y/z", "/ab/c", "plain"] {
        put(&cloud, name, "v").await.unwrap();
    }
    let names = async |input: Value| {
        let answer = ssm(&cloud, "GetParametersByPath", input).await.unwrap();
        let list = answer["Parameters"].as_array().unwrap().clone();
        list.iter().map(|p| p["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!({"Path": "/a"})).await, ["/a/x"]);
    assert_eq!(names(json!({"Path": "/a/", "Recursive": true})).await, ["/a/x", "/a/y/z"]);
    // What is in no hierarchy lies at the root.
    let all = ["/a/x", "/a/y/z", "/ab/c", "plain"];
    assert_eq!(names(json!({"Path": "/", "Recursive": true})).await, all);
    let many = json!({"Names": ["plain", "none"]});
    let many = ssm(&cloud, "GetParameters", many).await.unwrap();
    assert_eq!(many["InvalidParameters"], json!(["none"]));
    let filter = json!({"ParameterFilters": [
        {"Key": "Name", "Option": "BeginsWith", "Values": ["/a/"]},
    ]});
    let filtered = ssm(&cloud, "DescribeParameters", filter).await.unwrap();
    assert_eq!(filtered["Parameters"].as_array().unwrap().len(), 2);
    let gone = json!({"Names": ["/a/x", "none"]});
    let gone = ssm(&cloud, "DeleteParameters", gone).await.unwrap();
    assert_eq!(gone["DeletedParameters"], json!(["/a/x"]));
    let again = ssm(&cloud, "DeleteParameter", json!({"Name": "/a/x"})).await.unwrap_err();
    assert_eq!(again.code, "ParameterNotFound");
}

#[tokio::test]
async fn names_and_values_have_rules() {
    let cloud = cloud();
    for name in ["a/b", "/a//b", "/a/", "aws-x", "/ssm/x", "with space"] {
        let refused = put(&cloud, name, "v").await.unwrap_err();
        assert_eq!(refused.code, "ValidationException", "{name}");
    }
    let deep = put(&cloud, &"/x".repeat(16), "v").await.unwrap_err();
    assert_eq!(deep.code, "HierarchyLevelLimitExceededException");
    assert!(put(&cloud, "big", &"x".repeat(4097)).await.is_err());
    let input = json!({
        "Name": "n", "Value": "secret text", "Type": "String", "AllowedPattern": "^[0-9]+$",
    });
    let refused = ssm(&cloud, "PutParameter", input).await.unwrap_err();
    assert_eq!(refused.code, "ParameterPatternMismatchException");
    assert!(!refused.message.contains("secret text"));
    put(&cloud, "n", "1").await.unwrap();
    let other = json!({"Name": "n", "Value": "1", "Type": "StringList", "Overwrite": true});
    let other = ssm(&cloud, "PutParameter", other).await.unwrap_err();
    assert_eq!(other.code, "HierarchyTypeMismatchException");
}

#[tokio::test]
async fn a_new_version_keeps_what_it_does_not_say() {
    let cloud = cloud();
    let first = json!({
        "Name": "n", "Value": "1", "Type": "String", "Description": "a number",
        "AllowedPattern": "^[0-9]+$", "Tier": "Advanced",
    });
    assert_eq!(ssm(&cloud, "PutParameter", first).await.unwrap()["Tier"], "Advanced");
    let put = async |more: Value| {
        let mut input = json!({"Name": "n", "Value": "2", "Overwrite": true});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ssm(&cloud, "PutParameter", input).await
    };
    let second = put(json!({})).await.unwrap();
    assert_eq!((&second["Version"], &second["Tier"]), (&json!(2), &json!("Advanced")));
    let shown = ssm(&cloud, "DescribeParameters", json!({})).await.unwrap();
    let shown = &shown["Parameters"][0];
    assert_eq!(shown["Description"], "a number");
    assert_eq!(shown["AllowedPattern"], "^[0-9]+$");
    let letters = put(json!({"Value": "x"})).await.unwrap_err();
    assert_eq!(letters.code, "ParameterPatternMismatchException");
    let down = put(json!({"Tier": "Standard"})).await.unwrap_err();
    assert_eq!(down.code, "ValidationException");
    put(json!({"Value": "x", "AllowedPattern": ""})).await.unwrap();
    let page = json!({"Name": "n", "MaxResults": 2});
    let page = ssm(&cloud, "GetParameterHistory", page).await.unwrap();
    assert_eq!(page["Parameters"].as_array().unwrap().len(), 2);
    let rest = json!({"Name": "n", "NextToken": page["NextToken"]});
    let rest = ssm(&cloud, "GetParameterHistory", rest).await.unwrap();
    assert_eq!(rest["Parameters"][0]["Version"], 3);
    let many = json!({"Name": "n", "MaxResults": 51});
    let many = ssm(&cloud, "GetParameterHistory", many).await.unwrap_err();
    assert_eq!(many.code, "ValidationException");
}

#[tokio::test]
async fn a_label_is_taken_from_the_version_that_has_it() {
    let cloud = cloud();
    put(&cloud, "n", "1").await.unwrap();
    let input = |version: i64, labels: &[&str]| {
        json!({
            "Name": "n", "ParameterVersion": version, "Labels": labels,
        })
    };
    ssm(&cloud, "LabelParameterVersion", input(1, &["a", "b"])).await.unwrap();
    let taken = ssm(&cloud, "UnlabelParameterVersion", input(1, &["a", "c"])).await.unwrap();
    assert_eq!(taken, json!({"RemovedLabels": ["a"], "InvalidLabels": ["c"]}));
    let read = |name: &str| json!({ "Name": name });
    assert!(ssm(&cloud, "GetParameter", read("n:b")).await.is_ok());
    let gone = ssm(&cloud, "GetParameter", read("n:a")).await.unwrap_err();
    assert_eq!(gone.code, "ParameterVersionNotFound");
    let two = ssm(&cloud, "GetParameter", read("n:1:b")).await.unwrap_err();
    assert_eq!(two.code, "ParameterNotFound");
    let none = ssm(&cloud, "UnlabelParameterVersion", input(9, &["a"])).await.unwrap_err();
    assert_eq!(none.code, "ParameterVersionNotFound");
    let long = "a".repeat(101);
    let long = ssm(&cloud, "LabelParameterVersion", input(1, &[&long])).await.unwrap_err();
    assert_eq!(long.code, "ValidationException");
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_refused() {
    let cloud = cloud();
    put(&cloud, "/rooted", "v").await.unwrap();
    let describe = async |filters: Value| {
        let input = json!({"ParameterFilters": filters});
        ssm(&cloud, "DescribeParameters", input).await
    };
    for (filter, code) in [
        (json!({"Key": "Colour", "Values": ["x"]}), "ValidationException"),
        (json!({"Key": "Name", "Option": "Recursively", "Values": ["x"]}), "ValidationException"),
        (json!({"Key": "Name", "Values": [""]}), "ValidationException"),
        (json!({"Key": "Label", "Values": ["x"]}), "InvalidFilterKey"),
        (json!({"Key": "Name", "Option": "OneLevel", "Values": ["x"]}), "InvalidFilterOption"),
        (json!({"Key": "Path", "Option": "Equals", "Values": ["/x"]}), "InvalidFilterOption"),
        (json!({"Key": "Name"}), "InvalidFilterValue"),
        (json!({"Key": "Type", "Values": ["Number"]}), "InvalidFilterValue"),
        (json!({"Key": "Path", "Values": ["x"]}), "InvalidFilterValue"),
        (json!({"Key": "Path", "Values": ["/aws"]}), "InvalidFilterValue"),
    ] {
        let refused = describe(json!([filter])).await.unwrap_err();
        assert_eq!(refused.code, code, "{filter}");
    }
    let name = json!({"Key": "Name", "Values": ["rooted"]});
    let twice = describe(json!([name, name])).await.unwrap_err();
    assert_eq!(twice.code, "InvalidFilterKey");
    let both = json!({"ParameterFilters": [name], "Filters": [name]});
    let both = ssm(&cloud, "DescribeParameters", both).await.unwrap_err();
    assert_eq!(both.code, "ValidationException");
    let found = describe(json!([name])).await.unwrap();
    assert_eq!(found["Parameters"][0]["Name"], "/rooted");
    let path = json!({"Path": "/", "ParameterFilters": [name]});
    let path = ssm(&cloud, "GetParametersByPath", path).await.unwrap_err();
    assert_eq!(path.code, "InvalidFilterKey");
}

#[tokio::test]
async fn tags_come_and_go() {
    let cloud = cloud();
    put(&cloud, "n", "1").await.unwrap();
    let resource = |more: Value| {
        let mut input = json!({"ResourceType": "Parameter", "ResourceId": "n"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let tags = json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]});
    ssm(&cloud, "AddTagsToResource", resource(tags)).await.unwrap();
    let keys = json!({"TagKeys": ["a"]});
    ssm(&cloud, "RemoveTagsFromResource", resource(keys)).await.unwrap();
    let list = ssm(&cloud, "ListTagsForResource", resource(json!({}))).await.unwrap();
    assert_eq!(list["TagList"], json!([{"Key": "b", "Value": "2"}]));
}

#[tokio::test]
async fn a_stack_makes_changes_and_removes_a_parameter() {
    let cloud = cloud();
    let handler = cloud.resource("AWS::SSM::Parameter").unwrap();
    let wanted = |properties: Value| ResourceRequest {
        logical_id: "Version".to_owned(),
        stack_name: "fleet".to_owned(),
        stack_tags: [("stack".to_owned(), "fleet".to_owned())].into(),
        properties,
        ..ResourceRequest::default()
    };
    let properties = json!({"Name": "/fw/pem", "Type": "String", "Value": "a"});
    let made = handler.create(&wanted(properties.clone())).await.unwrap();
    assert_eq!((made.physical_id.as_str(), &made.attributes["Value"]), ("/fw/pem", &json!("a")));
    let again = handler.create(&wanted(properties.clone())).await.unwrap_err();
    assert!(matches!(&again, ResourceFault::Failed { code, .. } if code == "AlreadyExists"));
    let changed = ResourceRequest {
        physical_id: Some("/fw/pem".to_owned()),
        previous: Some(properties),
        ..wanted(json!({
            "Name": "/fw/pem", "Type": "String", "Value": "b", "Tags": {"team": "fleet"},
        }))
    };
    handler.update(&changed).await.unwrap();
    let read = ssm(&cloud, "GetParameter", json!({"Name": "/fw/pem"})).await.unwrap();
    assert_eq!(
        (&read["Parameter"]["Value"], &read["Parameter"]["Version"]),
        (&json!("b"), &json!(2))
    );
    let secure = json!({"Name": "s", "Type": "SecureString", "Value": "x"});
    assert!(handler.create(&wanted(secure)).await.is_err());
    handler.delete(&changed).await.unwrap();
    handler.delete(&changed).await.unwrap();
}
