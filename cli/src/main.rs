//! The binary `tidings`; everything is in the library, so that tests and examples can use it.

fn main() -> std::process::ExitCode {
    tidings_cli::main()
}
