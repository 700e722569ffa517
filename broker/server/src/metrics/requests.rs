//! Requests by API: how many, how they ended, how long each phase took.
//!
//! A connection makes a [`Timing`] when a request begins and hands it in once the socket has taken
//! the answer. Nothing is looked up by label on the way: an API has its slot by its key, a version
//! and an error code theirs in it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{IntCounter, IntCounterVec, Registry};
use tokio::time::Instant;
use wire::{ApiKey, ErrorCode};

use super::catalog::{
    self, Def, REQUEST_LOCAL, REQUEST_QUEUE, REQUEST_REMOTE, REQUEST_TOTAL, RESPONSE_QUEUE,
    RESPONSE_SEND,
};
use super::counters;
use super::summary::{QUANTILES, Summary};
use super::text::{Labels, Text};

/// Slots for API keys; none is above.
const KEYS: usize = 128;
/// Slots for error codes; none is above.
const ERRORS: usize = 160;

/// When the phases of one request began and ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Key and version, as the frame says; they may be nonsense.
    api: Option<(i16, i16)>,
    received: Instant,
    begun: Instant,
    handled: Instant,
    answered: Instant,
    queued: Instant,
}

impl Timing {
    /// Work on a frame that was received at `received` begins.
    pub(crate) fn begin(frame: &[u8], received: Instant) -> Self {
        let number = |at: usize| {
            let bytes = frame.get(at..at + 2)?.try_into().ok()?;
            Some(i16::from_be_bytes(bytes))
        };
        let begun = Instant::now();
        Self {
            api: number(0).zip(number(2)),
            received,
            begun,
            handled: begun,
            answered: begun,
            queued: begun,
        }
    }

    /// The handler has returned; unless it parked the request the answer is there.
    pub(crate) fn handled(mut self) -> Self {
        self.handled = Instant::now();
        self.answered = self.handled;
        self.queued = self.handled;
        self
    }

    /// What the request waited for has come, and its answer may leave.
    pub(crate) fn answered(mut self) -> Self {
        self.answered = Instant::now();
        self.queued = self.answered;
        self
    }

    /// The answers before it have left.
    pub(crate) fn queued(mut self) -> Self {
        self.queued = Instant::now();
        self
    }
}

/// All APIs.
#[derive(Debug)]
pub(crate) struct Requests {
    apis: Vec<OnceLock<Box<Api>>>,
    counts: IntCounterVec,
    errors: IntCounterVec,
}

/// One API.
#[derive(Debug)]
struct Api {
    name: &'static str,
    phases: [Phase; 6],
    count: AtomicU64,
    /// By version, for as many as there are.
    versions: Vec<OnceLock<IntCounter>>,
    /// By error code, from -1 on.
    errors: Vec<OnceLock<IntCounter>>,
}

#[derive(Debug)]
struct Phase {
    def: &'static Def,
    summary: Summary,
}

impl Requests {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            apis: (0..KEYS).map(|_| OnceLock::new()).collect(),
            counts: counters(registry, &catalog::REQUEST_COUNT)?,
            errors: counters(registry, &catalog::REQUEST_ERRORS)?,
        })
    }

    /// The socket has taken the whole answer.
    pub(crate) fn sent(&self, timing: &Timing, now: Instant) {
        let Some((key, version)) = timing.api else { return };
        let Some(api) = self.api(key) else { return };
        let Some(counter) = usize::try_from(version).ok().and_then(|at| api.versions.get(at))
        else {
            return;
        };
        let Timing { received, begun, handled, answered, queued, .. } = *timing;
        let [queue, local, remote, response_queue, send, total] = &api.phases;
        queue.summary.observe(begun.saturating_duration_since(received));
        local.summary.observe(handled.saturating_duration_since(begun));
        remote.summary.observe(answered.saturating_duration_since(handled));
        response_queue.summary.observe(queued.saturating_duration_since(answered));
        send.summary.observe(now.saturating_duration_since(queued));
        total.summary.observe(now.saturating_duration_since(received));
        api.count.fetch_add(1, Ordering::Relaxed);
        let labels = || self.counts.with_label_values(&[api.name, &version.to_string()]);
        counter.get_or_init(labels).inc();
    }

    /// An answer of this API holds an error code.
    pub(crate) fn error(&self, key: ApiKey, code: i16) {
        let Some(api) = self.api(key.code()) else { return };
        let slot = usize::from(code.saturating_add(1).unsigned_abs());
        let (Some(counter), Some(error)) = (api.errors.get(slot), ErrorCode::from_i16(code)) else {
            return;
        };
        let labels = || self.errors.with_label_values(&[api.name, error.name()]);
        counter.get_or_init(labels).inc();
    }

    /// Begins a new window of all quantiles.
    pub(crate) fn turn(&self) {
        for api in self.apis.iter().filter_map(OnceLock::get) {
            for phase in &api.phases {
                phase.summary.turn();
            }
        }
    }

    /// Writes the phases; the counters are the registry's.
    pub(crate) fn write(&self, text: &mut Text) {
        let apis: Vec<&Api> = self.apis.iter().filter_map(OnceLock::get).map(Box::as_ref).collect();
        for at in 0..Api::PHASES.len() {
            let phases = apis.iter().filter_map(|api| Some((*api, api.phases.get(at)?)));
            let mut head = true;
            for (api, Phase { def, summary }) in phases {
                if std::mem::take(&mut head) {
                    text.family(def);
                }
                let quantiles = summary.quantiles_ms().unwrap_or([f64::NAN; QUANTILES.len()]);
                for ((_, name), value) in QUANTILES.iter().zip(quantiles) {
                    let labels = Labels::new(&[("request", api.name), ("quantile", name)]);
                    text.sample("", &labels, value);
                }
                let labels = Labels::new(&[("request", api.name)]);
                text.sample("_sum", &labels, summary.sum_ms());
                text.sample("_count", &labels, api.count.load(Ordering::Relaxed));
            }
        }
    }

    fn api(&self, key: i16) -> Option<&Api> {
        let slot = self.apis.get(usize::try_from(key).ok()?)?;
        if let Some(api) = slot.get() {
            return Some(api);
        }
        let key = ApiKey::from_i16(key)?;
        Some(slot.get_or_init(|| Box::new(Api::new(key))))
    }
}

impl Api {
    const PHASES: [&'static Def; 6] = [
        &REQUEST_QUEUE,
        &REQUEST_LOCAL,
        &REQUEST_REMOTE,
        &RESPONSE_QUEUE,
        &RESPONSE_SEND,
        &REQUEST_TOTAL,
    ];

    fn new(key: ApiKey) -> Self {
        let versions = usize::try_from(*key.versions().end()).map_or(0, |last| last + 1);
        Self {
            name: key.name(),
            phases: Self::PHASES.map(|def| Phase { def, summary: Summary::default() }),
            count: AtomicU64::new(0),
            versions: (0..versions).map(|_| OnceLock::new()).collect(),
            errors: (0..ERRORS).map(|_| OnceLock::new()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(key: i16, version: i16) -> Vec<u8> {
        [key.to_be_bytes(), version.to_be_bytes()].concat()
    }

    #[test]
    fn phases_add_up_to_the_total() {
        let registry = Registry::new();
        let requests = Requests::new(&registry).unwrap();
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let timing = Timing {
            api: Some((1, 12)),
            received: start,
            begun: after(1),
            handled: after(3),
            answered: after(103),
            queued: after(104),
        };
        requests.sent(&timing, after(110));
        // Nonsense is not counted.
        for bad in [frame(-3, 0), frame(999, 0), frame(1, 99), frame(1, -1), vec![0]] {
            requests.sent(&Timing::begin(&bad, start), start);
        }
        for code in [0, 0, 6, -1, -77, i16::MAX] {
            requests.error(ApiKey::Fetch, code);
        }
        let mut text = Text::default();
        requests.write(&mut text);
        text.gathered(&registry.gather());
        let text = text.finish();
        for (phase, sum) in [
            ("requestqueuetimems", 1),
            ("localtimems", 2),
            ("remotetimems", 100),
            ("responsequeuetimems", 1),
            ("responsesendtimems", 6),
            ("totaltimems", 110),
        ] {
            let name = format!("kafka_network_requestmetrics_{phase}");
            let line = format!("\n{name}_sum{{request=\"Fetch\"}} {sum}\n");
            assert!(text.contains(&line), "{line} in {text}");
            assert!(text.contains(&format!("\n{name}_count{{request=\"Fetch\"}} 1\n")), "{text}");
        }
        let counted = "requests_total{request=\"Fetch\",version=\"12\"} 1\n";
        assert!(text.contains(counted), "{text}");
        assert_eq!(text.matches("requests_total{").count(), 1, "{text}");
        let error = |name| format!("errors_total{{error=\"{name}\",request=\"Fetch\"}}");
        for (name, count) in
            [("NONE", 2), ("NOT_LEADER_OR_FOLLOWER", 1), ("UNKNOWN_SERVER_ERROR", 1)]
        {
            assert!(text.contains(&format!("{} {count}\n", error(name))), "{text}");
        }
        assert_eq!(text.matches("errors_total{").count(), 3, "{text}");
    }
}
