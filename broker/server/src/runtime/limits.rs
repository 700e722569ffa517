//! What the system gives this process: descriptors and memory.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for logs, listeners and the admin endpoint.
const DESCRIPTORS_RESERVED: u64 = 256;
/// Descriptors that partitions leave to others at most.
const DESCRIPTORS_RESERVED_MAX: u64 = 16_384;
/// The share of the machine's memory that requests being received may take.
const REQUEST_MEMORY_SHARE: u64 = 4;
const REQUEST_MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Raises the limit of open files to what the system allows, and returns it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum;
    let raised = Rlimit { current: hard, maximum: hard };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => hard.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// The most partitions, a file each, that leave descriptors for connections and everything else.
pub(crate) fn partitions_max(descriptors: u64) -> usize {
    let least = DESCRIPTORS_RESERVED.min(descriptors / 2);
    let reserved = (descriptors / 4).clamp(least, DESCRIPTORS_RESERVED_MAX);
    usize::try_from(descriptors.saturating_sub(reserved)).unwrap_or(usize::MAX)
}

/// The most connections that leave descriptors for everything else.
pub(crate) fn connections_max(configured: usize, descriptors: u64) -> usize {
    let room = descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(descriptors / 2);
    configured.min(usize::try_from(room).unwrap_or(usize::MAX))
}

/// Memory for requests being received: min(a quarter of the memory limit, 256 MiB).
pub(crate) fn request_memory_bytes() -> usize {
    let limit = memory_limit_bytes().unwrap_or(u64::MAX);
    let bytes = (limit / REQUEST_MEMORY_SHARE).min(REQUEST_MEMORY_BYTES_MAX);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The container's limit (cgroup v2, then v1), or the machine's memory if that is less.
fn memory_limit_bytes() -> Option<u64> {
    let cgroup = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let machine = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(machine_bytes);
    match (cgroup, machine) {
        (Some(cgroup), Some(machine)) => Some(cgroup.min(machine)),
        (one, other) => one.or(other),
    }
}

fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_meminfo() {
        let text = "MemFree: 5 kB\nMemTotal:       24630000 kB\n";
        assert_eq!(machine_bytes(text), Some(24_630_000 * 1024));
    }

    #[test]
    fn connections_leave_a_reserve() {
        assert_eq!(connections_max(usize::MAX, 1024), 768);
        assert_eq!(connections_max(usize::MAX, 300), 150);
        assert_eq!(connections_max(10, 1024), 10);
    }

    #[test]
    fn partitions_leave_a_reserve() {
        assert_eq!(partitions_max(256), 128);
        assert_eq!(partitions_max(1024), 768);
        assert_eq!(partitions_max(1 << 20), (1 << 20) - 16_384);
    }

    #[test]
    fn the_descriptor_limit_ends_at_the_hard_limit() {
        let raised = raise_descriptor_limit();
        assert_eq!(Some(raised), getrlimit(Resource::Nofile).current.or(Some(u64::MAX)));
    }
}
