//! Logical ids: the names that resources carry in a template.
//!
//! The rule is CDK's, to the letter, so that a stack which CDK deployed can be taken
//! over without replacing anything: one component below the stack is used as it is;
//! more become a readable part and eight hex digits of the MD5 of the path.

use md5::{Digest, Md5};

/// The longest logical id that CloudFormation takes.
pub const MAX_LENGTH: usize = 255;

/// The logical id of the node whose names below the stack are `components`.
pub fn logical_id(components: &[&str]) -> String {
    // `Default` marks the one child that gives its parent its identity.
    let components: Vec<&str> =
        components.iter().copied().filter(|name| *name != "Default").collect();
    if let [only] = components.as_slice() {
        let id = alphanumeric(only);
        if id.len() <= MAX_LENGTH {
            return id;
        }
    }
    let mut readable = String::new();
    let mut last = "";
    for name in components.iter().copied().filter(|name| *name != "Resource") {
        // A repeated component says nothing new, and CDK drops it.
        if name != last {
            readable.push_str(&alphanumeric(name));
        }
        last = name;
    }
    readable.truncate(READABLE_LENGTH);
    let hash = Md5::digest(components.join("/"));
    for byte in &hash[..4] {
        readable.push_str(&format!("{byte:02X}"));
    }
    readable
}

fn alphanumeric(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

const READABLE_LENGTH: usize = 240;

#[cfg(test)]
mod tests {
    use super::logical_id;

    #[test]
    fn one_component_is_used_as_it_is() {
        assert_eq!(logical_id(&["Pump-1"]), "Pump1");
        assert_eq!(logical_id(&["Fleet", "Default"]), "Fleet");
    }

    #[test]
    fn more_components_get_the_hash_that_cdk_computes() {
        // Observed in templates of the `cdk` program.
        assert_eq!(logical_id(&["FirmwareBucket", "Resource"]), "FirmwareBucketD515617B");
        assert_eq!(logical_id(&["Prod", "Core"]), "ProdCore681C6A9B");
    }

    #[test]
    fn repeated_components_collapse_in_the_readable_part() {
        assert!(logical_id(&["Fleet", "Fleet", "Resource"]).starts_with("Fleet"));
        assert_eq!(logical_id(&["Fleet", "Fleet", "Resource"]).len(), "Fleet".len() + 8);
    }

    #[test]
    fn a_long_path_is_cut() {
        let long = "x".repeat(300);
        assert_eq!(logical_id(&[&long]).len(), 248);
    }
}
