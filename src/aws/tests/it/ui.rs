//! What must not compile, and what the compiler says then.
//!
//! One file in `ui/` for each promise about references and structs. The messages are
//! those of the compiler that the workspace names; `IOTSTACK_BLESS=1` rewrites them.

use std::process::Command;

#[test]
fn a_wrong_reference_does_not_compile() {
    // The harness reads a variable of its own, and a test cannot set one for itself.
    let bless = std::env::var_os("IOTSTACK_BLESS").is_some();
    if bless && std::env::var_os("TRYBUILD").is_none() {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ui::a_wrong_reference_does_not_compile", "--nocapture"])
            .env("TRYBUILD", "overwrite")
            .status()
            .unwrap();
        return assert!(status.success());
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
