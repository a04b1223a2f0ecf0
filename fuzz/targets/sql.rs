//! A statement of a topic rule, a NUL, and the message that it is applied to.
//!
//! Both versions of the language are read and applied, and substitution templates
//! are filled. Functions that ask another service only ask.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| iotstack_local_rules::sql::exercise(data));
