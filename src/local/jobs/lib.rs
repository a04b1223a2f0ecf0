//! AWS IoT Jobs of the local cloud: both planes and the reserved topics.
