//! The templates of the ready stacks, as they are deployed: each must plan.
//!
//! Handlers here take anything. What is tried is that no template is refused, that
//! every value resolves, and that nothing is left to change afterwards.

use super::*;

/// A cloud that has handlers for every type, so that only the templates are judged.
struct Any(&'static str);

impl ResourceHandler for Any {
    fn type_name(&self) -> &'static str {
        self.0
    }
    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let mut state = ResourceState::new(request.generated_name(60));
            let facts = iotstack_schema::resource_type(self.0).unwrap();
            for attribute in &facts.attributes {
                let value = match (self.0, attribute.name) {
                    ("AWS::IAM::Role", "Arn") => {
                        format!("arn:aws:iam::123456789012:role/{}", state.physical_id)
                    }
                    (_, name) => format!("{}-{name}", request.logical_id),
                };
                state = state.with(attribute.name, value);
            }
            Ok(state)
        })
    }
    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let mut state = self.create(request).await?;
            state.physical_id = request.physical_id()?.to_owned();
            Ok(state)
        })
    }
    fn delete<'a>(&'a self, _: &'a ResourceRequest) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn the_ready_stacks_plan_deploy_and_have_no_changes_then() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../stacks/tests/golden");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stack) = name.strip_suffix(".template.json") else { continue };
        let text = std::fs::read_to_string(&path).unwrap();
        let template: Value = serde_json::from_str(&text).unwrap();
        let cloud = testing::cloud();
        for kind in iotstack_schema::resource_types() {
            let is_own = kind.starts_with("AWS::CloudFormation::");
            if !is_own && text.contains(&format!("\"{kind}\"")) {
                cloud.add_resource(Arc::new(Any(kind)));
            }
        }
        // Functions answer with whatever anybody asks them for.
        let mut asked = serde_json::Map::new();
        attributes(&template, &mut asked);
        let data = Arc::new(Value::Object(asked));
        cloud.ports.serve_functions(Arc::new(Answers(move |event: Value| {
            let id = event["PhysicalResourceId"].as_str().unwrap_or("made").to_owned();
            Ok(Some(json!({"Status": "SUCCESS", "PhysicalResourceId": id, "Data": *data})))
        })));
        let shelf = Arc::new(Shelf::default());
        cloud.ports.serve_objects(shelf.clone());
        crate::install(&cloud).unwrap();
        let world = World { cloud, shelf };
        world.shelf.objects.lock().unwrap().insert("b/k".into(), text.clone());
        let input = |kind: &str| {
            json!({"StackName": stack, "ChangeSetName": "c", "ChangeSetType": kind,
                "TemplateURL": "http://127.0.0.1:4566/b/k",
                "Capabilities": ["CAPABILITY_NAMED_IAM"]})
        };
        let names = json!({"StackName": stack, "ChangeSetName": "c"});
        world.ask("CreateChangeSet", input("CREATE")).await;
        let set = world.ask("DescribeChangeSet", names.clone()).await;
        assert_eq!(set["Status"], "CREATE_COMPLETE", "{name}: {}", set["StatusReason"]);
        let count = template["Resources"].as_object().unwrap().len();
        assert_eq!(set["Changes"].as_array().unwrap().len(), count.min(100));
        world.ask("ExecuteChangeSet", names.clone()).await;
        let end = world.end(stack).await;
        assert_eq!(end, "CREATE_COMPLETE", "{name}: {:#?}", world.events(stack).await);
        world.ask("CreateChangeSet", input("UPDATE")).await;
        let set = world.ask("DescribeChangeSet", names).await;
        assert_eq!(set["Status"], "FAILED", "{name}: {set:#}");
        assert!(set["StatusReason"].as_str().unwrap().contains("didn't contain changes"));
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} templates in {folder}");
}

/// The attributes that a template asks for.
fn attributes(value: &Value, found: &mut serde_json::Map<String, Value>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Array(parts)) = map.get("Fn::GetAtt")
                && let Some(Value::String(name)) = parts.get(1)
            {
                found.insert(name.clone(), json!("v"));
            }
            map.values().for_each(|inner| attributes(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| attributes(inner, found)),
        _ => {}
    }
}
