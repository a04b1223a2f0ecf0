//! The IoT control plane of the local cloud: things, certificates, policies, provisioning, indexing.
