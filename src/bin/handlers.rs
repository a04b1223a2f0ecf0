//! The Lambda functions of the ready stacks, as one program.
//!
//! The package builds it beside `iotstack`, so that one `cargo install` puts both into
//! the same folder, where `iotstack synth` looks for it. The function is chosen by
//! Lambda's own variable `_HANDLER`; everything happens in the library.

fn main() -> std::process::ExitCode {
    iotstack_handlers::main()
}
