//! What things cost: processor time by kind of work, and memory.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What a controller spends its time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Heartbeats,
    Registrations,
    Fetches,
    Topics,
    Ticks,
    /// Votes, answers of the other controllers.
    Quorum,
    /// Putting what is committed in force: a thread of its own.
    Apply,
}

/// Work of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub(super) times: u64,
    pub(super) took: Duration,
    pub(super) longest: Duration,
}

/// All work of a controller.
#[derive(Debug, Clone, Default)]
pub(super) struct Costs(BTreeMap<Kind, Work>);

impl Costs {
    pub(super) fn add(&mut self, kind: Kind, took: Duration) {
        let work = self.0.entry(kind).or_default();
        work.times += 1;
        work.took += took;
        work.longest = work.longest.max(took);
    }

    pub(super) fn all(&self) -> Duration {
        self.0.values().map(|work| work.took).sum()
    }

    /// A line for each kind.
    pub(super) fn print(&self) {
        for (kind, work) in &self.0 {
            let each = work.took / u32::try_from(work.times.max(1)).unwrap();
            let Work { times, took, longest } = work;
            println!("    {kind:?}: {took:.1?} in {times}, {each:.1?} each, longest {longest:.1?}");
        }
    }
}

/// The processor time of this thread.
pub(super) fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap(), u32::try_from(now.tv_nsec).unwrap())
}

/// The resident memory of this process in bytes.
pub(super) fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 4096
}
