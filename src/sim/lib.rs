//! Simulated devices that provision themselves, update and sometimes fail.
