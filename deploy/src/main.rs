//! The `orrery` binary: hands over to the library, where everything is tested and linted.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    orrery::run()
}
