//! Templates that make no sense: refused or deployed, but never a panic.
//!
//! A template that uses everything is damaged at random places, with a fixed seed, and
//! sent as a change set, which is executed where it can be. Whatever comes of it, the
//! stack must come to an end and can be deleted.

use super::*;

/// A small generator of numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

fn everything() -> Value {
    json!({
        "Transform": "AWS::LanguageExtensions",
        "Parameters": {"P": {"Type": "String", "Default": "a", "AllowedPattern": "[a-z]+"},
            "L": {"Type": "CommaDelimitedList", "Default": "x,y"},
            "N": {"Type": "Number", "Default": 3, "MinValue": 1}},
        "Mappings": {"M": {"a": {"k": "v"}}},
        "Conditions": {"C": {"Fn::Equals": [{"Ref": "P"}, "a"]}, "D": {"Fn::Not": [{"Condition": "C"}]}},
        "Rules": {"R": {"Assertions": [{"Assert": {"Fn::Contains": [["a"], {"Ref": "P"}]}}]}},
        "Resources": {
            "T": {"Type": "AWS::SNS::Topic", "Properties": {
                "TopicName": {"Fn::Join": ["-", ["t", {"Fn::Select": [0, {"Ref": "L"}]}]]}}},
            "Q": {"Type": "AWS::SQS::Queue", "DependsOn": "T", "DeletionPolicy": "Retain", "Properties": {
                "QueueName": {"Fn::Sub": ["${T.TopicName}-${X}", {"X": {"Fn::FindInMap": ["M", "a", "k"]}}]},
                "DelaySeconds": {"Ref": "N"},
                "KmsMasterKeyId": {"Fn::If": ["C", {"Ref": "AWS::NoValue"}, "k"]},
                "Tags": [{"Key": "a", "Value": {"Fn::GetAtt": ["T", "TopicArn"]}}]}},
            "S": {"Type": "AWS::SSM::Parameter", "Condition": "C", "Properties": {"Type": "String",
                "Value": {"Fn::Base64": {"Fn::Select": [1, {"Fn::Split": ["/", "a/b"]}]}},
                "Name": {"Fn::Select": [0, {"Fn::Cidr": ["10.0.0.0/16", 2, 8]}]}}},
            "Fn::ForEach::Things": ["I", {"Ref": "L"}, {"Thing${I}": {"Type": "AWS::IoT::Thing",
                "Properties": {"ThingName": {"Fn::Sub": "thing-${I}"}}}}]
        },
        "Outputs": {"O": {"Value": {"Fn::Length": {"Ref": "L"}}, "Export": {"Name": "e"}}}
    })
}

/// Puts something else at a random place.
fn damage(value: &mut Value, dice: &mut Dice) {
    let inner = match value {
        Value::Object(map) if !map.is_empty() && dice.roll(6) > 0 => {
            let place = dice.roll(map.len());
            if dice.roll(8) == 0 {
                let key = map.keys().nth(place).unwrap().clone();
                let inner = map.shift_remove(&key).unwrap();
                let keys = ["Ref", "Fn::GetAtt", "Fn::Sub", "Fn::ForEach::X", "Condition", "é", ""];
                map.insert(keys[dice.roll(keys.len())].to_owned(), inner);
                return;
            }
            map.values_mut().nth(place)
        }
        Value::Array(items) if !items.is_empty() && dice.roll(6) > 0 => {
            let place = dice.roll(items.len());
            if dice.roll(6) == 0 {
                items.remove(place);
                return;
            }
            items.get_mut(place)
        }
        _ => None,
    };
    match inner {
        Some(inner) => damage(inner, dice),
        None => {
            let others = [
                Value::Null,
                json!(-1),
                json!(1e300),
                json!(""),
                json!("${"),
                json!("${T.}"),
                json!("{{resolve:ssm:"),
                json!("\u{0}é🦀"),
                json!([]),
                json!({}),
                json!({"Ref": "T"}),
                json!({"Fn::GetAtt": ["T", {"Ref": "P"}]}),
                json!({"Fn::Select": ["99999999999999999999", {"Ref": "L"}]}),
                json!({"Fn::Cidr": ["::/0", 256, 0]}),
                json!({"Fn::If": ["C"]}),
                json!({"Fn::ImportValue": {"Ref": "Q"}}),
            ];
            *value = others[dice.roll(others.len())].clone();
        }
    }
}

#[tokio::test]
async fn no_damage_makes_a_stack_hang_or_the_cloud_panic() {
    let mut dice = Dice(7);
    let mut ends = BTreeMap::new();
    for _ in 0..400 {
        let mut template = everything();
        for _ in 0..=dice.roll(2) {
            damage(&mut template, &mut dice);
        }
        let world = World::new();
        let mut input = request("s", &template);
        input["ChangeSetName"] = json!("c");
        input["ChangeSetType"] = json!("CREATE");
        let Ok(_) = world.call("CreateChangeSet", input).await else {
            *ends.entry("refused".to_owned()).or_insert(0) += 1;
            continue;
        };
        let names = json!({"StackName": "s", "ChangeSetName": "c"});
        let end = match world.call("ExecuteChangeSet", names).await {
            Ok(_) => world.end("s").await,
            Err(_) => "not executable".to_owned(),
        };
        *ends.entry(end).or_insert(0) += 1;
        assert_eq!(world.delete("s").await, "DELETE_COMPLETE");
    }
    // All ways were taken, so the damage is neither too small nor too large.
    assert!(ends.len() >= 3, "{ends:?}");
}
