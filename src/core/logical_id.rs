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
    let mut kept: Vec<&str> = Vec::with_capacity(components.len());
    for name in &components {
        // `Firmware` below `NewFirmware` says nothing new, and CDK drops it.
        if !kept.last().is_some_and(|last| last.ends_with(name)) {
            kept.push(name);
        }
    }
    let mut readable: String =
        kept.into_iter().filter(|name| *name != "Resource").map(alphanumeric).collect();
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
    fn follows_the_rule_of_cdk_to_the_letter() {
        // The first two were observed in templates of the `cdk` program, the others come
        // from its rule, computed by a second implementation.
        for (components, expected) in [
            (&["FirmwareBucket", "Resource"][..], "FirmwareBucketD515617B"),
            (&["Prod", "Core"], "ProdCore681C6A9B"),
            // One component is used as it is, without what a logical id cannot hold.
            (&["Pump-1"], "Pump1"),
            (&["Resource"], "Resource"),
            // `Default` is as good as not there.
            (&["Fleet", "Default"], "Fleet"),
            (&["Default", "Fleet"], "Fleet"),
            (&["Fleet", "Default", "Resource"], "Fleet30813DF3"),
            // A component that the one before it ends with is left out of the readable part.
            (&["Fleet", "Fleet", "Resource"], "Fleet02563E81"),
            (&["MyFirmware", "Firmware", "Resource"], "MyFirmwareA9ABE2A2"),
            (&["Firmware", "MyFirmware"], "FirmwareMyFirmware3E6BB1F2"),
            // It is compared before `Resource` goes.
            (&["Fleet", "Resource", "Fleet"], "FleetFleetAF8D216D"),
            (&["Fleet", "FleetResource", "Resource"], "FleetFleetResourceA74F210B"),
            (&["Resource", "Resource"], "CF9390BA"),
            // The hash is that of the names as they are.
            (&["Pump-1", "Valve 2"], "Pump1Valve26D6863CE"),
            (&["Größe", "Resource"], "GreCB1EAB88"),
        ] {
            assert_eq!(logical_id(components), expected, "{components:?}");
        }
    }

    #[test]
    fn a_long_path_is_cut() {
        assert_eq!(logical_id(&[&"x".repeat(255)]), "x".repeat(255));
        assert_eq!(logical_id(&[&"x".repeat(300)]), format!("{}8A4876EA", "x".repeat(240)));
        let path = logical_id(&["a", &"b".repeat(255)]);
        assert_eq!(path, format!("a{}20514F12", "b".repeat(239)));
    }
}
