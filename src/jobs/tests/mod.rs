//! The rows of the service's rules, one test each, and a model to compare with.
