//! The AWS IoT Jobs service as a pure state machine.
