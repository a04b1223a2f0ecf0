//! A text with more braces than values.

use iotstack_core::{Pseudo, text};

fn main() {
    let _ = text!("arn:{}:s3:::{}/*", Pseudo::Partition);
}
