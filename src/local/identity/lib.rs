//! IAM, STS, KMS, ACM, Secrets Manager, SSM and Signer of the local cloud.
//!
//! Small services, each in a folder of its own that opens with what it does and
//! does not do. They know each other only through the kernel's ports and a few
//! traits of this crate: Signer asks ACM for a key, ACM asks Signer whether a
//! certificate is in use, IAM answers who may do what.
//!
//! Invariants: a private key, a secret and a parameter's secret value never
//! stand in a log, an error or a `Debug` output. All keys end on the kernel's
//! clock. What is confirmed is stored.

mod acm;
mod credentials;
mod iam;
mod kms;
mod records;
mod secrets;
mod signer;
mod ssm;
mod sts;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use iotstack_local_kernel::{Cloud, StoreError};

use acm::Acm;
use credentials::Keys;
use iam::Iam;
use kms::Kms;
use secrets::Secrets;
use signer::Signer;
use ssm::Parameters;
use sts::Sts;

/// The access key of the account's owner. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct RootKey {
    /// The key's id.
    pub access_key_id: String,
    /// The secret that signs.
    pub secret_access_key: String,
}

impl Default for RootKey {
    fn default() -> Self {
        RootKey { access_key_id: "test".to_owned(), secret_access_key: "test".to_owned() }
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootKey")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Restores all services, registers them with their CloudFormation types, and
/// serves the ports `Credentials`, `Certificates`, `Secrets` and `Parameters`.
///
/// # Errors
/// If the state cannot be read.
pub fn install(cloud: &Arc<Cloud>, root: RootKey) -> Result<(), StoreError> {
    let iam = Arc::new(Iam::restore(cloud)?);
    let keys = Arc::new(Keys::restore(cloud, &iam, root)?);
    cloud.ports.serve_credentials(keys.clone());
    cloud.services.add(iam.clone());
    cloud.services.add(Arc::new(Sts(keys)));
    iam::resources::register(cloud, &iam);

    let acm = Arc::new(Acm::restore(cloud)?);
    cloud.ports.serve_certificates(acm.clone());
    cloud.services.add(acm.clone());
    let signer = Signer::restore(cloud, &acm)?;
    signer::resources::register(cloud, &signer);
    cloud.services.add(signer);

    let kms = Arc::new(Kms::restore(cloud)?);
    kms::resources::register(cloud, &kms);
    cloud.services.add(kms.clone());
    let secrets = Arc::new(Secrets::restore(cloud)?);
    cloud.ports.serve_secrets(secrets.clone());
    secrets::resources::register(cloud, &secrets);
    cloud.services.add(secrets);
    let parameters = Arc::new(Parameters::restore(cloud, &kms)?);
    cloud.ports.serve_parameters(parameters.clone());
    ssm::resources::register(cloud, &parameters);
    cloud.services.add(parameters);
    Ok(())
}
