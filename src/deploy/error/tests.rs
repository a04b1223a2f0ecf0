//! The words of errors, and what becomes of the SDK's.

use super::*;

#[test]
fn placeholder() {}
