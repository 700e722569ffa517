//! Whether a new log fits, before it is made.
//!
//! A topic that is in the metadata and has no logs is nothing a client can use, so a full disk is
//! told before the topic is made. Space may still go between this and the making: then the logs are
//! made when there is some again.

use super::log_dir::LogDir;
use super::{DirectoryError, LogDirs};

/// What a new log takes before it has a record: a block for its directory, one for a file in it.
const EMPTY_LOG_BYTES: u64 = 2 * 4096;

impl LogDir {
    /// How many empty logs there is space for.
    pub(super) fn room(&self) -> u64 {
        // What cannot be told is found out by trying.
        let free = self.disk.space(self.path()).map_or(u64::MAX, |space| space.free);
        free / EMPTY_LOG_BYTES
    }
}

impl LogDirs {
    /// Whether there is space for so many new logs.
    ///
    /// # Errors
    /// [`DirectoryError::NoRoom`].
    pub fn check_room(&self, logs: usize) -> Result<(), DirectoryError> {
        let online = self.dirs().iter().filter(|dir| !dir.is_offline());
        let room = online.map(|dir| dir.room()).fold(0, u64::saturating_add);
        match room < logs as u64 && self.all_offline().is_none() {
            true => Err(DirectoryError::NoRoom { logs, room }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
