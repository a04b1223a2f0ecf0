//! An IoT policy, a NUL, and the topic that it is judged for.
//!
//! Judging a message must never take longer than the lengths of policy and topic
//! explain, whatever wildcards and variables stand in the policy.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| iotstack_local_registry::fuzz::policy(data));
