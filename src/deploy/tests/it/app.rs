//! An app of one stack, written to a folder as synthesis would, and one deployment of it
//! as the program would drive it.
//!
//! The parts of the program that ask people are replaced by an agreeable person.

use std::sync::Mutex;

use iotstack_assembly::CloudAssembly;
use iotstack_deploy::change_set::{DeployOptions, Deployed, Proposal, execute, propose};
use iotstack_deploy::recover::recover;
use iotstack_deploy::{Error, Event, EventSink, Result, asset};
use serde_json::{Value, json};

use crate::cloud::Cloud;

/// A folder with an assembly.
pub struct App {
    pub folder: tempfile::TempDir,
}

/// Keeps what it hears.
#[derive(Default)]
pub struct Ears(pub Mutex<Vec<Event>>);

impl EventSink for Ears {
    fn hear(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Ears {
    pub fn heard(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }
}

/// A template with these resources and one output.
pub fn template(resources: &[&str]) -> Value {
    let resources: serde_json::Map<String, Value> =
        resources.iter().map(|id| ((*id).to_owned(), json!({"Type": "AWS::SNS::Topic"}))).collect();
    json!({"Resources": resources, "Outputs": {"Zulu": {"Value": "z"}, "Alpha": {"Value": "a"}}})
}

impl App {
    pub fn new(template: Value) -> Self {
        Self::with(template, json!({}), json!({}))
    }

    /// An app with more in the stack's properties, and assets.
    pub fn with(template: Value, more: Value, assets: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: &Value| {
            std::fs::write(folder.path().join(name), value.to_string()).unwrap();
        };
        let mut properties = json!({"templateFile": "t.json", "stackName": "Fleet-dev"});
        let more = more.as_object().unwrap().clone();
        properties.as_object_mut().unwrap().extend(more);
        let manifest = json!({"version": "36.0.0", "artifacts": {
            "Fleet": {"type": "aws:cloudformation:stack", "properties": properties,
                "displayName": "Fleet", "dependencies": ["Fleet.assets"],
                "environment": "aws://unknown-account/unknown-region"},
            "Fleet.assets": {"type": "cdk:asset-manifest", "properties": {"file": "a.json"}},
        }});
        let mut list = json!({"version": "36.0.0", "files": {}, "dockerImages": {}});
        list.as_object_mut().unwrap().extend(assets.as_object().unwrap().clone());
        write("manifest.json", &manifest);
        write("t.json", &template);
        write("a.json", &list);
        App { folder }
    }

    pub fn assembly(&self) -> CloudAssembly {
        CloudAssembly::read(self.folder.path()).unwrap()
    }
}

/// What is proposed for the app's stack.
pub async fn proposal(
    cloud: &Cloud,
    app: &App,
    options: &DeployOptions,
    ears: &Ears,
) -> Result<Proposal> {
    let assembly = app.assembly();
    let artifact = &assembly.stacks()[0];
    let clients = cloud.session().clients_for(artifact, ears).await?;
    asset::publish(&clients, artifact, ears).await?;
    propose(&clients, artifact, options, ears).await
}

/// Deploys the app's stack, agreeing to everything; says whether anything changed.
pub async fn deploy(cloud: &Cloud, app: &App, ears: &Ears) -> Result<(Deployed, bool)> {
    let assembly = app.assembly();
    let artifact = &assembly.stacks()[0];
    let clients = cloud.session().clients_for(artifact, ears).await?;
    asset::publish(&clients, artifact, ears).await?;
    for _ in 0..3 {
        match propose(&clients, artifact, &DeployOptions::default(), ears).await? {
            Proposal::NoChanges(deployed) => return Ok((deployed, false)),
            Proposal::Changes(change_set) => {
                return Ok((execute(&clients, &change_set, ears).await?, true));
            }
            Proposal::Recover(recovery) => recover(&clients, &recovery, &[], ears).await?,
        }
    }
    Err(Error::Task("the stack does not recover".into()))
}
