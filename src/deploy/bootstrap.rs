//! Prepares an environment: the bucket and roles that deployments use.
//!
//! The stack is compatible with the one that `cdk bootstrap` makes: the same names for
//! the stack, its parameters, resources and outputs, so that either program can use
//! and update what the other made.

mod template;

use indexmap::IndexMap;
use iotstack_assembly::{StackArtifact, Template};

use crate::change_set::{
    OnFailure, Proposal, Request, TemplateSource, propose_request, set_protection,
};
use crate::event::EventSink;
use crate::{Clients, Error, Result, stack};

pub use template::template;

/// The version that this program's bootstrap stack declares.
pub const VERSION: u32 = 21;

/// The bootstrap stack's usual name.
pub const STACK_NAME: &str = "CDKToolkit";

/// The qualifier in the names of the bucket and the roles, unless told otherwise.
pub const QUALIFIER: &str = "hnb659fds";

/// How to bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// The stack's name.
    pub stack_name: String,
    /// The qualifier in the names; `None` keeps that of an existing stack or takes
    /// [`QUALIFIER`].
    pub qualifier: Option<String>,
    /// Accounts that may deploy here; `None` keeps those of an existing stack.
    pub trust: Option<Vec<String>>,
    /// Accounts that may look things up here; `None` keeps those of an existing stack.
    pub trust_for_lookup: Option<Vec<String>>,
    /// Managed policies of the role that CloudFormation uses; `None` keeps those of an
    /// existing stack, and gives a new one `AdministratorAccess`.
    pub execution_policies: Option<Vec<String>>,
    /// The bucket's key; `None` keeps that of an existing stack, and gives a new one
    /// the key that S3 manages.
    pub key: Option<BucketKey>,
    /// The name of the bucket; `None` keeps it or takes the usual one.
    pub bucket_name: Option<String>,
    /// The name of a managed policy that bounds the role CloudFormation uses.
    pub permissions_boundary: Option<String>,
    /// Blocks public access to the bucket; `None` keeps what there is and blocks in a
    /// new one.
    pub block_public_access: Option<bool>,
    /// Whether the stack refuses to be deleted; `None` keeps what there is.
    pub termination_protection: Option<bool>,
    /// Tags on the stack.
    pub tags: IndexMap<String, String>,
    /// Deploys this version even over a newer one.
    pub force: bool,
}

/// Which key encrypts the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketKey {
    /// The key that S3 manages.
    Managed,
    /// A key that the stack makes.
    New,
    /// A key that exists, by id or ARN.
    Existing(String),
}

/// What bootstrapping would do.
#[derive(Debug, Clone, PartialEq)]
pub enum BootstrapProposal {
    /// There is a newer version, which is left alone.
    Newer {
        /// The version there.
        found: u32,
    },
    /// There is a bootstrap stack of somebody's own making, which is left alone.
    Foreign {
        /// What it calls itself.
        variant: String,
    },
    /// As for any stack.
    Stack(Proposal),
}

/// A bootstrap stack as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// The stack's name.
    pub stack_name: String,
    /// Its version.
    pub version: u32,
    /// Its bucket.
    pub bucket: Option<String>,
    /// Its qualifier.
    pub qualifier: Option<String>,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        BootstrapOptions {
            stack_name: STACK_NAME.into(),
            qualifier: None,
            trust: None,
            trust_for_lookup: None,
            execution_policies: None,
            key: None,
            bucket_name: None,
            permissions_boundary: None,
            block_public_access: None,
            termination_protection: None,
            tags: IndexMap::new(),
            force: false,
        }
    }
}

/// The bootstrap stack of the environment, if there is one.
pub async fn find(clients: &Clients, stack_name: &str) -> Result<Option<Bootstrap>> {
    let Some(stack) = stack::describe(clients, stack_name).await? else { return Ok(None) };
    let output = |name: &str| {
        stack.outputs.iter().find(|output| output.name == name).map(|output| output.value.clone())
    };
    // Without the version it is somebody else's stack, or one that never came up.
    let version = output("BootstrapVersion").and_then(|version| version.trim().parse().ok());
    Ok(version.map(|version| Bootstrap {
        stack_name: stack.name.clone(),
        version,
        bucket: output("BucketName"),
        qualifier: stack.parameters.get("Qualifier").cloned(),
    }))
}

/// Says what bootstrapping would do; hand the change set to
/// [`crate::change_set::execute`], then call [`finish`].
pub async fn propose(
    clients: &Clients,
    options: &BootstrapOptions,
    sink: &dyn EventSink,
) -> Result<BootstrapProposal> {
    check(options)?;
    let found = stack::describe(clients, &options.stack_name).await?;
    if let Some(found) = &found
        && !options.force
    {
        let variant = found.parameters.get("BootstrapVariant").filter(|it| *it != VARIANT);
        if let Some(variant) = variant {
            return Ok(BootstrapProposal::Foreign { variant: variant.clone() });
        }
        let version = find(clients, &options.stack_name).await?.map(|found| found.version);
        if let Some(version) = version.filter(|version| *version > VERSION) {
            return Ok(BootstrapProposal::Newer { found: version });
        }
    }
    let template = template();
    // Nothing that is here to be kept: a stack that never came up will be deleted.
    let keeps = found.as_ref().is_some_and(|found| !found.outputs.is_empty());
    let parameters = parameters(options, keeps);
    check_trust(options, found.as_ref(), &parameters)?;
    let request = Request {
        stack: options.stack_name.clone(),
        change_set_name: crate::change_set::DEFAULT_NAME.into(),
        template: TemplateSource::Inline(compact(&template)),
        declared: template.parameters,
        parameters,
        previous_parameters: true,
        tags: options.tags.clone(),
        notification_arns: Vec::new(),
        role_arn: None,
        on_failure: OnFailure::RollBack,
    };
    propose_request(clients, &request, sink).await.map(BootstrapProposal::Stack)
}

/// Sets the termination protection that the options ask for.
pub async fn finish(clients: &Clients, options: &BootstrapOptions) -> Result<()> {
    match options.termination_protection {
        Some(wanted) => set_protection(clients, &options.stack_name, wanted).await,
        None => Ok(()),
    }
}

/// Refuses an environment whose bootstrap stack is too old for the app. That there is
/// none is not said here: the bucket or CloudFormation itself will say it if it matters.
pub(crate) async fn check_version(clients: &Clients, artifact: &StackArtifact) -> Result<()> {
    let Some(needed) = artifact.properties.requires_bootstrap_stack_version else {
        return Ok(());
    };
    let parameter = artifact.properties.bootstrap_stack_version_ssm_parameter.as_deref();
    let qualifier = parameter.and_then(|name| name.split('/').nth(2));
    let found = find(clients, STACK_NAME).await?;
    match found {
        Some(found)
            if found.version < needed
                && (qualifier.is_none() || found.qualifier.as_deref() == qualifier) =>
        {
            Err(Error::BootstrapTooOld {
                environment: clients.environment().to_string(),
                stack: artifact.display_name.clone(),
                found: found.version,
                needed,
            })
        }
        _ => Ok(()),
    }
}

/// The values that the options give. Those of a new stack are given even where they are
/// not asked for, because the template's default for the key would make one.
fn parameters(options: &BootstrapOptions, keeps: bool) -> IndexMap<String, String> {
    let mut values = IndexMap::new();
    let mut give = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            values.insert(name.to_owned(), value);
        }
    };
    let list = |list: &Option<Vec<String>>| list.as_ref().map(|items| items.join(","));
    let key = match (&options.key, keeps) {
        (None, true) => None,
        (None, false) | (Some(BucketKey::Managed), _) => Some("AWS_MANAGED_KEY".to_owned()),
        (Some(BucketKey::New), _) => Some(String::new()),
        (Some(BucketKey::Existing(id)), _) => Some(id.clone()),
    };
    give("TrustedAccounts", list(&options.trust));
    give("TrustedAccountsForLookup", list(&options.trust_for_lookup));
    give("CloudFormationExecutionPolicies", list(&options.execution_policies));
    give("FileAssetsBucketName", options.bucket_name.clone());
    give("FileAssetsBucketKmsKeyId", key);
    give("Qualifier", options.qualifier.clone());
    give("PublicAccessBlockConfiguration", options.block_public_access.map(|it| it.to_string()));
    give("InputPermissionsBoundary", options.permissions_boundary.clone());
    if options.force {
        give("BootstrapVariant", Some(VARIANT.into()));
    }
    values
}

fn check(options: &BootstrapOptions) -> Result<()> {
    let invalid = |option: &str, value: &str, expected| {
        Err(Error::InvalidOption { option: option.to_owned(), value: value.to_owned(), expected })
    };
    if let Some(qualifier) = &options.qualifier {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if qualifier.is_empty() || qualifier.len() > 10 || !qualifier.chars().all(fits) {
            let expected = "expected 1 to 10 letters, digits, `_` or `-`";
            return invalid("qualifier", qualifier, expected);
        }
    }
    let accounts = options.trust.iter().chain(&options.trust_for_lookup).flatten();
    for account in accounts {
        if account.len() != 12 || !account.chars().all(|c| c.is_ascii_digit()) {
            return invalid("trusted account", account, "expected the 12 digits of an account");
        }
    }
    for policy in options.execution_policies.iter().flatten() {
        if !policy.starts_with("arn:") {
            let expected = "expected an ARN such as \
                            `arn:aws:iam::aws:policy/AdministratorAccess`";
            return invalid("execution policy", policy, expected);
        }
    }
    Ok(())
}

/// Refuses to let other accounts deploy with nobody having said what they may do.
fn check_trust(
    options: &BootstrapOptions,
    found: Option<&stack::Stack>,
    given: &IndexMap<String, String>,
) -> Result<()> {
    let value = |name: &str| {
        let previous = || found.and_then(|found| found.parameters.get(name));
        given.get(name).or_else(previous).cloned().unwrap_or_default()
    };
    let trusted = value("TrustedAccounts");
    if trusted.is_empty() || !value("CloudFormationExecutionPolicies").is_empty() {
        return Ok(());
    }
    Err(Error::InvalidOption {
        option: "trust".into(),
        value: options.trust.as_ref().map_or(trusted, |trust| trust.join(",")),
        expected: "trusted accounts need the policies of the role that deploys for them; name \
                   them with `--cloudformation-execution-policies`",
    })
}

/// The template without white space: indented it would not leave much of a request.
fn compact(template: &Template) -> String {
    template.to_value().to_string()
}

/// What `cdk bootstrap` calls a stack that it may update.
const VARIANT: &str = "AWS CDK: Default Resources";

#[cfg(test)]
mod tests;
