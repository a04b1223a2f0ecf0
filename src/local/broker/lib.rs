//! The message broker of the local cloud.
