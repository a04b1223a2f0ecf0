//! The job templates that AWS manages.
//!
//! Eight operations that a device with AWS's client understands. A job from one of
//! them brings values for its parameters. What a handler does on the device is not
//! known here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::document::fill_parameters;
use crate::error::{Result, invalid};
use crate::text::{check_length, shortened};

/// A managed job template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManagedTemplate {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// The handler on the device; none for a plain command.
    handler: Option<&'static str>,
    /// The parameters that it needs.
    parameters: &'static [Parameter],
}

/// A parameter of a managed job template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub key: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// A value that works.
    pub example: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
}

/// The version of every managed template.
pub const VERSION: &str = "1.0";
/// Where the templates work.
pub const ENVIRONMENTS: &[&str] = &["LINUX"];

/// The managed templates in the order of their names.
pub const ALL: &[ManagedTemplate] = &[
    ManagedTemplate {
        name: "AWS-Download-File",
        description: "Downloads a file to the device",
        handler: Some("download-file.sh"),
        parameters: &[
            needed("downloadUrl", "From where the file is downloaded", "https://example.com/a.txt"),
            needed("filePath", "Where the file is put", "/home/device/a.txt"),
        ],
    },
    ManagedTemplate {
        name: "AWS-Install-Application",
        description: "Installs packages on the device",
        handler: Some("install-packages.sh"),
        parameters: &[needed(
            "packages",
            "The packages, with spaces between them",
            "nginx mosquitto",
        )],
    },
    ManagedTemplate {
        name: "AWS-Reboot",
        description: "Restarts the device",
        handler: Some("reboot.sh"),
        parameters: &[],
    },
    ManagedTemplate {
        name: "AWS-Remove-Application",
        description: "Removes packages from the device",
        handler: Some("remove-packages.sh"),
        parameters: &[needed(
            "packages",
            "The packages, with spaces between them",
            "nginx mosquitto",
        )],
    },
    ManagedTemplate {
        name: "AWS-Restart-Application",
        description: "Restarts services of the device",
        handler: Some("restart-services.sh"),
        parameters: &[needed(
            "services",
            "The services, with spaces between them",
            "nginx mosquitto",
        )],
    },
    ManagedTemplate {
        name: "AWS-Run-Command",
        description: "Runs a command on the device",
        handler: None,
        parameters: &[needed(
            "command",
            "The command and its arguments, with commas",
            "ls,-l,/tmp",
        )],
    },
    ManagedTemplate {
        name: "AWS-Start-Application",
        description: "Starts services of the device",
        handler: Some("start-services.sh"),
        parameters: &[needed(
            "services",
            "The services, with spaces between them",
            "nginx mosquitto",
        )],
    },
    ManagedTemplate {
        name: "AWS-Stop-Application",
        description: "Stops services of the device",
        handler: Some("stop-services.sh"),
        parameters: &[needed(
            "services",
            "The services, with spaces between them",
            "nginx mosquitto",
        )],
    },
];

/// The managed template of that name.
pub fn find(name: &str) -> Option<&'static ManagedTemplate> {
    ALL.iter().find(|template| template.name == name)
}

/// The managed template that an ARN names.
pub(crate) fn find_arn(
    arn: &str,
    partition: &str,
    region: &str,
) -> Option<&'static ManagedTemplate> {
    ALL.iter().find(|template| {
        let full = template.arn(partition, region);
        full == arn || full.strip_suffix(VERSION).and_then(|a| a.strip_suffix(':')) == Some(arn)
    })
}

impl ManagedTemplate {
    /// Its ARN, which names no account.
    pub fn arn(&self, partition: &str, region: &str) -> String {
        format!("arn:{partition}:iot:{region}::jobtemplate/{}:{VERSION}", self.name)
    }

    /// All its parameters, optional ones last.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        let handler = self.handler.is_some();
        let optional = OPTIONAL.iter().filter(move |p| handler || p.key != "pathToHandler");
        self.parameters.iter().chain(optional)
    }

    /// Its document, with placeholders for the parameters.
    pub fn document(&self) -> Value {
        let value = |key: &str| format!("${{aws:iot:parameter:{key}}}");
        let args: Vec<String> = self.parameters.iter().map(|p| value(p.key)).collect();
        let (kind, input) = match self.handler {
            Some(handler) => (
                "runHandler",
                json!({"handler": handler, "args": args, "path": value("pathToHandler")}),
            ),
            None => ("runCommand", json!({"command": value("command")})),
        };
        let name = self.name.trim_start_matches("AWS-");
        json!({"version": "1.0", "steps": [{
            "action": {"name": name, "type": kind, "input": input, "runAsUser": value("runAsUser")}
        }]})
    }

    /// Its document with values in it.
    pub(crate) fn fill(&self, given: &BTreeMap<String, String>) -> Result<String> {
        for (key, value) in given {
            if !self.parameters().any(|parameter| parameter.key == key) {
                return invalid(format!(
                    "documentParameters.{} is not known: expected {}",
                    shortened(key),
                    self.parameters().map(|p| p.key).collect::<Vec<_>>().join(", ")
                ));
            }
            let most = if key == "runAsUser" { 256 } else { 30_720 };
            check_length(format_args!("documentParameters.{key}"), value, 1, most)?;
        }
        fill_parameters(&self.document().to_string(), |key| {
            given.get(key).cloned().or_else(|| match key {
                "runAsUser" => Some(String::new()),
                "pathToHandler" => Some("default".to_owned()),
                _ => None,
            })
        })
    }
}

const fn needed(key: &'static str, description: &'static str, example: &'static str) -> Parameter {
    Parameter { key, description, example, optional: false }
}

const OPTIONAL: &[Parameter] = &[
    Parameter {
        key: "runAsUser",
        description: "The user who runs it",
        example: "device",
        optional: true,
    },
    Parameter {
        key: "pathToHandler",
        description: "The folder of the handler on the device",
        example: "/home/device/handlers",
        optional: true,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_template_becomes_the_document_that_its_handler_reads() {
        let download = [("downloadUrl", "https://a/b"), ("filePath", "/b")];
        let (packages, services) = ([("packages", "nginx curl")], [("services", "nginx")]);
        for (name, handler, given_values, args) in [
            ("Reboot", "reboot.sh", &[][..], json!([])),
            ("Download-File", "download-file.sh", &download, json!(["https://a/b", "/b"])),
            ("Install-Application", "install-packages.sh", &packages, json!(["nginx curl"])),
            ("Remove-Application", "remove-packages.sh", &packages, json!(["nginx curl"])),
            ("Start-Application", "start-services.sh", &services, json!(["nginx"])),
            ("Stop-Application", "stop-services.sh", &services, json!(["nginx"])),
            ("Restart-Application", "restart-services.sh", &services, json!(["nginx"])),
        ] {
            let template = find(&format!("AWS-{name}")).unwrap();
            for (options, path, user) in [
                (&[][..], "default", ""),
                (&[("pathToHandler", "/h"), ("runAsUser", "pi")], "/h", "pi"),
            ] {
                let filled = template.fill(&given(&[given_values, options].concat())).unwrap();
                let expected = json!({"version": "1.0", "steps": [{"action": {
                    "name": name, "type": "runHandler",
                    "input": {"handler": handler, "args": args, "path": path},
                    "runAsUser": user
                }}]});
                assert_eq!(serde_json::from_str::<Value>(&filled).unwrap(), expected);
            }
            let keys: Vec<&str> = template.parameters().map(|parameter| parameter.key).collect();
            let needed: Vec<&str> = given_values.iter().map(|(key, _)| *key).collect();
            assert_eq!(keys, [&needed[..], &["runAsUser", "pathToHandler"]].concat(), "{name}");
        }
        assert_eq!(ALL.len(), 8);
    }

    #[test]
    fn a_command_needs_no_handler() {
        let template = find("AWS-Run-Command").unwrap();
        let filled = template.fill(&given(&[("command", "ls,-l"), ("runAsUser", "pi")])).unwrap();
        let expected = json!({"version": "1.0", "steps": [{"action": {
            "name": "Run-Command", "type": "runCommand", "input": {"command": "ls,-l"},
            "runAsUser": "pi"
        }}]});
        assert_eq!(serde_json::from_str::<Value>(&filled).unwrap(), expected);
    }

    #[test]
    fn parameters_are_judged() {
        let install = find("AWS-Install-Application").unwrap();
        let error = install.fill(&given(&[])).unwrap_err().to_string();
        assert_eq!(error, "documentParameters has no value for `packages`");
        let error = install.fill(&given(&[("packages", "x"), ("user", "y")])).unwrap_err();
        assert!(error.to_string().contains("user is not known"), "{error}");
    }

    #[test]
    fn every_template_is_found_by_its_arn() {
        for template in ALL {
            let arn = template.arn("aws", "eu-central-1");
            assert_eq!(find_arn(&arn, "aws", "eu-central-1"), Some(template));
        }
        assert_eq!(
            find_arn("arn:aws:iot:eu-central-1::jobtemplate/AWS-X:1.0", "aws", "eu-central-1"),
            None
        );
    }
}
