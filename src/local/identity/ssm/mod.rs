//! The parameters of Systems Manager.
//!
//! Real: String, StringList and SecureString with versions, labels, history,
//! hierarchies, patterns, tags, selectors (`name:3`, `name:label`). A
//! SecureString is shown encrypted unless decryption is asked for.
//!
//! Not offered: parameter policies, the types that look up machine images,
//! public parameters of AWS (`/aws/…`), and everything of Systems Manager that
//! is not a parameter.

mod filter;
mod labels;
mod parameter;
pub(crate) mod resources;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use iotstack_local_kernel::page::Paging;
use iotstack_local_kernel::ports::Parameters as ParametersPort;
use iotstack_local_kernel::{
    Account, Call, Caller, Clock, Cloud, Commit, Fault, Operation, Operations, Protocol, Reply,
    Service, StoreError, loose,
};
use serde_json::{Map, Value, json};

use crate::kms::Kms;
use crate::records::{Records, Written};
use crate::wire::{Tags, add_tags, violating};
use filter::{Asked, Filter};
use parameter::{ADVANCED, Kind, Parameter, TIERS, Version, check_name, check_value};

/// The parameter store.
pub(crate) struct Parameters {
    account: Account,
    clock: Clock,
    kms: Arc<Kms>,
    parameters: Records<Parameter>,
}

/// What a parameter shall be.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) kind: Option<Kind>,
    pub(crate) description: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) tier: Option<String>,
    pub(crate) data_type: String,
    pub(crate) overwrite: bool,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) by: String,
}

impl Parameters {
    pub(crate) fn restore(cloud: &Cloud, kms: &Arc<Kms>) -> Result<Self, StoreError> {
        Ok(Parameters {
            account: cloud.account.clone(),
            clock: cloud.clock.clone(),
            kms: kms.clone(),
            parameters: Records::restore(&cloud.store, "ssm_parameters")?,
        })
    }

    /// Makes a parameter, or writes a new version of it. Gives the version and its tier.
    fn write(&self, wanted: Wanted) -> Result<((u64, String), Commit), Fault> {
        check_name(&wanted.name)?;
        let mut tags = Tags::new();
        add_tags(&mut tags, wanted.tags)?;
        if wanted.overwrite && !tags.is_empty() {
            let reason =
                "tags and Overwrite cannot be given together; tag the parameter afterwards";
            return Err(Fault::new("ValidationException", 400, reason));
        }
        if let Some(tier) = wanted.tier.as_deref().filter(|tier| !TIERS.contains(tier)) {
            let reason = format!("`{tier}` is no tier of parameters");
            return Err(Fault::new("ValidationException", 400, reason));
        }
        if !["text", "aws:ec2:image", "aws:ssm:integration"].contains(&wanted.data_type.as_str()) {
            let reason = format!(
                "The following data type is not supported: {} (Data type names are all lowercase.)",
                wanted.data_type
            );
            return Err(Fault::new("ValidationException", 400, reason));
        }
        if wanted.data_type != "text" {
            return Err(Fault::not_implemented(format!("parameters of type {}", wanted.data_type)));
        }
        let now = self.clock.now();
        let known = self.parameters.get(plain(&wanted.name)).map(|kept| kept.newest().kind);
        let key = self.key_of(wanted.kind.or(known), wanted.key)?;
        self.parameters.change(|parameters| {
            let kept = parameters.get(plain(&wanted.name)).cloned();
            if kept.is_some() && !wanted.overwrite {
                let reason = "The parameter already exists. To overwrite this value, set the \
                              overwrite option in the request to true.";
                return Err(Fault::new("ParameterAlreadyExists", 400, reason));
            }
            let kind = match (&kept, wanted.kind) {
                (Some(kept), None) => kept.newest().kind,
                (_, Some(kind)) => kind,
                (None, None) => {
                    let reason = "A parameter type is required when you create a parameter.";
                    return Err(Fault::new("ValidationException", 400, reason));
                }
            };
            if kept.as_ref().is_some_and(|kept| kept.newest().kind != kind) {
                let reason = "the type of a parameter cannot be changed";
                return Err(Fault::new("HierarchyTypeMismatchException", 400, reason));
            }
            // What is not said again stays as it was, and no tier is left downwards.
            let before = kept.as_ref().map(Parameter::newest).cloned().unwrap_or_default();
            if before.tier == ADVANCED && wanted.tier.as_deref() == Some("Standard") {
                let reason = "This parameter uses the advanced-parameter tier. You can't downgrade \
                              a parameter from the advanced-parameter tier to the \
                              standard-parameter tier.";
                return Err(Fault::new("ValidationException", 400, reason));
            }
            let tier = wanted.tier.unwrap_or_else(|| before.tier.clone());
            let pattern = wanted.pattern.or(before.pattern).filter(|text| !text.is_empty());
            let description = wanted.description.or(before.description);
            let largest = if tier == ADVANCED || tier == TIERS[2] { 8192 } else { 4096 };
            check_value(kind, &wanted.value, pattern.as_deref(), largest)?;
            let is_advanced = before.tier == ADVANCED || tier == ADVANCED;
            // Intelligent tiering takes the dear tier only for what needs it.
            let is_advanced = is_advanced || wanted.value.len() > 4096;
            let mut parameter = kept.unwrap_or_else(|| Parameter {
                name: wanted.name.clone(),
                versions: Vec::new(),
                tags,
            });
            let number = parameter.versions.last().map_or(1, |newest| newest.number + 1);
            parameter.add(Version {
                number,
                value: wanted.value,
                kind,
                description: description.filter(|text| !text.is_empty()),
                key,
                pattern,
                tier: if is_advanced { ADVANCED } else { "Standard" }.to_owned(),
                modified: now,
                modified_by: wanted.by,
                labels: Vec::new(),
            })?;
            let tier = parameter.newest().tier.clone();
            parameters.put(plain(&wanted.name), parameter);
            Ok((number, tier))
        })
    }

    /// The KMS key for a value, which only a SecureString has.
    fn key_of(&self, kind: Option<Kind>, key: Option<String>) -> Result<Option<String>, Fault> {
        if kind != Some(Kind::SecureString) {
            let reason = "KeyId is for parameters of type SecureString";
            let refused = key.map(|_| Fault::new("ValidationException", 400, reason));
            return refused.map_or(Ok(None), Err);
        }
        let key = key.unwrap_or_else(|| "alias/aws/ssm".to_owned());
        let unusable = |fault: Fault| Fault::new("InvalidKeyId", 400, fault.message);
        self.kms.check_usable(&key).map_err(unusable)?;
        Ok(Some(key))
    }

    /// Deletes a parameter.
    fn drop_parameter(&self, name: &str) -> Result<Commit, Fault> {
        let ((), commit) = self.parameters.change(|parameters| {
            parameters.remove(plain(name)).map(drop).ok_or_else(|| missing(name))
        })?;
        Ok(commit)
    }

    fn put(&self, call: Call) -> Written {
        let input = &call.input;
        if input.get("Policies").is_some_and(|policies| !policies.is_null() && policies != "") {
            return Err(Fault::not_implemented("policies of parameters"));
        }
        if loose::text(input, "Value")?.is_some_and(|value| value.is_empty()) {
            let wanted = "Member must have length greater than or equal to 1.";
            return Err(violating("value", Some(""), wanted));
        }
        let ((version, tier), commit) = self.write(Wanted {
            name: loose::required(input, "Name")?,
            value: loose::required(input, "Value")?,
            kind: loose::text(input, "Type")?.map(|kind| Kind::parse(&kind)).transpose()?,
            description: loose::text(input, "Description")?,
            key: loose::text(input, "KeyId")?,
            pattern: loose::text(input, "AllowedPattern")?,
            tier: loose::text(input, "Tier")?,
            data_type: loose::text(input, "DataType")?.unwrap_or_else(|| "text".to_owned()),
            overwrite: loose::flag(input, "Overwrite")?.unwrap_or(false),
            tags: loose::pairs(input, "Tags", ("Key", "Value"))?,
            by: match &call.caller {
                Caller::Principal { arn } => arn.clone(),
                _ => self.account.global_arn("iam", "root"),
            },
        })?;
        Ok((json!({"Version": version, "Tier": tier}).into(), commit))
    }

    fn get(&self, call: Call) -> Result<Reply, Fault> {
        let name = loose::required(&call.input, "Name")?;
        let decrypt = loose::flag(&call.input, "WithDecryption")?.unwrap_or(false);
        Ok(json!({"Parameter": self.shown(&name, decrypt)?}).into())
    }

    fn get_many(&self, call: Call) -> Result<Reply, Fault> {
        let names = loose::texts(&call.input, "Names")?;
        if names.is_empty() || names.len() > 10 {
            let all = format!("[{}]", names.join(", "));
            let wanted = match names.is_empty() {
                true => "Member must have length greater than or equal to 1.",
                false => "Member must have length less than or equal to 10.",
            };
            return Err(violating("names", Some(&all), wanted));
        }
        let decrypt = loose::flag(&call.input, "WithDecryption")?.unwrap_or(false);
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for name in names.into_iter().filter(|name| seen.insert(name.clone())) {
            match self.shown(&name, decrypt) {
                Ok(shown) => found.push(shown),
                Err(_) => invalid.push(name),
            }
        }
        Ok(json!({"Parameters": found, "InvalidParameters": invalid}).into())
    }

    fn by_path(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        let path = loose::required(input, "Path")?;
        if !path.starts_with('/') {
            let reason = format!("path `{path}` must begin with `/`");
            return Err(Fault::new("ValidationException", 400, reason));
        }
        let recursive = loose::flag(input, "Recursive")?.unwrap_or(false);
        let decrypt = loose::flag(input, "WithDecryption")?.unwrap_or(false);
        let filters = Filter::read_all(input, Asked::ByPath)?;
        let mut all = self.parameters.all();
        all.retain(|parameter| {
            parameter.is_below(&path, recursive)
                && filters.iter().all(|filter| filter.fits(parameter))
        });
        self.paged(input, all, 10, |parameter| {
            let version = parameter.newest();
            self.shown_version(parameter, version, None, decrypt)
        })
    }

    fn describe(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        let filters = Filter::read_all(input, Asked::Described)?;
        let mut all = self.parameters.all();
        all.retain(|parameter| filters.iter().all(|filter| filter.fits(parameter)));
        self.paged(input, all, 50, |parameter| {
            let mut shown = parameter.newest().described(&parameter.name);
            shown["ARN"] = json!(self.arn(&parameter.name));
            Ok(shown)
        })
    }

    fn history(&self, call: Call) -> Result<Reply, Fault> {
        let name = loose::required(&call.input, "Name")?;
        let decrypt = loose::flag(&call.input, "WithDecryption")?.unwrap_or(false);
        let parameter = self.named(&name)?;
        check_most(&call.input, 50)?;
        let paging = Paging { limit: "MaxResults", token: "NextToken", default: 50, most: 50 };
        let key = |version: &&Version| format!("{:020}", version.number);
        let (versions, next) = paging.cut(&call.input, &parameter.versions, key)?;
        let versions: Vec<Value> = versions
            .into_iter()
            .map(|version| {
                let mut shown = version.described(&parameter.name);
                shown["Value"] = json!(self.value_of(&parameter.name, version, decrypt)?);
                shown["Labels"] = json!(version.labels);
                Ok(shown)
            })
            .collect::<Result<_, Fault>>()?;
        let mut reply = json!({ "Parameters": versions });
        if let Some(next) = next {
            reply["NextToken"] = json!(next);
        }
        Ok(reply.into())
    }

    fn delete(&self, call: Call) -> Written {
        let name = loose::required(&call.input, "Name")?;
        Ok((Reply::empty(), self.drop_parameter(&name)?))
    }

    fn delete_many(&self, call: Call) -> Written {
        let names = loose::texts(&call.input, "Names")?;
        let (reply, commit) = self.parameters.change(|parameters| {
            let (mut deleted, mut invalid) = (Vec::new(), Vec::new());
            for name in names {
                match parameters.remove(plain(&name)) {
                    Some(_) => deleted.push(name),
                    None => invalid.push(name),
                }
            }
            Ok(json!({"DeletedParameters": deleted, "InvalidParameters": invalid}))
        })?;
        Ok((reply.into(), commit))
    }

    /// A parameter, written with its first slash or without where that says the same.
    fn named(&self, name: &str) -> Result<Parameter, Fault> {
        self.parameters.get(plain(name)).ok_or_else(|| missing(name))
    }

    fn edit<R>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Parameter) -> Result<R, Fault>,
    ) -> Result<(R, Commit), Fault> {
        self.parameters.change(|parameters| {
            let mut parameter =
                parameters.get(plain(name)).cloned().ok_or_else(|| missing(name))?;
            let outcome = change(&mut parameter)?;
            parameters.put(plain(name), parameter);
            Ok(outcome)
        })
    }

    /// A parameter by its name or ARN, with a version or label behind a colon.
    fn shown(&self, wanted: &str, decrypt: bool) -> Result<Value, Fault> {
        let own = self.account.arn("ssm", "parameter");
        let name = wanted.strip_prefix(&own).unwrap_or(wanted);
        let (name, selector) = selected(name);
        let parameter = self.named(name).map_err(|_| missing(wanted))?;
        if selector.is_some_and(|selector| selector.contains(':')) {
            return Err(missing(wanted));
        }
        let version = parameter.select(selector)?;
        self.shown_version(&parameter, version, selector, decrypt)
    }

    fn shown_version(
        &self,
        parameter: &Parameter,
        version: &Version,
        selector: Option<&str>,
        decrypt: bool,
    ) -> Result<Value, Fault> {
        let mut shown = version.shown(&parameter.name);
        shown["Value"] = json!(self.value_of(&parameter.name, version, decrypt)?);
        shown["ARN"] = json!(self.arn(&parameter.name));
        if let Some(selector) = selector {
            shown["Selector"] = json!(format!(":{selector}"));
        }
        Ok(shown)
    }

    /// The value, or what KMS makes of it.
    fn value_of(&self, name: &str, version: &Version, decrypt: bool) -> Result<String, Fault> {
        match &version.key {
            Some(key) if !decrypt => {
                let context = [("PARAMETER_ARN".to_owned(), self.arn(name))].into();
                let sealed = self.kms.seal(key, version.value.as_bytes(), &context)?;
                Ok(crate::wire::base64(&sealed))
            }
            Some(key) => {
                self.kms
                    .check_usable(key)
                    .map_err(|f| Fault::new("InvalidKeyId", 400, f.message))?;
                Ok(version.value.clone())
            }
            None => Ok(version.value.clone()),
        }
    }

    fn arn(&self, name: &str) -> String {
        let slash = if name.starts_with('/') { "" } else { "/" };
        self.account.arn("ssm", format!("parameter{slash}{name}"))
    }

    fn paged(
        &self,
        input: &Map<String, Value>,
        all: Vec<Parameter>,
        most: u16,
        shown: impl Fn(&Parameter) -> Result<Value, Fault>,
    ) -> Result<Reply, Fault> {
        check_most(input, most)?;
        let paging = Paging { limit: "MaxResults", token: "NextToken", default: 10, most };
        let (items, next) =
            paging.cut(input, all, |parameter| plain(&parameter.name).to_owned())?;
        let list: Vec<Value> = items.iter().map(shown).collect::<Result<_, _>>()?;
        let mut reply = json!({ "Parameters": list });
        if let Some(next) = next {
            reply["NextToken"] = json!(next);
        }
        Ok(reply.into())
    }
}

impl ParametersPort for Parameters {
    fn value(&self, name: &str) -> Result<String, Fault> {
        let (name, selector) = selected(name);
        let parameter = self.named(name)?;
        let version = parameter.select(selector)?;
        self.value_of(&parameter.name, version, true)
    }
}

impl Service for Parameters {
    fn scopes(&self) -> &'static [&'static str] {
        &["ssm"]
    }

    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::AwsJson { version: "1.1", target: "AmazonSSM" }]
    }

    fn operations(self: Arc<Self>) -> Vec<Operation> {
        Operations::of(self)
            .named_stored("PutParameter", Parameters::put)
            .named("GetParameter", Parameters::get)
            .named("GetParameters", Parameters::get_many)
            .named("GetParametersByPath", Parameters::by_path)
            .named("GetParameterHistory", Parameters::history)
            .named("DescribeParameters", Parameters::describe)
            .named_stored("DeleteParameter", Parameters::delete)
            .named_stored("DeleteParameters", Parameters::delete_many)
            .named_stored("LabelParameterVersion", Parameters::label)
            .named_stored("UnlabelParameterVersion", Parameters::unlabel)
            .named_stored("AddTagsToResource", Parameters::tag)
            .named_stored("RemoveTagsFromResource", Parameters::untag)
            .named("ListTagsForResource", Parameters::list_tags)
            .list()
    }

    fn refused(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("CreateDocument", "only parameters are offered"),
            ("SendCommand", "there are no instances"),
            ("GetCommandInvocation", "there are no instances"),
            ("ListCommandInvocations", "there are no instances"),
            ("ListCommands", "there are no instances"),
            ("StartAutomationExecution", "only parameters are offered"),
        ]
    }
}

/// A name, and the version or label behind a colon.
fn selected(name: &str) -> (&str, Option<&str>) {
    match name.split_once(':') {
        Some((name, selector)) => (name, Some(selector)),
        None => (name, None),
    }
}

/// The name under which a parameter is kept: outside of hierarchies `/a` is the same as `a`.
fn plain(name: &str) -> &str {
    name.strip_prefix('/').filter(|plain| !plain.contains('/')).unwrap_or(name)
}

/// Refuses to show more on a page than the API's model allows.
fn check_most(input: &Map<String, Value>, most: u16) -> Result<(), Fault> {
    match loose::integer(input, "MaxResults")? {
        Some(wanted) if wanted > most.into() => {
            let reason = format!("Member must have value less than or equal to {most}.");
            Err(violating("maxResults", Some(&wanted.to_string()), &reason))
        }
        _ => Ok(()),
    }
}

fn missing(name: &str) -> Fault {
    Fault::new("ParameterNotFound", 400, format!("Parameter {name} not found."))
}

fn no_resource(fault: Fault) -> Fault {
    match fault.code.as_str() {
        "ParameterNotFound" => Fault::new("InvalidResourceId", 400, fault.message),
        _ => fault,
    }
}
