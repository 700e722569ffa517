//! The process itself, under the names that every exporter gives: processor time, memory,
//! descriptors, threads.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::catalog::{
    BUILD_INFO, PROCESS_CPU, PROCESS_FDS, PROCESS_FDS_MAX, PROCESS_RESIDENT, PROCESS_START,
    PROCESS_THREADS, PROCESS_VIRTUAL,
};
use super::text::{Labels, Text};

/// When the process began, in seconds since 1970.
pub(super) fn start_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Writes what the system says of this process. What it does not say is left out.
pub(super) fn write(text: &mut Text, start_seconds: f64) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    text.single(&PROCESS_CPU, cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
    text.single(&PROCESS_START, start_seconds);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (def, key, unit) in [
        (&PROCESS_RESIDENT, "VmRSS:", 1024),
        (&PROCESS_VIRTUAL, "VmSize:", 1024),
        (&PROCESS_THREADS, "Threads:", 1),
    ] {
        if let Some(number) = field(&status, key) {
            text.single(def, number * unit);
        }
    }
    if let Some(open) = open_descriptors() {
        text.single(&PROCESS_FDS, open);
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        text.single(&PROCESS_FDS_MAX, limit);
    }
    text.family(&BUILD_INFO);
    text.sample("", &Labels::new(&[("version", env!("CARGO_PKG_VERSION"))]), 1);
}

fn field(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Linux from 6.2 on tells the number as the folder's size; before that it is counted.
fn open_descriptors() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        0 => u64::try_from(fs::read_dir(FOLDER).ok()?.count()).ok(),
        count => Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_of_this_process() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(field(&status, "VmRSS:").unwrap() > 100);
        assert_eq!(field("Threads:\t7\n", "Threads:"), Some(7));
        let before = open_descriptors().unwrap();
        let held: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
        // Other tests open and close files meanwhile.
        assert!(open_descriptors().unwrap() + 20 > before + 50);
        drop(held);
    }
}
