//! Signals between a process that starts brokers and the brokers it started.

use std::io;

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

/// Asks a process to end.
///
/// # Errors
/// There is no such process, or it is not ours.
pub fn terminate(id: u32) -> io::Result<()> {
    send(id, Signal::TERM)
}

/// Ends a process at once.
///
/// # Errors
/// As [`terminate`].
pub fn kill(id: u32) -> io::Result<()> {
    send(id, Signal::KILL)
}

fn send(id: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, signal)?)
}

/// This process is asked to end when the thread that started it does, however that ends.
///
/// # Errors
/// The system refuses.
pub fn end_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::TERM))?)
}
