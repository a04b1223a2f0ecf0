//! The IoT data plane of the local cloud: shadows, streams, retained messages.
