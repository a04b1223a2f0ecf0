//! Arbitrary bytes as packets of MQTT 3.1.1 and 5.
//!
//! What can be read can be written and is then read as the same; nothing panics.
//! The framing of a stream is met on the way, sockets are not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| iotstack_mqtt::wire::fuzz(bytes));
