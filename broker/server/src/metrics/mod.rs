//! What the broker counts, and the text in which it is told.
//!
//! Counters of hot paths are handles of the `prometheus` crate, made once and kept; what can be
//! read off the node's state is written straight into the scrape.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

pub(crate) mod catalog;
mod cluster;
mod groups;
mod process;
mod quorum_times;
pub(crate) mod requests;
mod summary;
mod text;
mod topics;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use node::{Node, QuorumMarks, QuorumState};

use crate::config::MetricsLevel;
use crate::connection::budget::RequestBudget;
use catalog::Def;
use quorum_times::QuorumTimes;
pub(crate) use requests::{Requests, Timing};
pub(crate) use text::Text;

/// Counters of one process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Requests,
    network_bytes_in: IntCounter,
    network_bytes_out: IntCounter,
    /// Open connections, by listener.
    connections: IntGaugeVec,
    connections_accepted: IntCounter,
    connections_refused: IntCounter,
    connections_delayed: IntCounter,
    corrupt_batches: IntCounter,
    request_memory: OnceLock<RequestBudget>,
    /// As the last scrape found it.
    quorum: Mutex<Option<QuorumState>>,
    /// What the quorum's steps took.
    quorum_times: QuorumTimes,
    since: Instant,
    start_seconds: f64,
    /// What the last scrape took.
    scrape_bytes: AtomicUsize,
}

impl Metrics {
    /// Counters at zero; `listeners` are the listeners' names.
    pub(crate) fn new(listeners: &[String]) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let open =
            IntGaugeVec::new(opts(&catalog::CONNECTION_COUNT), catalog::CONNECTION_COUNT.labels)?;
        registry.register(Box::new(open.clone()))?;
        let metrics = Self {
            requests: Requests::new(&registry)?,
            network_bytes_in: counter(&registry, &catalog::NETWORK_BYTES_IN)?,
            network_bytes_out: counter(&registry, &catalog::NETWORK_BYTES_OUT)?,
            connections: open,
            connections_accepted: counter(&registry, &catalog::CONNECTIONS_ACCEPTED)?,
            connections_refused: counter(&registry, &catalog::CONNECTIONS_REFUSED)?,
            connections_delayed: counter(&registry, &catalog::CONNECTIONS_DELAYED)?,
            corrupt_batches: counter(&registry, &catalog::CORRUPT_BATCHES)?,
            request_memory: OnceLock::new(),
            quorum: Mutex::default(),
            quorum_times: QuorumTimes::default(),
            since: Instant::now(),
            start_seconds: process::start_seconds(),
            scrape_bytes: AtomicUsize::new(0),
            registry,
        };
        for listener in listeners {
            metrics.connections_of(listener);
        }
        Ok(metrics)
    }

    fn connections_of(&self, listener: &str) -> IntGauge {
        self.connections.with_label_values(&[listener, "0"])
    }

    pub(crate) fn bytes_in(&self, count: u64) {
        self.network_bytes_in.inc_by(count);
    }

    pub(crate) fn bytes_out(&self, count: u64) {
        self.network_bytes_out.inc_by(count);
    }

    /// Counts a connection as accepted and open; who is handed the gauge counts it down.
    pub(crate) fn connection_opened(&self, listener: &str) -> IntGauge {
        self.connections_accepted.inc();
        let open = self.connections_of(listener);
        open.inc();
        open
    }

    pub(crate) fn connection_delayed(&self) {
        self.connections_delayed.inc();
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    pub(crate) fn corrupt_batch(&self) {
        self.corrupt_batches.inc();
    }

    /// Shows the memory that requests take.
    pub(crate) fn watch_request_memory(&self, budget: &RequestBudget) {
        let _ = self.request_memory.set(budget.clone());
    }

    /// Takes note of the quorum after a step that began then and has just ended.
    pub(crate) fn quorum_stepped(&self, began: Instant, marks: QuorumMarks) {
        let began = began.saturating_duration_since(self.since);
        self.quorum_times.note(began, self.since.elapsed(), marks);
    }

    /// One whole scrape.
    pub(crate) fn scrape(&self, node: &Node, level: MetricsLevel, stopping: bool) -> String {
        // As large as the last one, and some: growing would copy megabytes.
        let last = self.scrape_bytes.load(Ordering::Relaxed);
        let mut text = Text::with_capacity(last + last / 8 + 64 * 1024);
        cluster::write(&mut text, node, self.quorum(node), stopping);
        self.quorum_times.write(&mut text, self.since.elapsed());
        self.write(&mut text);
        topics::write(&mut text, node, level);
        groups::write(&mut text, node, level);
        if let Some(budget) = self.request_memory.get() {
            text.single(&catalog::REQUEST_MEMORY, budget.used_bytes());
            text.single(&catalog::REQUEST_MEMORY_MAX, budget.total_bytes());
        }
        process::write(&mut text, self.start_seconds);
        let text = text.finish();
        self.scrape_bytes.store(text.len(), Ordering::Relaxed);
        text
    }

    /// The quorum; while a decision is under way, as it was at the last scrape.
    fn quorum(&self, node: &Node) -> Option<QuorumState> {
        let mut last = self.quorum.lock().unwrap_or_else(PoisonError::into_inner);
        *last = node.quorum_state().or(*last);
        *last
    }

    /// Writes what this holds.
    pub(crate) fn write(&self, text: &mut Text) {
        text.gathered(&self.registry.gather());
        self.requests.write(text);
    }
}

fn opts(def: &Def) -> Opts {
    Opts::new(def.name, def.help)
}

/// A counter without labels.
fn counter(registry: &Registry, def: &Def) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::with_opts(opts(def))?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

/// A counter with labels, whose handles are to be kept.
fn counters(registry: &Registry, def: &Def) -> Result<IntCounterVec, prometheus::Error> {
    let counters = IntCounterVec::new(opts(def), def.labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}
