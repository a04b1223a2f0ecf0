//! Credentials, regions and clients: from the caller to one environment.
//!
//! A [`Session`] is the caller: whatever the SDK's default chain finds (environment,
//! profiles, SSO, instance roles) behind one HTTP client with one TLS stack. From it
//! come [`Clients`], one per environment, which assume the deployment role that the
//! assembly names. If that cannot be assumed and the caller's own credentials belong to
//! the right account, they are used instead, and an event says so.
//!
//! Credentials are never logged and never leave the SDK's types.

mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_cloudformation as cfn;
use aws_sdk_iot as iot;
use aws_sdk_s3 as s3;
use aws_sdk_sts as sts;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use iotstack_assembly::{Environment, StackArtifact};
use tokio::sync::OnceCell;
use tracing::debug;

use crate::error::{deepest, from_credentials, from_sdk};
use crate::event::{Event, EventSink};
use crate::monitor::Pace;
use crate::{Error, Result};

/// Who calls, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionOptions {
    /// The profile; otherwise `AWS_PROFILE` or `default`.
    pub profile: Option<String>,
    /// The region; otherwise `AWS_REGION` or the profile's.
    pub region: Option<String>,
    /// The endpoint of all services; otherwise `AWS_ENDPOINT_URL` or AWS itself.
    pub endpoint_url: Option<String>,
}

/// The account and the person or role behind credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's twelve digits.
    pub account: String,
    /// The ARN of the user or role.
    pub arn: String,
    /// `aws`, `aws-cn`, `aws-us-gov`…
    pub partition: String,
}

/// The caller's credentials, and what this run did with them so far.
#[derive(Debug, Clone)]
pub struct Session {
    config: SdkConfig,
    profile: Option<String>,
    pace: Pace,
    identity: Arc<OnceCell<Identity>>,
    published: Published,
}

/// The clients for one environment.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// `aws`, `aws-cn`, `aws-us-gov`…
    pub partition: String,
    pub(crate) cloudformation: cfn::Client,
    /// With the caller's own credentials: deployment roles may not look into buckets or
    /// IoT, and those that `cdk bootstrap` makes may not even list a stack's resources.
    pub(crate) own: OwnClients,
    pub(crate) pace: Pace,
    pub(crate) published: Published,
    config: SdkConfig,
    own_config: SdkConfig,
    profile: Option<String>,
    own_account: bool,
    buckets: Arc<tokio::sync::Mutex<BTreeMap<(String, String), s3::Client>>>,
}

/// Clients with the caller's own credentials.
#[derive(Debug, Clone)]
pub(crate) struct OwnClients {
    pub(crate) cloudformation: cfn::Client,
    pub(crate) s3: s3::Client,
    pub(crate) iot: iot::Client,
}

/// The credentials of a profile, whatever they come from: keys, SSO, a role, a program.
async fn of_profile(profile: &str, region: Option<&str>) -> Result<ProfileFileCredentialsProvider> {
    let config = ProviderConfig::without_region().with_http_client(http::client()?);
    let region = match region {
        Some(region) => Some(Region::new(region.to_owned())),
        None => {
            let of_profile =
                ProfileFileRegionProvider::builder().configure(&config).profile_name(profile);
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(of_profile.build())
                .region()
                .await
        }
    };
    Ok(ProfileFileCredentialsProvider::builder()
        .configure(&config.with_region(region))
        .profile_name(profile)
        .build())
}

/// What was published in this session, as `bucket/key`; shared by all clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published(Arc<Mutex<BTreeSet<String>>>);

impl Published {
    pub(crate) fn contains(&self, location: &str) -> bool {
        // A panic elsewhere cannot leave a set of texts half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(location)
    }

    pub(crate) fn insert(&self, location: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(location);
    }
}

impl Session {
    /// Finds the region and prepares the default credential chain. Credentials
    /// themselves are asked for when they are first needed.
    pub async fn load(options: &SessionOptions) -> Result<Self> {
        http::check_endpoint_variables()?;
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http::client()?)
            .retry_config(RetryConfig::standard().with_max_attempts(8))
            .identity_cache(aws_config::identity::IdentityCache::lazy().build());
        if let Some(profile) = &options.profile {
            // Who names a profile means it: keys in the environment do not come before it,
            // as they would in the default chain.
            loader = loader
                .profile_name(profile)
                .credentials_provider(of_profile(profile, options.region.as_deref()).await?);
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &options.endpoint_url {
            http::check_endpoint("endpoint URL", endpoint)?;
            loader = loader.endpoint_url(endpoint);
        }
        let from_environment = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        let profile = options.profile.clone().or_else(from_environment);
        Ok(Session { profile, ..Session::new(loader.load().await, Pace::default()) })
    }

    /// A session with these keys at this endpoint alone, whatever the environment says:
    /// for a cloud that this program started itself.
    pub fn at_endpoint(endpoint: &str, region: &str, key_id: &str, secret: &str) -> Result<Self> {
        let keys = aws_credential_types::Credentials::new(key_id, secret, None, None, "iotstack");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http::client()?)
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .time_source(SystemTimeSource::new())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .build();
        let at_once = Duration::from_millis(20);
        Ok(Session::new(config, Pace { stack: at_once, change_set: at_once }))
    }

    /// A session on a configuration made elsewhere, such as a test's.
    pub fn new(config: SdkConfig, pace: Pace) -> Self {
        Session {
            config,
            profile: None,
            pace,
            identity: Arc::default(),
            published: Published::default(),
        }
    }

    /// Looks at AWS at another pace than usual.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The region of the command, the environment or the profile.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(Region::as_ref)
    }

    /// The profile that was named, if any.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The endpoint that stands for all of AWS, if one was named.
    pub fn endpoint_url(&self) -> Option<&str> {
        self.config.endpoint_url()
    }

    /// Who the caller is. Asks once.
    pub async fn identity(&self) -> Result<&Identity> {
        self.identity.get_or_try_init(|| self.ask_identity()).await
    }

    /// Clients with the caller's own credentials. What `environment` leaves open comes
    /// from the session.
    pub async fn clients(&self, environment: &Environment) -> Result<Clients> {
        let for_what = if environment.is_agnostic() {
            "the environment".to_owned()
        } else {
            environment.to_string()
        };
        let region = self.region_for(environment, || for_what.clone())?;
        let identity = self.identity().await?;
        match &environment.account {
            Some(wanted) if *wanted != identity.account => Err(Error::WrongAccount {
                stack: environment.to_string(),
                wanted: wanted.clone(),
                found: identity.account.clone(),
                role: None,
            }),
            _ => Ok(self.open(identity.account.clone(), identity.partition.clone(), region)),
        }
    }

    /// Clients for a stack: through the deployment role that the assembly names, if it
    /// can be assumed.
    pub async fn clients_for(
        &self,
        artifact: &StackArtifact,
        sink: &dyn EventSink,
    ) -> Result<Clients> {
        let environment = &artifact.environment;
        let for_what = || format!("stack `{}`", artifact.display_name);
        let region = self.region_for(environment, for_what)?;
        let identity = self.identity().await?;
        let account = environment.account.clone().unwrap_or_else(|| identity.account.clone());
        let own = account == identity.account;
        let mut clients = self.open(account.clone(), identity.partition.clone(), region);
        clients.own_account = own;

        let mut refusal = None;
        if let Some(role) = &artifact.properties.assume_role_arn {
            let role = clients.fill_in(role);
            let external_id = artifact.properties.assume_role_external_id.as_deref();
            match clients.assume(&role, external_id).await {
                Ok(config) => {
                    clients.cloudformation = cfn::Client::new(&config);
                    clients.config = config;
                    return Ok(clients);
                }
                Err(reason) if own => sink.hear(Event::RoleNotAssumed { role, reason }),
                Err(reason) => refusal = Some(reason),
            }
        }
        if own {
            return Ok(clients);
        }
        Err(Error::WrongAccount {
            stack: artifact.display_name.clone(),
            wanted: account,
            found: identity.account.clone(),
            role: refusal,
        })
    }

    fn region_for(
        &self,
        environment: &Environment,
        for_what: impl FnOnce() -> String,
    ) -> Result<String> {
        environment
            .region
            .clone()
            .or_else(|| self.region().map(str::to_owned))
            .ok_or_else(|| Error::NoRegion { for_what: for_what() })
    }

    fn open(&self, account: String, partition: String, region: String) -> Clients {
        let config = self.config.to_builder().region(Region::new(region.clone())).build();
        let own = OwnClients {
            cloudformation: cfn::Client::new(&config),
            s3: s3_client(&config),
            iot: iot::Client::new(&config),
        };
        Clients {
            account,
            region,
            partition,
            cloudformation: own.cloudformation.clone(),
            own,
            pace: self.pace,
            published: self.published.clone(),
            own_config: config.clone(),
            config,
            profile: self.profile.clone(),
            own_account: true,
            buckets: Arc::default(),
        }
    }

    async fn ask_identity(&self) -> Result<Identity> {
        let profile = self.profile.as_deref();
        // Asking the chain itself first gives its own words for what is missing.
        if let Some(provider) = self.config.credentials_provider() {
            provider
                .provide_credentials()
                .await
                .map_err(|error| from_credentials(&error, profile))?;
        }
        let config = match self.region() {
            Some(_) => self.config.clone(),
            // STS answers everywhere the same; without a region it could not be asked.
            None => self.config.to_builder().region(Region::from_static("us-east-1")).build(),
        };
        let answer = sts::Client::new(&config)
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| from_sdk("sts:GetCallerIdentity", profile, error))?;
        let missing =
            |missing| Error::UnexpectedAnswer { action: "sts:GetCallerIdentity", missing };
        let arn = answer.arn.ok_or_else(|| missing("Arn"))?;
        let partition = arn.split(':').nth(1).unwrap_or("aws").to_owned();
        let account = answer.account.ok_or_else(|| missing("Account"))?;
        debug!(account, arn, "caller identified");
        Ok(Identity { account, arn, partition })
    }
}

impl Clients {
    /// The environment, with account and region.
    pub fn environment(&self) -> Environment {
        Environment::new(self.account.clone(), self.region.clone())
    }

    /// Fills in the account, region and partition that a text of the assembly leaves
    /// open.
    pub fn fill_in(&self, text: &str) -> String {
        text.replace("${AWS::AccountId}", &self.account)
            .replace("${AWS::Region}", &self.region)
            .replace("${AWS::Partition}", &self.partition)
    }

    /// Where buckets of this region are reached, for URLs with the bucket in the path.
    pub(crate) fn s3_endpoint(&self) -> String {
        let named = self.own_config.endpoint_url().map(str::to_owned);
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let named = named
            .or_else(|| variable("AWS_ENDPOINT_URL_S3"))
            .or_else(|| variable("AWS_ENDPOINT_URL"));
        let suffix = if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        named.map_or_else(
            || format!("https://s3.{}.{suffix}", self.region),
            |endpoint| endpoint.trim_end_matches('/').to_owned(),
        )
    }

    /// A client for the buckets of `region`, through `role` if that can be assumed.
    pub(crate) async fn bucket_client(
        &self,
        role: Option<&str>,
        external_id: Option<&str>,
        region: Option<&str>,
        sink: &dyn EventSink,
    ) -> Result<s3::Client> {
        let region = region.unwrap_or(&self.region).to_owned();
        let key = (role.unwrap_or_default().to_owned(), region.clone());
        let mut buckets = self.buckets.lock().await;
        if let Some(client) = buckets.get(&key) {
            return Ok(client.clone());
        }
        let own = self.own_config.to_builder().region(Region::new(region)).build();
        let config = match role {
            None => own,
            Some(role) => match self.assume(role, external_id).await {
                Ok(config) => config.to_builder().region(own.region().cloned()).build(),
                Err(reason) if self.own_account => {
                    sink.hear(Event::RoleNotAssumed { role: role.to_owned(), reason });
                    own
                }
                Err(reason) => {
                    return Err(Error::AccessDenied {
                        action: "sts:AssumeRole".into(),
                        resource: Some(role.to_owned()),
                        principal: None,
                        message: reason,
                    });
                }
            },
        };
        let client = s3_client(&config);
        buckets.insert(key, client.clone());
        Ok(client)
    }

    /// The configuration with the caller's own credentials.
    pub(crate) fn own_config(&self) -> &SdkConfig {
        &self.own_config
    }

    /// What turns a failed call of `action` into an error.
    pub(crate) fn failed<E, R>(
        &self,
        action: &'static str,
    ) -> impl FnOnce(SdkError<E, R>) -> Error + '_
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        move |error| from_sdk(action, self.profile.as_deref(), error)
    }

    /// The configuration with the role's credentials, or what STS said against it.
    async fn assume(&self, role: &str, external_id: Option<&str>) -> Result<SdkConfig, String> {
        let mut provider = AssumeRoleProvider::builder(role)
            .session_name("iotstack")
            .region(Region::new(self.region.clone()))
            .configure(&self.own_config);
        if let Some(external_id) = external_id {
            provider = provider.external_id(external_id);
        }
        let provider = provider.build().await;
        // Asked once here, because only now there is somebody who can fall back.
        if let Err(error) = provider.provide_credentials().await {
            return Err(deepest(&error));
        }
        debug!(role, "role assumed");
        Ok(self
            .own_config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(provider))
            .identity_cache(aws_config::identity::IdentityCache::lazy().build())
            .build())
    }
}

/// Path-style where an endpoint of somebody's own stands for S3: it seldom has a name
/// for every bucket.
fn s3_client(config: &SdkConfig) -> s3::Client {
    let own_endpoint = config.endpoint_url().is_some()
        || ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let config = s3::config::Builder::from(config)
        .force_path_style(own_endpoint)
        .request_checksum_calculation(s3::config::RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(s3::config::ResponseChecksumValidation::WhenRequired)
        .build();
    s3::Client::from_conf(config)
}
