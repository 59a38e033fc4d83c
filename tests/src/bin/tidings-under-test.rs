//! The binary `tidings`, built together with the tests that run it: cargo rebuilds the binaries of this package before
//! its tests, but not those of other packages.

fn main() -> std::process::ExitCode {
    tidings_cli::main()
}
