//! IAM and STS as clients and stacks use them.
//!
//! What single conditions and wildcards mean the kernel tests; here it is who may
//! do what with all policies together.

use std::sync::Arc;
use std::time::Duration;

use iotstack_local_kernel::testing::call;
use iotstack_local_kernel::{Caller, Cloud, Fault, ResourceFault, ResourceRequest, testing};
use serde_json::{Value, json};

use crate::RootKey;

fn cloud() -> Arc<Cloud> {
    let cloud = testing::cloud();
    crate::install(&cloud, RootKey::default()).unwrap();
    cloud
}

async fn iam(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Fault> {
    call(cloud, "iam", operation, input).await
}

fn trust(service: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "ArnLike": {"aws:SourceArn": "arn:aws:iot:*:123456789012:job/*"},
        },
    }]})
    .to_string()
}

fn allow(action: &str, resource: &str) -> String {
    let statement = json!({"Effect": "Allow", "Action": action, "Resource": resource});
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

async fn role(cloud: &Cloud, name: &str, service: &str) -> String {
    let input = json!({"RoleName": name, "AssumeRolePolicyDocument": trust(service)});
    let made = iam(cloud, "CreateRole", input).await.unwrap();
    made["Role"]["Arn"].as_str().unwrap().to_owned()
}

fn resource(cloud: &Cloud, type_name: &str) -> Arc<dyn iotstack_local_kernel::ResourceHandler> {
    cloud.resource(type_name).unwrap()
}

fn wanted(properties: Value) -> ResourceRequest {
    ResourceRequest {
        logical_id: "Role".to_owned(),
        stack_name: "fleet".to_owned(),
        properties,
        ..ResourceRequest::default()
    }
}

#[tokio::test]
async fn a_role_does_what_its_policies_allow() {
    let cloud = cloud();
    let arn = role(&cloud, "presigner", "iot.amazonaws.com").await;
    let credentials = cloud.ports.credentials().unwrap();
    let keys = credentials.assume(&arn, "jobs", "iot.amazonaws.com").unwrap();
    let caller = credentials.identity(&keys.access_key_id).unwrap().caller;
    let may = |action: &str, resource: &str| credentials.allows(&caller, action, resource);
    assert!(!may("s3:GetObject", "arn:aws:s3:::fw/a"));
    let policy = json!({
        "RoleName": "presigner",
        "PolicyName": "read",
        "PolicyDocument": allow("s3:GetObject*", "arn:aws:s3:::fw/*"),
    });
    iam(&cloud, "PutRolePolicy", policy).await.unwrap();
    assert!(may("s3:GetObject", "arn:aws:s3:::fw/a"));
    assert!(may("s3:GetObjectVersion", "*"));
    assert!(!may("s3:PutObject", "arn:aws:s3:::fw/a"));
    let managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole";
    let attach = json!({"RoleName": "presigner", "PolicyArn": managed});
    iam(&cloud, "AttachRolePolicy", attach).await.unwrap();
    assert!(may("ec2:CreateNetworkInterface", "*"));
    let bounded = json!({
        "PolicyName": "bound",
        "PolicyDocument": allow("s3:*", "*"),
    });
    let bound = iam(&cloud, "CreatePolicy", bounded).await.unwrap();
    let bound = json!({
        "RoleName": "presigner",
        "PermissionsBoundary": bound["Policy"]["Arn"],
    });
    iam(&cloud, "PutRolePermissionsBoundary", bound).await.unwrap();
    assert!(may("s3:GetObject", "arn:aws:s3:::fw/a"));
    assert!(!may("ec2:CreateNetworkInterface", "*"));
    assert!(credentials.allows(&Caller::Root, "anything:AtAll", "*"));
    assert!(!credentials.allows(
        &Caller::Device { certificate_id: "c".to_owned() },
        "s3:GetObject",
        "*"
    ));
}

#[tokio::test]
async fn only_a_service_that_a_role_trusts_takes_it() {
    let cloud = cloud();
    let arn = role(&cloud, "presigner", "iot.amazonaws.com").await;
    let credentials = cloud.ports.credentials().unwrap();
    let refused = credentials.assume(&arn, "f", "lambda.amazonaws.com").unwrap_err();
    assert_eq!(refused.code, "AccessDenied");
    let unknown = "arn:aws:iam::123456789012:role/nobody";
    let refused = credentials.assume(unknown, "f", "iot.amazonaws.com").unwrap_err();
    assert_eq!(refused.code, "NoSuchEntity");
    let first = credentials.assume(&arn, "f", "iot.amazonaws.com").unwrap();
    let again = credentials.assume(&arn, "f", "iot.amazonaws.com").unwrap();
    assert_eq!(first.access_key_id, again.access_key_id);
    cloud.clock.step(Duration::from_secs(1900));
    let later = credentials.assume(&arn, "f", "iot.amazonaws.com").unwrap();
    assert_ne!(first.access_key_id, later.access_key_id);
    let other = json!({
        "RoleName": "presigner",
        "PolicyDocument": trust("lambda.amazonaws.com"),
    });
    iam(&cloud, "UpdateAssumeRolePolicy", other).await.unwrap();
    assert!(credentials.assume(&arn, "f", "iot.amazonaws.com").is_err());
}

#[tokio::test]
async fn sessions_end_on_the_clouds_clock() {
    let cloud = cloud();
    let document = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "sts:AssumeRole",
    }});
    let input = json!({
        "RoleName": "deployer",
        "AssumeRolePolicyDocument": document.to_string(),
    });
    let made = iam(&cloud, "CreateRole", input).await.unwrap();
    let take = |seconds: i64| {
        let input = json!({
            "RoleArn": made["Role"]["Arn"],
            "RoleSessionName": "me@desk",
            // The query format knows only texts.
            "DurationSeconds": seconds.to_string(),
        });
        call(&cloud, "sts", "AssumeRole", input)
    };
    assert_eq!(take(899).await.unwrap_err().code, "ValidationError");
    assert_eq!(take(3601).await.unwrap_err().code, "ValidationError");
    let taken = take(900).await.unwrap();
    let arn = "arn:aws:sts::123456789012:assumed-role/deployer/me@desk";
    assert_eq!(taken["AssumedRoleUser"]["Arn"], arn);
    let key = taken["Credentials"]["AccessKeyId"].as_str().unwrap();
    let identity = cloud.ports.credentials().unwrap().identity(key).unwrap();
    assert_eq!(identity.caller, Caller::Principal { arn: arn.to_owned() });
    assert_eq!(identity.session_token.as_deref(), taken["Credentials"]["SessionToken"].as_str());
    assert_eq!(identity.expires, Some(cloud.clock.now().after(Duration::from_secs(900))));
    assert!(!format!("{identity:?}").contains(&identity.secret));
    let root = call(&cloud, "sts", "GetCallerIdentity", json!({})).await.unwrap();
    assert_eq!(root["Arn"], "arn:aws:iam::123456789012:root");
}

#[tokio::test]
async fn users_sign_with_their_keys_until_they_are_switched_off() {
    let cloud = cloud();
    iam(&cloud, "CreateUser", json!({"UserName": "ann"})).await.unwrap();
    let made = iam(&cloud, "CreateAccessKey", json!({"UserName": "ann"})).await.unwrap();
    let key = made["AccessKey"]["AccessKeyId"].as_str().unwrap().to_owned();
    let credentials = cloud.ports.credentials().unwrap();
    let identity = credentials.identity(&key).unwrap();
    assert_eq!(made["AccessKey"]["SecretAccessKey"], identity.secret);
    let policy = json!({
        "UserName": "ann",
        "PolicyName": "own",
        "PolicyDocument": allow("s3:*", "arn:aws:s3:::home/${aws:username}/*"),
    });
    iam(&cloud, "PutUserPolicy", policy).await.unwrap();
    assert!(credentials.allows(&identity.caller, "s3:PutObject", "arn:aws:s3:::home/ann/x"));
    assert!(!credentials.allows(&identity.caller, "s3:PutObject", "arn:aws:s3:::home/bob/x"));
    let listed = iam(&cloud, "ListAccessKeys", json!({"UserName": "ann"})).await.unwrap();
    assert!(!listed.to_string().contains(&identity.secret));
    let off = json!({"AccessKeyId": key, "Status": "Inactive"});
    iam(&cloud, "UpdateAccessKey", off).await.unwrap();
    assert!(credentials.identity(&key).is_none());
    let refused = iam(&cloud, "DeleteUser", json!({"UserName": "ann"})).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("DeleteConflict", 409));
}

#[tokio::test]
async fn what_is_attached_keeps_roles_and_policies() {
    let cloud = cloud();
    role(&cloud, "r", "iot.amazonaws.com").await;
    let input = json!({"PolicyName": "p", "PolicyDocument": allow("iot:*", "*")});
    let policy = iam(&cloud, "CreatePolicy", input).await.unwrap()["Policy"]["Arn"].clone();
    let pair = json!({"RoleName": "r", "PolicyArn": policy});
    iam(&cloud, "AttachRolePolicy", pair.clone()).await.unwrap();
    for (operation, input) in
        [("DeleteRole", json!({"RoleName": "r"})), ("DeletePolicy", json!({"PolicyArn": policy}))]
    {
        assert_eq!(iam(&cloud, operation, input).await.unwrap_err().code, "DeleteConflict");
    }
    let attached = iam(&cloud, "ListAttachedRolePolicies", json!({"RoleName": "r"})).await.unwrap();
    assert_eq!(attached["AttachedPolicies"], json!([{"PolicyArn": policy, "PolicyName": "p"}]));
    iam(&cloud, "DetachRolePolicy", pair.clone()).await.unwrap();
    assert_eq!(iam(&cloud, "DetachRolePolicy", pair).await.unwrap_err().code, "NoSuchEntity");
    iam(&cloud, "DeleteRole", json!({"RoleName": "r"})).await.unwrap();
    iam(&cloud, "DeletePolicy", json!({"PolicyArn": policy})).await.unwrap();
    let gone = iam(&cloud, "GetRole", json!({"RoleName": "r"})).await.unwrap_err();
    assert_eq!((gone.code.as_str(), gone.status), ("NoSuchEntity", 404));
}

#[tokio::test]
async fn bad_documents_names_and_policies_are_refused() {
    let cloud = cloud();
    let create = |name: &str, document: &str| {
        let input = json!({"RoleName": name, "AssumeRolePolicyDocument": document});
        let cloud = cloud.clone();
        async move { iam(&cloud, "CreateRole", input).await }
    };
    let good = trust("iot.amazonaws.com");
    let refused = create("r", &allow("s3:*", "*")).await.unwrap_err();
    assert_eq!(refused.code, "MalformedPolicyDocument");
    assert_eq!(create("a b", &good).await.unwrap_err().code, "ValidationError");
    create("r", &good).await.unwrap();
    assert_eq!(create("R", &good).await.unwrap_err().code, "EntityAlreadyExists");
    let unknown = json!({"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/Nonsense"});
    let refused = iam(&cloud, "AttachRolePolicy", unknown).await.unwrap_err();
    assert_eq!(refused.code, "NoSuchEntity");
    let group = iam(&cloud, "CreateGroup", json!({})).await.unwrap_err();
    assert_eq!(group.code, "NotImplemented");
}

#[tokio::test]
async fn versions_of_a_policy_are_kept_and_the_default_counts() {
    let cloud = cloud();
    let input = json!({"PolicyName": "p", "PolicyDocument": allow("iot:*", "*")});
    let arn = iam(&cloud, "CreatePolicy", input).await.unwrap()["Policy"]["Arn"].clone();
    for count in 2..=5 {
        let input = json!({
            "PolicyArn": arn,
            "PolicyDocument": allow("s3:*", "*"),
            "SetAsDefault": (count == 3).to_string(),
        });
        let made = iam(&cloud, "CreatePolicyVersion", input).await.unwrap();
        assert_eq!(made["PolicyVersion"]["VersionId"], format!("v{count}"));
    }
    let sixth = json!({"PolicyArn": arn, "PolicyDocument": allow("s3:*", "*")});
    let refused = iam(&cloud, "CreatePolicyVersion", sixth).await.unwrap_err();
    assert_eq!(refused.code, "LimitExceeded");
    let policy = iam(&cloud, "GetPolicy", json!({"PolicyArn": arn})).await.unwrap();
    assert_eq!(policy["Policy"]["DefaultVersionId"], "v3");
    let drop = |version: &str| json!({"PolicyArn": arn, "VersionId": version});
    let refused = iam(&cloud, "DeletePolicyVersion", drop("v3")).await.unwrap_err();
    assert_eq!(refused.code, "DeleteConflict");
    iam(&cloud, "DeletePolicyVersion", drop("v1")).await.unwrap();
    let shown = iam(&cloud, "GetPolicyVersion", drop("v2")).await.unwrap();
    let document = shown["PolicyVersion"]["Document"].as_str().unwrap();
    assert!(document.starts_with("%7B"), "{document}");
}

#[tokio::test]
async fn a_stack_makes_changes_and_removes_a_role() {
    let cloud = cloud();
    let roles = resource(&cloud, "AWS::IAM::Role");
    let trust: Value = serde_json::from_str(&trust("lambda.amazonaws.com")).unwrap();
    let first: Value = serde_json::from_str(&allow("s3:*", "*")).unwrap();
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    let properties = json!({
        "AssumeRolePolicyDocument": trust,
        "Policies": [{"PolicyName": "one", "PolicyDocument": first}],
        "ManagedPolicyArns": [basic],
    });
    let made = roles.create(&wanted(properties.clone())).await.unwrap();
    let name = made.physical_id.clone();
    assert!(name.starts_with("fleet-Role-") && name.len() <= 64, "{name}");
    assert_eq!(made.attributes["Arn"], format!("arn:aws:iam::123456789012:role/{name}"));

    let policies = resource(&cloud, "AWS::IAM::Policy");
    let more: Value = serde_json::from_str(&allow("iot:*", "*")).unwrap();
    let policy = wanted(json!({"PolicyName": "more", "PolicyDocument": more, "Roles": [name]}));
    let attached = policies.create(&policy).await.unwrap();

    let changed = ResourceRequest {
        physical_id: Some(name.clone()),
        previous: Some(properties.clone()),
        ..wanted(json!({
            "AssumeRolePolicyDocument": trust,
            "Policies": [{"PolicyName": "two", "PolicyDocument": first}],
        }))
    };
    roles.update(&changed).await.unwrap();
    let inline = iam(&cloud, "ListRolePolicies", json!({"RoleName": name})).await.unwrap();
    assert_eq!(inline["PolicyNames"], json!(["more", "two"]));
    let attached_now =
        iam(&cloud, "ListAttachedRolePolicies", json!({"RoleName": name})).await.unwrap();
    assert_eq!(attached_now["AttachedPolicies"], json!([]));

    // A policy of somebody else is in the way.
    let refused = roles.delete(&changed).await.unwrap_err();
    assert!(matches!(&refused, ResourceFault::Failed { message, .. } if message.contains("first")));
    let gone = ResourceRequest { physical_id: Some(attached.physical_id), ..policy };
    policies.delete(&gone).await.unwrap();
    policies.delete(&gone).await.unwrap();
    roles.delete(&changed).await.unwrap();
    roles.delete(&changed).await.unwrap();

    let path = ResourceRequest {
        physical_id: Some(name.clone()),
        ..wanted(json!({"AssumeRolePolicyDocument": trust, "Path": "/x/"}))
    };
    assert!(roles.update(&path).await.is_err());
}

#[tokio::test]
async fn a_role_that_cannot_be_finished_leaves_nothing_behind() {
    let cloud = cloud();
    let trust: Value = serde_json::from_str(&trust("lambda.amazonaws.com")).unwrap();
    let properties = json!({
        "RoleName": "half",
        "AssumeRolePolicyDocument": trust,
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/Nonsense"],
    });
    let refused = resource(&cloud, "AWS::IAM::Role").create(&wanted(properties)).await;
    assert!(refused.is_err());
    assert!(iam(&cloud, "GetRole", json!({"RoleName": "half"})).await.is_err());
}

#[tokio::test]
async fn a_stack_makes_changes_and_removes_a_managed_policy() {
    let cloud = cloud();
    role(&cloud, "a", "iot.amazonaws.com").await;
    role(&cloud, "b", "iot.amazonaws.com").await;
    let policies = resource(&cloud, "AWS::IAM::ManagedPolicy");
    let document: Value = serde_json::from_str(&allow("iot:*", "*")).unwrap();
    let properties = |role: &str| json!({"PolicyDocument": document, "Roles": [role]});
    let made = policies.create(&wanted(properties("a"))).await.unwrap();
    let arn = made.physical_id.clone();
    assert_eq!(made.attributes["AttachmentCount"], 1);
    let changed = ResourceRequest {
        physical_id: Some(arn.clone()),
        previous: Some(properties("a")),
        ..wanted(properties("b"))
    };
    let state = policies.update(&changed).await.unwrap();
    assert_eq!(state.attributes["DefaultVersionId"], "v2");
    let holders = iam(&cloud, "ListEntitiesForPolicy", json!({"PolicyArn": arn})).await.unwrap();
    assert_eq!(holders["PolicyRoles"][0]["RoleName"], "b");
    assert!(holders["PolicyRoles"][0]["RoleId"].as_str().unwrap().starts_with("AROA"));
    policies.delete(&changed).await.unwrap();
    policies.delete(&changed).await.unwrap();
}

#[tokio::test]
async fn what_identities_may_do_can_be_simulated() {
    let cloud = cloud();
    let arn = role(&cloud, "r", "iot.amazonaws.com").await;
    let policy = json!({
        "RoleName": "r",
        "PolicyName": "p",
        "PolicyDocument": allow("iot:Describe*", "*"),
    });
    iam(&cloud, "PutRolePolicy", policy).await.unwrap();
    let input =
        json!({"PolicySourceArn": arn, "ActionNames": ["iot:DescribeThing", "iot:DeleteThing"]});
    let results = iam(&cloud, "SimulatePrincipalPolicy", input).await.unwrap();
    let decisions: Vec<&str> = results["EvaluationResults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["EvalDecision"].as_str().unwrap())
        .collect();
    assert_eq!(decisions, ["allowed", "implicitDeny"]);
}

#[tokio::test]
async fn roles_and_sessions_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let store = iotstack_local_kernel::Store::open(folder.path()).unwrap();
        let clock = testing::cloud().clock.clone();
        let cloud = Cloud::new(Default::default(), clock, store);
        crate::install(&cloud, RootKey::default()).unwrap();
        cloud
    };
    let key = {
        let cloud = start();
        let arn = role(&cloud, "r", "iot.amazonaws.com").await;
        let credentials = cloud.ports.credentials().unwrap();
        credentials.assume(&arn, "s", "iot.amazonaws.com").unwrap().access_key_id
    };
    let cloud = start();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let state = folder.path().join("state.redb");
        assert_eq!(std::fs::metadata(state).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(iam(&cloud, "GetRole", json!({"RoleName": "r"})).await.is_ok());
    assert!(cloud.ports.credentials().unwrap().identity(&key).is_some());
}

#[tokio::test]
async fn a_user_gets_another_path_and_keeps_its_name_and_keys() {
    let cloud = cloud();
    iam(&cloud, "CreateUser", json!({"UserName": "ann"})).await.unwrap();
    let key = iam(&cloud, "CreateAccessKey", json!({"UserName": "ann"})).await.unwrap();
    let id = key["AccessKey"]["AccessKeyId"].clone();
    let other = json!({"UserName": "ann", "NewUserName": "eve"});
    assert_eq!(iam(&cloud, "UpdateUser", other).await.unwrap_err().code, "NotImplemented");
    let change = json!({"UserName": "ann", "NewUserName": "ann", "NewPath": "/ops/"});
    iam(&cloud, "UpdateUser", change).await.unwrap();
    let gone = iam(&cloud, "GetUser", json!({"UserName": "eve"})).await.unwrap_err();
    assert_eq!(gone.message, "The user with name eve cannot be found.");
    let user = iam(&cloud, "GetUser", json!({"UserName": "ann"})).await.unwrap();
    assert_eq!(user["User"]["Arn"], "arn:aws:iam::123456789012:user/ops/ann");
    let keys = iam(&cloud, "ListAccessKeys", json!({"UserName": "ann"})).await.unwrap();
    assert_eq!(keys["AccessKeyMetadata"][0]["AccessKeyId"], id);
    let root = iam(&cloud, "GetUser", json!({})).await.unwrap();
    assert_eq!(root["User"]["Arn"], "arn:aws:iam::123456789012:root");
}

#[tokio::test]
async fn tags_of_policies_follow_the_rules_and_stay_out_of_lists() {
    let cloud = cloud();
    let document = allow("iot:Connect", "*");
    let input = json!({"PolicyName": "p", "PolicyDocument": document, "Description": "d"});
    let made = iam(&cloud, "CreatePolicy", input).await.unwrap();
    let arn = made["Policy"]["Arn"].clone();
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    let tags = |tags: Value| json!({"PolicyArn": arn, "Tags": tags});
    iam(&cloud, "TagPolicy", tags(json!([tag("team", "a"), tag("env", "x")]))).await.unwrap();
    // Keys differ in more than their case.
    iam(&cloud, "TagPolicy", tags(json!([tag("Team", "b")]))).await.unwrap();
    let twice = tags(json!([tag("a", "1"), tag("A", "2")]));
    let refused = iam(&cloud, "TagPolicy", twice).await.unwrap_err();
    assert!(refused.message.starts_with("Duplicate tag keys found."), "{refused}");
    for wrong in [tag("a!", ""), tag(&"a".repeat(129), ""), tag("a", &"b".repeat(257))] {
        assert!(iam(&cloud, "TagPolicy", tags(json!([wrong]))).await.is_err());
    }
    let page = json!({"PolicyArn": arn, "MaxItems": 1});
    let page = iam(&cloud, "ListPolicyTags", page).await.unwrap();
    assert_eq!((&page["Tags"], &page["IsTruncated"]), (&json!([tag("Team", "b")]), &json!(true)));
    iam(&cloud, "UntagPolicy", json!({"PolicyArn": arn, "TagKeys": ["TEAM"]})).await.unwrap();
    let shown = iam(&cloud, "GetPolicy", json!({"PolicyArn": arn})).await.unwrap();
    assert_eq!(shown["Policy"]["Tags"], json!([tag("env", "x")]));
    let listed = iam(&cloud, "ListPolicies", json!({})).await.unwrap();
    assert!(listed["Policies"][0].get("Tags").is_none());
    assert!(listed["Policies"][0].get("Description").is_none());
}
