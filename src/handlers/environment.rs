//! What Lambda and the stack tell a function through its environment.
//!
//! The SDK's usual search for a region and for credentials is left out: in
//! Lambda both are environment variables, and without the search the binary is
//! much smaller. `AWS_ENDPOINT_URL` and its forms per service, such as
//! `AWS_ENDPOINT_URL_S3`, lead to another endpoint as in every AWS SDK.
//!
//! Profiles, files, role chains and the instance metadata are not read.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::{Error, Result};

/// The environment variables. Not `Debug`, because credentials are among them.
pub(crate) struct Environment(HashMap<String, String>);

/// How to reach AWS.
pub(crate) struct Aws {
    /// The configuration of every client.
    pub(crate) config: SdkConfig,
    /// The client for S3, which needs a little more.
    pub(crate) s3: aws_sdk_s3::Client,
    /// For requests that are not calls of an AWS service.
    pub(crate) connector: SharedHttpConnector,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        // What is not UTF-8 cannot be a name or an address that AWS knows.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Environment(variables)
    }

    /// An environment of just these variables.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let owned = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Environment(owned.collect())
    }

    /// A variable that may be missing; an empty one counts as missing.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable that must be there.
    pub(crate) fn required(&self, name: &'static str) -> Result<String> {
        let missing = || Error::Environment { name, problem: "is not set".to_owned() };
        self.optional(name).map(str::to_owned).ok_or_else(missing)
    }

    /// A variable that must be there and hold a `T`.
    pub(crate) fn parsed<T>(&self, name: &'static str) -> Result<T>
    where
        T: FromStr<Err = iotstack_protocol::Error>,
    {
        let invalid = |error: iotstack_protocol::Error| Error::Environment {
            name,
            problem: format!("is wrong: {error}"),
        };
        self.required(name)?.parse().map_err(invalid)
    }

    /// How to reach AWS from here.
    pub(crate) fn aws(&self) -> Result<Aws> {
        let ring = || Provider::Rustls(CryptoMode::Ring);
        let client = Builder::new().tls_provider(ring()).build_https();
        let connector = Connector::builder().tls_provider(ring()).build();
        let time = SharedTimeSource::new(SystemTimeSource::new());
        self.aws_through(client, SharedHttpConnector::new(connector), time)
    }

    /// How to reach AWS through this client and this connector.
    pub(crate) fn aws_through(
        &self,
        client: SharedHttpClient,
        connector: SharedHttpConnector,
        time: SharedTimeSource,
    ) -> Result<Aws> {
        let credentials = Credentials::new(
            self.required("AWS_ACCESS_KEY_ID")?,
            self.required("AWS_SECRET_ACCESS_KEY")?,
            self.optional("AWS_SESSION_TOKEN").map(str::to_owned),
            None,
            "Lambda",
        );
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.required("AWS_REGION")?))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(client)
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(3))
                    .read_timeout(Duration::from_secs(30))
                    .build(),
            )
            .service_config(self.endpoints());
        config.set_endpoint_url(self.optional(ENDPOINT_URL).map(str::to_owned));
        config.set_time_source(Some(time));
        let config = config.build();
        Ok(Aws { s3: self.s3(&config), config, connector })
    }

    fn s3(&self, config: &SdkConfig) -> aws_sdk_s3::Client {
        // Only AWS answers to one host name per bucket.
        let is_custom = self.optional(ENDPOINT_URL).is_some()
            || self.optional(&format!("{ENDPOINT_URL}_S3")).is_some();
        let config = aws_sdk_s3::config::Builder::from(config).force_path_style(is_custom).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    fn endpoints(&self) -> Endpoints {
        let is_endpoint = |name: &&String| name.starts_with(ENDPOINT_URL);
        let names = self.0.keys().filter(is_endpoint).map(String::as_str);
        let found =
            names.filter_map(|name| Some((name.to_owned(), self.optional(name)?.to_owned())));
        Endpoints(found.collect())
    }
}

/// The endpoints that are set for single services.
struct Endpoints(BTreeMap<String, String>);

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        self.0.get(&format!("{}_{service}", key.env())).cloned()
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cloud, Reply, lambda_variables};

    #[test]
    fn names_the_variable_that_is_missing() {
        let environment = Environment::of(&[("AWS_REGION", "eu-central-1"), ("EMPTY", "")]);
        let error = environment.required("FIRMWARE_BUCKET").unwrap_err();
        assert_eq!(error.to_string(), "environment variable `FIRMWARE_BUCKET` is not set");
        assert!(environment.required("EMPTY").is_err());
    }

    #[tokio::test]
    async fn asks_the_endpoint_of_the_service_before_the_common_one() {
        let cloud = Cloud::new();
        cloud.on("GET", "/", Reply::json(200, "{}"));
        cloud.on("HEAD", "/", Reply::empty(200));
        let mut variables = lambda_variables();
        variables.push(("AWS_ENDPOINT_URL", "http://127.0.0.1:1"));
        variables.push(("AWS_ENDPOINT_URL_IOT", "http://127.0.0.1:2"));
        let aws = cloud.aws(&Environment::of(&variables));

        aws_sdk_iot::Client::new(&aws.config).list_jobs().send().await.unwrap();
        aws_sdk_signer::Client::new(&aws.config).list_signing_jobs().send().await.unwrap();
        aws.s3.head_object().bucket("firmware").key("a").send().await.unwrap();

        let seen = cloud.seen();
        let uris: Vec<_> = seen.iter().map(|request| request.uri.as_str()).collect();
        assert_eq!(
            uris,
            [
                "http://127.0.0.1:2/jobs",
                "http://127.0.0.1:1/signing-jobs",
                "http://127.0.0.1:1/firmware/a"
            ]
        );
    }

    #[tokio::test]
    async fn asks_aws_in_the_region_of_the_function() {
        let cloud = Cloud::new();
        cloud.on("HEAD", "/", Reply::empty(200));
        let aws = cloud.aws(&Environment::of(&lambda_variables()));
        aws.s3.head_object().bucket("firmware").key("a").send().await.unwrap();
        let seen = cloud.seen();
        assert_eq!(seen[0].uri, "https://firmware.s3.eu-central-1.amazonaws.com/a");
        assert_eq!(seen[0].header("x-amz-security-token"), Some("token"));
    }
}
