//! What the server counts: few and honest counters until the issue of full metrics.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    connections_open: AtomicU64,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    corrupt_batches: AtomicU64,
    requests: RequestCounters,
}

/// Requests by API key.
#[derive(Debug)]
struct RequestCounters(Vec<AtomicU64>);

/// Keys above this are counted together, in the last slot.
const API_KEYS: usize = 128;

impl Default for RequestCounters {
    fn default() -> Self {
        Self((0..API_KEYS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Metrics {
    pub(crate) fn bytes_in(&self, count: u64) {
        self.bytes_in.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn bytes_out(&self, count: u64) {
        self.bytes_out.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn connection_opened(&self) {
        self.connections_accepted.fetch_add(1, Ordering::Relaxed);
        self.connections_open.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections_open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn corrupt_batch(&self) {
        self.corrupt_batches.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request(&self, key: i16) {
        let slot = usize::try_from(key).unwrap_or(API_KEYS).min(API_KEYS - 1);
        if let Some(counter) = self.requests.0.get(slot) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The text that Prometheus reads. `api_name` names a key, `None` for keys nobody knows.
    pub(crate) fn render(&self, api_name: impl Fn(i16) -> Option<&'static str>) -> String {
        let mut text = String::new();
        let plain = [
            ("tidelog_network_bytes_in_total", "counter", &self.bytes_in),
            ("tidelog_network_bytes_out_total", "counter", &self.bytes_out),
            ("tidelog_connections", "gauge", &self.connections_open),
            ("tidelog_connections_accepted_total", "counter", &self.connections_accepted),
            ("tidelog_connections_refused_total", "counter", &self.connections_refused),
            ("tidelog_corrupt_batches_total", "counter", &self.corrupt_batches),
        ];
        for (name, kind, value) in plain {
            let value = value.load(Ordering::Relaxed);
            // Writing to a String does not fail.
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
        }
        let _ = writeln!(text, "# TYPE tidelog_requests_total counter");
        for (key, counter) in (0i16..).zip(&self.requests.0) {
            let value = counter.load(Ordering::Relaxed);
            if value > 0 {
                let api = api_name(key).unwrap_or("unknown");
                let _ = writeln!(text, "tidelog_requests_total{{request=\"{api}\"}} {value}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_what_was_counted() {
        let metrics = Metrics::default();
        metrics.bytes_in(12);
        metrics.request(18);
        metrics.request(18);
        metrics.request(-4);
        let text = metrics.render(|key| (key == 18).then_some("ApiVersions"));
        assert!(text.contains("tidelog_network_bytes_in_total 12\n"), "{text}");
        assert!(text.contains("tidelog_requests_total{request=\"ApiVersions\"} 2\n"), "{text}");
        assert!(text.contains("tidelog_requests_total{request=\"unknown\"} 1\n"), "{text}");
    }
}
