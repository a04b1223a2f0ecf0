//! Tests of synthesis as a whole: from constructs to templates and the folder.

use serde_json::json;

use crate::output::Output;
use crate::testing::Template;
use crate::{
    App, Asset, DeletionPolicy, Environment, Error, Expr, Parameter, Props, Pseudo, Resource,
    Stack, Stage, Synthesizer, Tagging, intrinsic, text,
};

fn bucket(name: impl Into<Expr>) -> Props {
    let mut properties = Props::new();
    properties.set("BucketName", name);
    properties
}

fn errors(app: &App) -> Vec<String> {
    app.diagnostics()
        .iter()
        .map(|finding| format!("{}: {}", finding.code, finding.message))
        .collect()
}

#[test]
fn a_reference_into_another_stack_becomes_export_and_import() {
    let app = App::new();
    let producer = app.add("storage", Stack::default());
    let firmware = producer.child("Firmware").untyped("Resource", "AWS::S3::Bucket", bucket("a"));
    let consumer = app.add("updates", Stack::default());
    consumer.untyped("Copy", "AWS::S3::Bucket", bucket(firmware.attribute_named("Arn")));

    let exported = Template::from(&producer).to_json();
    // The names are those that CDK gives, so deployed pairs can be taken over.
    let key = output_key(&exported);
    assert!(key.starts_with("ExportsOutputFnGetAttFirmware"), "{key}");
    assert_eq!(
        exported["Outputs"][&key],
        json!({
            "Value": {"Fn::GetAtt": [logical_id(&exported), "Arn"]},
            "Export": {"Name": format!("storage:{key}")}
        })
    );
    let imported = Template::from(&consumer).to_json();
    assert_eq!(
        imported["Resources"]["Copy"]["Properties"]["BucketName"],
        json!({"Fn::ImportValue": format!("storage:{}", output_key(&exported))})
    );

    let folder = tempfile::tempdir().unwrap();
    let assembly = app.synth(folder.path()).unwrap();
    assert_eq!(assembly.stacks()[1].dependencies, ["storage"]);
}

fn output_key(template: &serde_json::Value) -> String {
    template["Outputs"].as_object().unwrap().keys().next().unwrap().clone()
}

fn logical_id(template: &serde_json::Value) -> String {
    template["Resources"].as_object().unwrap().keys().next().unwrap().clone()
}

#[test]
fn stacks_that_need_each_other_are_named() {
    let app = App::new();
    let (a, b) = (app.add("a", Stack::default()), app.add("b", Stack::default()));
    let first = a.untyped("First", "AWS::S3::Bucket", Props::new());
    let second = b.untyped("Second", "AWS::S3::Bucket", bucket(first.reference()));
    a.untyped("Third", "AWS::S3::Bucket", bucket(second.reference()));
    assert_eq!(
        errors(&app),
        ["stack-circle: the stacks a → b → a depend on each other in a circle"]
    );
    assert!(matches!(app.synth_to("/nonexistent"), Err(Error::Invalid(_))));
}

#[test]
fn a_reference_does_not_reach_into_another_region() {
    let app = App::new();
    let stack = |region: &str| Stack {
        environment: Environment::new("123456789012", region),
        ..Stack::default()
    };
    let (a, b) = (app.add("a", stack("eu-west-1")), app.add("b", stack("us-east-1")));
    let first = a.untyped("First", "AWS::S3::Bucket", Props::new());
    b.untyped("Second", "AWS::S3::Bucket", bucket(first.reference()));
    assert_eq!(
        errors(&app),
        ["cross-environment-reference: `a/First` is in another account or region \
          (aws://123456789012/eu-west-1); CloudFormation exports do not reach that far"]
    );
}

#[test]
fn ids_that_collide_are_findings_and_not_silent() {
    let app = App::new();
    let stack = app.add("a", Stack::default());
    stack.untyped("Pump-1", "AWS::IoT::Thing", Props::new());
    stack.untyped("Pump1", "AWS::IoT::Thing", Props::new());
    stack.untyped("Pump1", "AWS::IoT::Thing", Props::new());
    stack.untyped("x/y", "AWS::IoT::Thing", Props::new());
    assert_eq!(
        errors(&app),
        [
            "duplicate-id: id `Pump1` is used twice in this scope",
            "invalid-id: id `x/y` is not valid: an id is not empty and has no `/`",
            "duplicate-logical-id: logical id `Pump1` is also that of `a/Pump-1`",
        ]
    );
}

#[test]
fn a_value_of_another_app_is_refused() {
    let (one, other) = (App::new(), App::new());
    let foreign = other.add("s", Stack::default()).untyped("B", "AWS::S3::Bucket", Props::new());
    one.add("s", Stack::default()).untyped("B", "AWS::S3::Bucket", bucket(foreign.reference()));
    assert_eq!(errors(&one), ["foreign-reference: a value comes from a construct of another app"]);
}

#[test]
fn every_part_of_a_resource_is_rendered() {
    let app = App::new();
    let stack = app.add("s", Stack::default());
    let size = stack.parameter("Size", Parameter { default: "s".into(), ..Parameter::default() });
    let large = stack.condition("Large", intrinsic::equals(size, "l"));
    let group = stack.child("Group");
    group.untyped("One", "AWS::SNS::Topic", Props::new());
    group.untyped("Two", "AWS::SNS::Topic", Props::new());
    let bucket =
        stack.untyped("B", "AWS::S3::Bucket", bucket(large.choose("big", Pseudo::NoValue)));
    bucket.depends_on(&group);
    bucket.condition(&large);
    bucket.removal_policies(DeletionPolicy::Retain, DeletionPolicy::Delete);
    bucket.metadata("note", "n");
    bucket.update_policy(Expr::object([("X", true.into())]));
    let json = Template::from(&stack).to_json();
    let topics: Vec<_> = json["Resources"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|id| id.starts_with("Group"))
        .collect();
    let mut expected = json!({
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": {"Fn::If": ["Large", "big", {"Ref": "AWS::NoValue"}]}},
        "Condition": "Large", "UpdatePolicy": {"X": true},
        "UpdateReplacePolicy": "Delete", "DeletionPolicy": "Retain",
        "Metadata": {"note": "n", "aws:cdk:path": "s/B"}
    });
    expected["DependsOn"] = json!(topics);
    assert_eq!(json["Resources"]["B"], expected);
    assert_eq!(json["Conditions"], json!({"Large": {"Fn::Equals": [{"Ref": "Size"}, "l"]}}));
    assert_eq!(json["Parameters"], json!({"Size": {"Type": "String", "Default": "s"}}));
}

#[test]
fn json_text_holds_late_values_between_quotes() {
    let app = App::new();
    let stack = app.add("s", Stack::default());
    let document = Expr::object([
        ("plain", "a \"b\"".into()),
        ("late", Pseudo::Region.into()),
        ("mixed", text!("x\"{}", Pseudo::AccountId)),
        ("numbers", Expr::list([1, 2])),
    ]);
    stack.output("Document", text::json_of(document));
    assert_eq!(
        Template::from(&stack).to_json()["Outputs"]["Document"]["Value"],
        json!({"Fn::Join": ["", [
            "{\"plain\":\"a \\\"b\\\"\",\"late\":\"", {"Ref": "AWS::Region"},
            "\",\"mixed\":\"x\\\"", {"Ref": "AWS::AccountId"}, "\",\"numbers\":[1,2]}"
        ]]})
    );
}

#[test]
fn the_same_app_gives_the_same_bytes_and_stages_are_assemblies() {
    let synth = || {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, "#!").unwrap();
        let app = App::new();
        let stage =
            app.stage("Prod", Stage { environment: Environment::new("123456789012", "eu-west-1") });
        let stack = stage.add("Core", Stack::default());
        let asset = stack.asset(Asset::program(&program, "bootstrap").unwrap());
        stack.untyped("B", "AWS::S3::Bucket", bucket(asset.bucket));
        let out = folder.path().join("out");
        let assembly = app.synth(&out).unwrap();
        let stack = &assembly.stacks()[0];
        assert_eq!(stack.id, "ProdCore681C6A9B");
        assert_eq!(stack.display_name, "Prod/Core");
        assert_eq!(stack.stack_name, "Prod-Core");
        let (base, assets) = stack.assets().unwrap().remove(0);
        let staged = base.join(assets.files[0].source.path.as_ref().unwrap());
        assert_eq!(std::fs::read(staged.join("bootstrap")).unwrap(), b"#!");
        let manifest = std::fs::read(out.join("assembly-Prod/manifest.json")).unwrap();
        (manifest, stack.template_bytes().unwrap())
    };
    assert_eq!(synth(), synth());
}

#[test]
fn a_failed_write_leaves_no_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::new();
    app.add("s", Stack::default());
    app.synth_to(folder.path()).unwrap();
    // A folder where the template should be written makes the next writing fail.
    std::fs::remove_file(folder.path().join("s.template.json")).unwrap();
    std::fs::create_dir(folder.path().join("s.template.json")).unwrap();
    assert!(app.synth_to(folder.path()).is_err());
    assert!(!folder.path().join("manifest.json").exists());
}

#[test]
fn tags_reach_what_takes_them_and_nothing_else() {
    let app = App::new();
    let stack = app.add("s", Stack::default());
    stack.resource("Listed", Listed(Props::new()));
    stack.resource("Mapped", Mapped(Props::new()));
    stack.untyped("Bare", "AWS::IoT::Thing", Props::new());
    stack.tag("team", "fleet");
    let json = Template::from(&stack).to_json();
    assert_eq!(
        json["Resources"]["Listed"]["Properties"]["Tags"],
        json!([{"Key": "team", "Value": "fleet"}])
    );
    assert_eq!(json["Resources"]["Mapped"]["Properties"]["Tags"], json!({"team": "fleet"}));
    assert_eq!(json["Resources"]["Bare"].get("Properties"), None);
}

#[test]
fn a_tag_that_is_there_stays() {
    let app = App::new();
    let stack = app.add("s", Stack::default());
    let mut listed = Props::new();
    listed
        .set("Tags", Expr::list([Expr::object([("Key", "team".into()), ("Value", "own".into())])]));
    stack.resource("Listed", Listed(listed));
    let mut mapped = Props::new();
    mapped.set("Tags", Expr::object([("team", "own".into())]));
    stack.resource("Mapped", Mapped(mapped));
    let mut late = Props::new();
    late.set("Tags", intrinsic::split(",", Pseudo::NotificationArns));
    stack.resource("Late", Listed(late));
    let inner = stack.child("Inner");
    inner.resource("Topic", Mapped(Props::new()));
    // What is nearer to the resource is said first.
    inner.tag("team", "inner");
    stack.tag("team", "outer");
    stack.tag("stage", Pseudo::StackName);

    let json = Template::from(&stack).to_json();
    let tags = |id: &str| json["Resources"][id]["Properties"]["Tags"].clone();
    let stage = json!({"Ref": "AWS::StackName"});
    assert_eq!(
        tags("Listed"),
        json!([{"Key": "team", "Value": "own"}, {"Key": "stage", "Value": stage}])
    );
    assert_eq!(tags("Mapped"), json!({"team": "own", "stage": stage}));
    assert_eq!(tags("Late"), json!({"Fn::Split": [",", {"Ref": "AWS::NotificationARNs"}]}));
    assert_eq!(tags("InnerTopicD431782E"), json!({"team": "inner", "stage": stage}));
}

#[test]
fn an_asset_that_goes_before_synthesis_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("firmware.bin");
    std::fs::write(&file, "v1").unwrap();
    let app = App::new();
    let stack = app.add("s", Stack::default());
    stack.asset(Asset::file(&file).unwrap());
    std::fs::remove_file(&file).unwrap();
    let error = app.synth_to(folder.path().join("out")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot read {}: ", file.display())), "{error}");
}

#[test]
fn a_resource_that_waits_for_one_of_another_stack_makes_the_stacks_wait() {
    let app = App::new();
    let (a, b) = (app.add("a", Stack::default()), app.add("b", Stack::default()));
    let late = a.untyped("Late", "AWS::SNS::Topic", Props::new());
    late.depends_on(&b.untyped("Early", "AWS::SNS::Topic", Props::new()));
    let folder = tempfile::tempdir().unwrap();
    let assembly = app.synth(folder.path()).unwrap();
    let waiting = assembly.stacks().iter().find(|stack| stack.id == "a").unwrap();
    assert_eq!(waiting.dependencies, ["b"]);
    // Inside the template there is nothing to name.
    let template = waiting.template().unwrap();
    assert_eq!(template.resources["Late"].depends_on, Vec::<String>::new());
}

#[test]
fn every_setting_of_a_stack_is_in_the_manifest() {
    let app = App::new();
    let stack = Stack {
        stack_name: Some("fleet-dev".into()),
        description: Some("A fleet".into()),
        environment: Environment::new("123456789012", "eu-west-1"),
        tags: [("team".to_owned(), "garden".to_owned())].into(),
        termination_protection: true,
        notification_arns: vec!["arn:aws:sns:eu-west-1:123456789012:events".into()],
        synthesizer: Synthesizer::CallerCredentials { qualifier: "garden".into() },
    };
    let stack = app.add("Fleet", stack);
    stack.untyped("Topic", "AWS::SNS::Topic", Props::new());
    stack.transform("AWS::LanguageExtensions");
    stack.transform("AWS::LanguageExtensions");
    stack.warning("note", "look here");
    let folder = tempfile::tempdir().unwrap();
    let assembly = app.synth(folder.path()).unwrap();
    let found = &assembly.stacks()[0];
    assert_eq!(found.stack_name, "fleet-dev");
    assert_eq!(found.environment.to_string(), "aws://123456789012/eu-west-1");
    assert_eq!(found.properties.tags["team"], "garden");
    assert_eq!(found.properties.termination_protection, Some(true));
    assert_eq!(found.properties.notification_arns, ["arn:aws:sns:eu-west-1:123456789012:events"]);
    assert_eq!(found.properties.assume_role_arn, None);
    let url = found.properties.stack_template_asset_object_url.as_deref().unwrap();
    assert!(url.starts_with("s3://cdk-garden-assets-123456789012-eu-west-1/"), "{url}");
    assert_eq!(found.messages[0].text, "look here [note]");
    let template = found.template().unwrap().to_value();
    assert_eq!(template["Description"], "A fleet");
    assert_eq!(template["Transform"], "AWS::LanguageExtensions");
}

#[test]
fn outputs_and_resources_say_all_that_cloudformation_takes() {
    let app = App::new();
    let stack = app.add("s", Stack::default());
    let yes = stack.condition("Yes", intrinsic::equals("a", "a"));
    let topic = stack.child("Old").untyped("Resource", "AWS::SNS::Topic", Props::new());
    topic.override_logical_id("DeployedLongAgo");
    topic.creation_policy(Expr::object([("ResourceSignal", Expr::object([("Count", 1.into())]))]));
    topic.removal_policy(DeletionPolicy::RetainExceptOnCreate);
    let output = Output {
        value: topic.reference(),
        description: Some("Where alarms go".into()),
        export_name: Some(text!("{}-alarms", Pseudo::StackName)),
        condition: Some(yes),
    };
    stack.add_output("Alarms", output);
    let json = Template::from(&stack).to_json();
    assert_eq!(
        json["Outputs"]["Alarms"],
        json!({
            "Description": "Where alarms go", "Value": {"Ref": "DeployedLongAgo"},
            "Export": {"Name": {"Fn::Join": ["", [{"Ref": "AWS::StackName"}, "-alarms"]]}},
            "Condition": "Yes"
        })
    );
    let topic = &json["Resources"]["DeployedLongAgo"];
    assert_eq!(topic["CreationPolicy"], json!({"ResourceSignal": {"Count": 1}}));
    // A replacement is no creation, and the long word is not known there.
    assert_eq!(topic["DeletionPolicy"], "RetainExceptOnCreate");
    assert_eq!(topic["UpdateReplacePolicy"], "Retain");
}

#[test]
fn paths_can_be_left_out() {
    let context = json!({"aws:cdk:enable-path-metadata": false});
    let app = App::with_context(context.as_object().unwrap().clone());
    let stack = app.add("s", Stack::default());
    stack.untyped("Topic", "AWS::SNS::Topic", Props::new());
    assert_eq!(
        Template::from(&stack).to_json()["Resources"]["Topic"],
        json!({"Type": "AWS::SNS::Topic"})
    );
}

struct Listed(Props);
struct Mapped(Props);

macro_rules! tagged {
    ($name:ident, $tagging:expr) => {
        impl Resource for $name {
            const TYPE: &'static str = "AWS::Test::Tagged";
            const TAGGING: Tagging = $tagging;

            fn from_properties(properties: Props) -> Self {
                $name(properties)
            }

            fn properties(&self) -> &Props {
                &self.0
            }

            fn into_properties(self) -> Props {
                self.0
            }
        }
    };
}

tagged!(Listed, Tagging::List("Tags"));
tagged!(Mapped, Tagging::Map("Tags"));
