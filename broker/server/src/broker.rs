//! What the handlers share: the node, the clock, who we are to clients.

use std::sync::Arc;

use crate::clock::Clock;
use crate::metrics::Metrics;

/// One broker process, as its handlers see it.
pub(crate) struct Broker {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
}
