//! How far a long command is, on standard error: on a terminal one line that is written over,
//! elsewhere, when asked for, a line now and then.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

/// How often a terminal's line is written.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(250);
/// How often a line is written elsewhere.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// `--progress`, the same for every command that may take long.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ProgressArgs {
    /// Show progress on standard error even when that is no terminal.
    #[arg(long)]
    progress: bool,
}

/// Counts, and shows the count now and then.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    terminal: bool,
    started: Instant,
    last: Instant,
    written: bool,
}

impl ProgressArgs {
    /// Progress that is shown when asked for, or on a terminal that shows nothing else.
    pub(super) fn begin(&self, quiet_terminal: bool) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let now = Instant::now();
        let shown = self.progress || (terminal && quiet_terminal);
        Progress { shown, terminal, started: now, last: now, written: false }
    }
}

impl Progress {
    /// Shows so many records and bytes, if it is time to.
    pub(super) fn at(&mut self, records: u64, bytes: u64) {
        let interval = if self.terminal { TERMINAL_INTERVAL } else { LINE_INTERVAL };
        if !self.shown || self.last.elapsed() < interval {
            return;
        }
        self.last = Instant::now();
        self.written = true;
        let text = said(records, bytes, self.started.elapsed());
        let mut to = std::io::stderr().lock();
        // Progress that cannot be shown is no failure.
        let _ = match self.terminal {
            true => write!(to, "\r{text}\x1b[K"),
            false => writeln!(to, "{text}"),
        };
        let _ = to.flush();
    }

    /// Leaves the terminal's line empty for what comes next.
    pub(super) fn end(&mut self) {
        if self.written && self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

fn said(records: u64, bytes: u64, taken: Duration) -> String {
    let milliseconds = taken.as_millis().max(1);
    let rate = u128::from(records) * 1_000 / milliseconds;
    let bytes_rate = u64::try_from(u128::from(bytes) * 1_000 / milliseconds).unwrap_or(u64::MAX);
    format!("{records} records, {} ({rate} records/s, {}/s)", size(bytes), size(bytes_rate))
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said() {
        assert_eq!(
            said(3_000, 4_560_000, Duration::from_secs(2)),
            "3000 records, 4.5 MB (1500 records/s, 2.2 MB/s)"
        );
        assert_eq!(said(0, 0, Duration::ZERO), "0 records, 0 B (0 records/s, 0 B/s)");
    }
}
