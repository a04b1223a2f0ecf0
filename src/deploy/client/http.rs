//! The one HTTP client: rustls on ring, proxies from the environment, and the
//! certificate authorities of `AWS_CA_BUNDLE` beside the system's.
//!
//! Nothing here knows AWS; the SDK's retries, timeouts and signatures lie above.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::{Error, Result};

/// The client for everything.
pub(super) fn client() -> Result<SharedHttpClient> {
    let context = trust()?;
    // The builder's short form knows no proxy, so every connector is put together here.
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector =
            Connector::builder().proxy_config(ProxyConfig::from_env()).enable_tcp_nodelay(true);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .build()
    }))
}

fn trust() -> Result<TlsContext> {
    let mut trust = TrustStore::default();
    let path = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    if let Some(path) = &path {
        let pem = std::fs::read(path).map_err(Error::io("read", path.clone()))?;
        trust = trust.with_pem_certificate(pem);
    }
    TlsContext::builder().with_trust_store(trust).build().map_err(|_| Error::InvalidOption {
        option: "AWS_CA_BUNDLE".into(),
        value: path.unwrap_or_default().to_string_lossy().into_owned(),
        expected: "expected a file of certificates in PEM form",
    })
}

/// Refuses endpoints in the environment that no request could be sent to. The SDK would
/// stop the whole program at an empty one.
pub(super) fn check_endpoint_variables() -> Result<()> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(name, _)| name.starts_with("AWS_ENDPOINT_URL"))
        .try_for_each(|(name, value)| {
            check_endpoint(&format!("environment variable {name}"), &value.to_string_lossy())
        })
}

/// Refuses what no request could be sent to, before a request fails with less to say.
pub(super) fn check_endpoint(option: &str, endpoint: &str) -> Result<()> {
    let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') => Ok(()),
        _ => Err(Error::InvalidOption {
            option: option.to_owned(),
            value: endpoint.to_owned(),
            expected: "expected a URL such as `http://127.0.0.1:4566`",
        }),
    }
}
