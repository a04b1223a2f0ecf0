//! A query of fleet indexing, a NUL, and the shadow of the thing that is asked.
//!
//! Parentheses, wildcards and paths into shadows are bounded; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| iotstack_local_registry::fuzz::query(data));
