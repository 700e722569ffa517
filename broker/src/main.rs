//! The `tidelog` binary: the command line, wired to the crates that do the work.
#![forbid(unsafe_code)]

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::run(std::env::args_os())
}
