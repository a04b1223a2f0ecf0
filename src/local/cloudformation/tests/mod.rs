//! CloudFormation through its operations, with small fakes as the other services.
//!
//! A [`Shelf`] is a service that keeps things under names: it refuses names that
//! are taken, fails and waits where a test says so, and remembers what was asked.

mod change_sets;
mod custom;
mod failures;
mod golden;
mod life;
mod nested;
mod policies;
mod refusals;
mod restart;
mod robust;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use iotstack_local_kernel::ports::{Functions, Invoked, Object, Objects, Parameters, Secrets};
use iotstack_local_kernel::{
    BoxFuture, Cloud, Fault, ResourceFault, ResourceHandler, ResourceRequest, ResourceState,
    testing,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// A cloud with shelves for the types that tests use.
pub(crate) struct World {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) shelf: Arc<Shelf>,
}

/// What the fake services keep, and how they behave.
#[derive(Default)]
pub(crate) struct Shelf {
    /// What is there: the type with the name, and its properties.
    pub(crate) things: Mutex<BTreeMap<String, Value>>,
    /// What was asked, such as `create AWS::SNS::Topic a`.
    pub(crate) asked: Mutex<Vec<String>>,
    /// What fails, in the same words.
    pub(crate) failing: Mutex<BTreeSet<String>>,
    /// What waits for [`Shelf::release`].
    pub(crate) waiting: Mutex<BTreeSet<String>>,
    pub(crate) release: Notify,
    /// Objects by bucket and key.
    pub(crate) objects: Mutex<BTreeMap<String, String>>,
    /// Parameters and secrets by name.
    pub(crate) values: Mutex<BTreeMap<String, String>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(testing::cloud())
    }

    pub(crate) fn on(cloud: Arc<Cloud>) -> Self {
        let shelf = Arc::new(Shelf::default());
        Self::with(cloud, shelf)
    }

    pub(crate) fn with(cloud: Arc<Cloud>, shelf: Arc<Shelf>) -> Self {
        for (kind, name) in KINDS {
            let shelf = shelf.clone();
            cloud.add_resource(Arc::new(Kind { kind, name, shelf, cloud: Arc::downgrade(&cloud) }));
        }
        cloud.ports.serve_objects(shelf.clone());
        cloud.ports.serve_parameters(shelf.clone());
        cloud.ports.serve_secrets(shelf.clone());
        crate::install(&cloud).unwrap();
        World { cloud, shelf }
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> Result<Value, Fault> {
        testing::call(&self.cloud, "cloudformation", operation, input).await
    }

    #[track_caller]
    pub(crate) fn ask(
        &self,
        operation: &'static str,
        input: Value,
    ) -> impl Future<Output = Value> + '_ {
        let place = std::panic::Location::caller();
        async move {
            match self.call(operation, input).await {
                Ok(answer) => answer,
                Err(fault) => panic!("{operation} at {place}: {fault}"),
            }
        }
    }

    pub(crate) async fn refusal(&self, operation: &str, input: Value) -> String {
        self.call(operation, input).await.unwrap_err().to_string()
    }

    /// Creates a stack and waits for the end.
    pub(crate) async fn create(&self, name: &str, template: Value) -> String {
        self.ask("CreateStack", request(name, &template)).await;
        self.end(name).await
    }

    /// Updates a stack and waits for the end.
    pub(crate) async fn update(&self, name: &str, template: Value) -> String {
        self.ask("UpdateStack", request(name, &template)).await;
        self.end(name).await
    }

    /// Deletes a stack and waits for the end.
    pub(crate) async fn delete(&self, name: &str) -> String {
        let id = self.stack(name).await["StackId"].as_str().unwrap().to_owned();
        self.ask("DeleteStack", json!({ "StackName": name })).await;
        self.end(&id).await
    }

    /// Makes a change set and gives its description.
    pub(crate) async fn propose(&self, name: &str, kind: &str, template: &Value) -> Value {
        let mut input = request(name, template);
        input["ChangeSetName"] = json!("proposal");
        input["ChangeSetType"] = json!(kind);
        self.call("DeleteChangeSet", json!({"StackName": name, "ChangeSetName": "proposal"}))
            .await
            .ok();
        self.ask("CreateChangeSet", input).await;
        self.ask(
            "DescribeChangeSet",
            json!({"StackName": name, "ChangeSetName": "proposal", "IncludePropertyValues": "true"}),
        )
        .await
    }

    /// The state of a stack when nothing runs any more.
    pub(crate) async fn end(&self, name: &str) -> String {
        let mut last = String::new();
        for _ in 0..10_000 {
            last = self.stack(name).await["StackStatus"].as_str().unwrap().to_owned();
            if !last.ends_with("_IN_PROGRESS") {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{name} stays {last}");
    }

    /// Waits until something was asked.
    pub(crate) async fn until_asked(&self, what: &str) {
        for _ in 0..10_000 {
            if self.shelf.asked.lock().unwrap().iter().any(|asked| asked.starts_with(what)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("nobody asks {what}: {:?}", self.shelf.asked());
    }

    pub(crate) async fn stack(&self, name: &str) -> Value {
        self.ask("DescribeStacks", json!({ "StackName": name })).await["Stacks"][0].clone()
    }

    /// All events, the oldest first, as `Id STATUS: reason`.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut token = Value::Null;
        loop {
            let page = self
                .ask("DescribeStackEvents", json!({"StackName": name, "NextToken": token}))
                .await;
            for event in page["StackEvents"].as_array().unwrap() {
                let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
                let reason = text("ResourceStatusReason");
                let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
                found.push(format!(
                    "{} {}{reason}",
                    text("LogicalResourceId"),
                    text("ResourceStatus")
                ));
            }
            token = page["NextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        found.reverse();
        found
    }

    /// The states of a stack's resources.
    pub(crate) async fn resources(&self, name: &str) -> BTreeMap<String, String> {
        let answer = self.ask("ListStackResources", json!({ "StackName": name })).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        answer["StackResourceSummaries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| (text(&found["LogicalResourceId"]), text(&found["ResourceStatus"])))
            .collect()
    }

    /// The outputs of a stack.
    pub(crate) async fn outputs(&self, name: &str) -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.stack(name).await["Outputs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"])))
            .collect()
    }
}

impl Shelf {
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.things.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn thing(&self, name: &str) -> Value {
        self.things.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn fail(&self, what: &str) {
        self.failing.lock().unwrap().insert(what.to_owned());
    }

    pub(crate) fn mend(&self) {
        self.failing.lock().unwrap().clear();
    }

    pub(crate) fn hold(&self, what: &str) {
        self.waiting.lock().unwrap().insert(what.to_owned());
    }

    pub(crate) fn let_go(&self) {
        self.waiting.lock().unwrap().clear();
        self.release.notify_waiters();
    }

    /// Notes a question, waits if it is to wait, and fails if it is to fail.
    async fn heard(&self, what: &str) -> Result<(), ResourceFault> {
        self.asked.lock().unwrap().push(what.to_owned());
        loop {
            let released = self.release.notified();
            let mut released = std::pin::pin!(released);
            released.as_mut().enable();
            if !self.waiting.lock().unwrap().contains(what) {
                break;
            }
            released.await;
        }
        if self.failing.lock().unwrap().contains(what) {
            return Err(ResourceFault::failed("InvalidRequest", format!("{what} is refused")));
        }
        Ok(())
    }
}

/// A service that keeps things of one type.
struct Kind {
    kind: &'static str,
    name: &'static str,
    shelf: Arc<Shelf>,
    cloud: std::sync::Weak<Cloud>,
}

impl Kind {
    fn state(&self, name: &str) -> ResourceState {
        let account = self.cloud.upgrade().unwrap().account.clone();
        let arn = account.arn("fake", name);
        ResourceState::new(name)
            .with("Arn", arn.clone())
            .with("Id", format!("id-{name}"))
            .with("TopicArn", arn.clone())
            .with("QueueUrl", format!("https://queues/{name}"))
    }
}

impl ResourceHandler for Kind {
    fn type_name(&self) -> &'static str {
        self.kind
    }

    fn create<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let given = request.properties.get(self.name).and_then(Value::as_str);
            let name = given.map_or_else(|| request.generated_name(64), str::to_owned);
            self.shelf.heard(&format!("create {} {}", self.kind, given.unwrap_or("?"))).await?;
            let key = format!("{} {name}", self.kind);
            let mut things = self.shelf.things.lock().unwrap();
            if things.contains_key(&key) {
                return Err(ResourceFault::failed(
                    "AlreadyExists",
                    format!("{name} already exists"),
                ));
            }
            things.insert(key, request.properties.clone());
            Ok(self.state(&name))
        })
    }

    fn update<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<ResourceState, ResourceFault>> {
        Box::pin(async move {
            let name = request.physical_id()?;
            self.shelf.heard(&format!("update {} {name}", self.kind)).await?;
            let key = format!("{} {name}", self.kind);
            self.shelf.things.lock().unwrap().insert(key, request.properties.clone());
            Ok(self.state(name))
        })
    }

    fn delete<'a>(
        &'a self,
        request: &'a ResourceRequest,
    ) -> BoxFuture<'a, Result<(), ResourceFault>> {
        Box::pin(async move {
            let name = request.physical_id()?;
            self.shelf.heard(&format!("delete {} {name}", self.kind)).await?;
            let key = format!("{} {name}", self.kind);
            match self.shelf.things.lock().unwrap().remove(&key) {
                Some(_) => Ok(()),
                None => Err(ResourceFault::failed("NotFound", format!("{name} is not there"))),
            }
        })
    }
}

impl Objects for Shelf {
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        let found = self.objects.lock().unwrap().get(&format!("{bucket}/{key}")).cloned();
        Box::pin(std::future::ready(match found {
            Some(text) => Ok(Object { bytes: text.into(), etag: "\"e\"".into(), version: None }),
            None => Err(Fault::new("NoSuchKey", 404, "The specified key does not exist.")),
        }))
    }

    fn put<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Bytes,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Object, Fault>> {
        Box::pin(std::future::ready(Err(Fault::internal("nothing can be put here"))))
    }

    fn presign(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: bool,
        _: Duration,
    ) -> Result<String, Fault> {
        Err(Fault::internal("nothing can be signed here"))
    }
}

impl Parameters for Shelf {
    fn value(&self, name: &str) -> Result<String, Fault> {
        let values = self.values.lock().unwrap();
        values.get(name).cloned().ok_or_else(|| Fault::new("ParameterNotFound", 400, name))
    }
}

impl Secrets for Shelf {
    fn value(&self, secret: &str) -> Result<String, Fault> {
        Parameters::value(self, secret)
    }
}

/// A function as a closure that gets the event and gives its answer, if it has one.
pub(crate) struct Answers<F>(pub(crate) F);

impl<F> Functions for Answers<F>
where
    F: Fn(Value) -> Result<Option<Value>, Fault> + Send + Sync,
{
    fn invoke<'a>(&'a self, _: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Invoked, Fault>> {
        Box::pin(async move {
            let event: Value = serde_json::from_slice(&payload).unwrap();
            let url = event["ResponseURL"].as_str().unwrap().to_owned();
            let Some(answer) = (self.0)(event)? else {
                let payload = Bytes::from_static(b"{\"errorMessage\":\"it broke\"}");
                return Ok(Invoked { payload, error: Some("Unhandled".into()) });
            };
            if !answer.is_null() {
                let token = url.rsplit('/').next().unwrap();
                assert!(crate::respond(token, answer.to_string().as_bytes()));
            }
            Ok(Invoked { payload: Bytes::from_static(b"null"), error: None })
        })
    }

    fn invoke_event(&self, _: &str, _: Bytes) {}

    fn permits(&self, _: &str, _: &str, _: &str) -> bool {
        true
    }
}

/// The input of an operation that takes a template.
pub(crate) fn request(name: &str, template: &Value) -> Value {
    json!({
        "StackName": name,
        "TemplateBody": template.to_string(),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    })
}

/// A topic of a name.
pub(crate) fn topic(name: &str) -> Value {
    json!({"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}})
}

const KINDS: [(&str, &str); 9] = [
    ("AWS::IoT::Thing", "ThingName"),
    ("AWS::IoT::Policy", "PolicyName"),
    ("AWS::SNS::Topic", "TopicName"),
    ("AWS::SQS::Queue", "QueueName"),
    ("AWS::S3::Bucket", "BucketName"),
    ("AWS::IAM::Role", "RoleName"),
    ("AWS::SSM::Parameter", "Name"),
    ("AWS::Logs::LogGroup", "LogGroupName"),
    ("AWS::Lambda::Function", "FunctionName"),
];
