//! `tidelog-wire-gen` writes the generated files; `tidelog-wire-gen --check` only looks.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> Result<ExitCode, tidelog_wire_gen::Error> {
    let wire = tidelog_wire_gen::wire_dir();
    let fresh = tidelog_wire_gen::generate(&wire)?;
    if std::env::args().any(|argument| argument == "--check") {
        let stale = tidelog_wire_gen::stale(&wire, &fresh)?;
        for path in &stale {
            eprintln!("stale: {}", path.display());
        }
        return Ok(if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    tidelog_wire_gen::write(&wire, &fresh)?;
    println!("{} files", fresh.len());
    Ok(ExitCode::SUCCESS)
}
