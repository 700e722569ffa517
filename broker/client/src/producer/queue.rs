//! The producer's batches and where each of them stands. No IO, no clock: times are arguments.
//!
//! A batch is open (gathering records), ready (waiting for its turn), in flight, or back for
//! another try. Batches of one partition are sent in the order they were opened. When one comes
//! back, nothing of its partition is sent until all of them are back, and then again in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use wire::compression::Codec;
use wire::records::{BatchBuilder, BatchOptions, NO_SEQUENCE, add_sequence};

#[cfg(test)]
mod tests;

use super::{Outcome, Record};
use crate::error::Error;

/// Pause before a batch that came back is tried again; doubles up to the second.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// A producer's id and epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// What governs the queues.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) codec: Codec,
    pub(crate) level: Option<i32>,
    pub(crate) batch_bytes: usize,
    pub(crate) linger: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) in_flight_max: usize,
}

/// A partition of a topic.
pub(crate) type Place = (Arc<str>, i32);

/// A batch that is complete.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) place: Place,
    pub(crate) bytes: Bytes,
    /// Position among the batches of its partition.
    pub(crate) order: u64,
    records: i32,
    expires: Instant,
    outcome: watch::Sender<Option<Outcome>>,
    /// Its share of the buffer, given back when it is gone.
    _permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Open {
    builder: BatchBuilder,
    opened: Instant,
    order: u64,
    outcome: watch::Sender<Option<Outcome>>,
    permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Default)]
struct Queue {
    open: Option<Open>,
    ready: VecDeque<Batch>,
    in_flight: Vec<u64>,
    back: Vec<Batch>,
    next_order: u64,
    next_sequence: i32,
    not_before: Option<Instant>,
    pause: Duration,
    /// Why the last try did not succeed.
    last: Option<Error>,
}

/// What an answer means for a batch.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Acknowledged, at this offset when known.
    Acknowledged(Option<i64>),
    /// Worth another try.
    Again(Error),
    /// The broker wants another sequence number: worth another try only while an earlier batch is
    /// not acknowledged.
    OutOfOrder(Error),
    /// Given up.
    Lost(Error),
}

/// All batches of a producer.
#[derive(Debug)]
pub(crate) struct Queues {
    rules: Rules,
    identity: Option<Identity>,
    queues: BTreeMap<Place, Queue>,
    unfinished: usize,
    delivered: u64,
    failure: Option<Error>,
    ended: Option<Error>,
}

impl Queues {
    pub(crate) fn new(rules: Rules, identity: Option<Identity>) -> Self {
        let queues = BTreeMap::new();
        Self { rules, identity, queues, unfinished: 0, delivered: 0, failure: None, ended: None }
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.clone()
    }

    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Adds a record to the open batch of its partition. Gives the batch's outcome with the
    /// record's index in it, and whether a batch became ready.
    #[expect(clippy::type_complexity, reason = "a pair of a pair, taken apart at once")]
    pub(crate) fn append(
        &mut self,
        partition: i32,
        record: &Record,
        timestamp: i64,
        permit: OwnedSemaphorePermit,
        now: Instant,
    ) -> Result<((watch::Receiver<Option<Outcome>>, i32), bool), Error> {
        if let Some(why) = &self.ended {
            return Err(Error::ProducerClosed { why: Some(Box::new(why.clone())) });
        }
        let place = (Arc::clone(&record.topic), partition);
        let bytes = record.bytes();
        let queue = self.queues.entry(place.clone()).or_default();
        let mut became_ready = false;
        let no_room = |open: &Open| open.builder.plain_bytes() + bytes > self.rules.batch_bytes;
        if queue.open.as_ref().is_some_and(no_room) {
            queue.close(&place, &self.rules)?;
            became_ready = true;
        }
        if queue.open.is_none() {
            self.unfinished += 1;
        }
        let (outcome, index) =
            queue.add(record, timestamp, permit, now, &self.rules, self.identity);
        let full = |open: &Open| open.builder.plain_bytes() >= self.rules.batch_bytes;
        if queue.open.as_ref().is_some_and(full) {
            queue.close(&place, &self.rules)?;
            became_ready = true;
        }
        Ok(((outcome, index), became_ready))
    }

    /// Makes every open batch ready.
    pub(crate) fn close_all(&mut self) {
        self.close_those(|_| true);
    }

    fn close_those(&mut self, which: impl Fn(&Open) -> bool) {
        for (place, queue) in &mut self.queues {
            if queue.open.as_ref().is_some_and(&which)
                && let Err(error) = queue.close(place, &self.rules)
            {
                self.failure.get_or_insert(error);
                self.unfinished -= 1;
            }
        }
    }

    /// Makes open batches ready that have gathered long enough, and gives up those whose time is
    /// over.
    pub(crate) fn tick(&mut self, now: Instant) {
        let linger = self.rules.linger;
        self.close_those(|open| now >= open.opened + linger);
        let mut expired = Vec::new();
        for queue in self.queues.values_mut() {
            if queue.in_flight.is_empty() && queue.back.is_empty() {
                while queue.ready.front().is_some_and(|batch| batch.expires <= now) {
                    expired.extend(queue.ready.pop_front());
                }
            }
        }
        for batch in expired {
            let what = format!("produce to {}-{}", batch.place.0, batch.place.1);
            let after = self.rules.delivery_timeout;
            let tried = self.queues.get(&batch.place).and_then(|queue| queue.last.clone());
            let last = tried.or_else(|| self.failure.clone()).map(Box::new);
            self.give_up(batch, Error::TimedOut { what, after, last });
        }
    }

    /// When `tick` or `take` has something to do next without any answer arriving.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let of_queue = |queue: &Queue| {
            let lingers = queue.open.as_ref().map(|open| open.opened + self.rules.linger);
            let waits = queue.not_before.filter(|_| !queue.ready.is_empty());
            let expires = queue.ready.front().map(|batch| batch.expires);
            [lingers, waits, expires].into_iter().flatten().min()
        };
        self.queues.values().filter_map(of_queue).min()
    }

    /// The partitions that have a batch whose turn it is.
    pub(crate) fn due(&self, now: Instant) -> Vec<Place> {
        let due = |queue: &Queue| {
            !queue.ready.is_empty()
                && queue.back.is_empty()
                && queue.in_flight.len() < self.rules.in_flight_max
                && queue.not_before.is_none_or(|time| time <= now)
        };
        let due = self.queues.iter().filter(|(_, queue)| due(queue));
        due.map(|(place, _)| place.clone()).collect()
    }

    /// Takes the next batch of a partition that is due.
    pub(crate) fn take(&mut self, place: &Place) -> Option<Batch> {
        let queue = self.queues.get_mut(place)?;
        let batch = queue.ready.pop_front()?;
        queue.in_flight.push(batch.order);
        Some(batch)
    }

    /// Puts off a partition whose leader is not known.
    pub(crate) fn put_off(&mut self, place: &Place, now: Instant) {
        if let Some(queue) = self.queues.get_mut(place) {
            queue.not_before = Some(now + RETRY_PAUSE);
        }
    }

    /// Takes in what became of a batch that was in flight.
    pub(crate) fn answer(&mut self, batch: Batch, answer: Answer, now: Instant) {
        let Some(queue) = self.queues.get_mut(&batch.place) else { return };
        queue.in_flight.retain(|order| *order != batch.order);
        let earlier = |order: &u64| *order < batch.order;
        let first = !queue.in_flight.iter().any(earlier)
            && !queue.back.iter().any(|other| earlier(&other.order));
        match answer {
            Answer::Acknowledged(offset) => {
                queue.pause = Duration::ZERO;
                queue.last = None;
                self.unfinished -= 1;
                self.delivered += u64::try_from(batch.records).unwrap_or_default();
                batch.outcome.send_replace(Some(Ok(offset)));
            }
            // Nothing may follow a hole in the sequence, so there is no other try.
            Answer::Again(error) | Answer::OutOfOrder(error) if self.ended.is_some() => {
                self.give_up(batch, error);
            }
            Answer::OutOfOrder(error) if first => self.give_up(batch, error),
            Answer::Lost(error) => self.give_up(batch, error),
            Answer::Again(error) if first && batch.expires <= now => {
                let what = format!("produce to {}-{}", batch.place.0, batch.place.1);
                let (after, last) = (self.rules.delivery_timeout, Some(Box::new(error)));
                self.give_up(batch, Error::TimedOut { what, after, last });
            }
            Answer::Again(error) | Answer::OutOfOrder(error) => {
                if let Some(queue) = self.queues.get_mut(&batch.place) {
                    queue.last = Some(error);
                    queue.back.push(batch);
                    queue.resume(now);
                }
                return;
            }
        }
        // The one that was waited for may have been acknowledged or given up.
        for queue in self.queues.values_mut() {
            queue.resume(now);
        }
    }

    fn give_up(&mut self, batch: Batch, error: Error) {
        self.unfinished -= 1;
        self.failure.get_or_insert(error.clone());
        batch.outcome.send_replace(Some(Err(error.clone())));
        if self.identity.is_some() {
            self.end(&error);
        }
    }

    /// Gives up everything that is not in flight, and all that will be sent.
    fn end(&mut self, why: &Error) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(why.clone());
        let closed = Error::ProducerClosed { why: Some(Box::new(why.clone())) };
        for queue in self.queues.values_mut() {
            let opened = queue.open.take().map(|open| open.outcome);
            let complete = queue.ready.drain(..).chain(queue.back.drain(..));
            for outcome in complete.map(|batch| batch.outcome).chain(opened) {
                self.unfinished -= 1;
                outcome.send_replace(Some(Err(closed.clone())));
            }
        }
    }
}

impl Queue {
    fn add(
        &mut self,
        record: &Record,
        timestamp: i64,
        permit: OwnedSemaphorePermit,
        now: Instant,
        rules: &Rules,
        identity: Option<Identity>,
    ) -> (watch::Receiver<Option<Outcome>>, i32) {
        let mut permit = Some(permit);
        let (order, sequence) = (self.next_order, self.next_sequence);
        let open = self.open.get_or_insert_with(|| Open {
            builder: BatchBuilder::new(BatchOptions {
                codec: rules.codec,
                level: rules.level,
                producer_id: identity.map_or(-1, |identity| identity.id),
                producer_epoch: identity.map_or(-1, |identity| identity.epoch),
                base_sequence: identity.map_or(NO_SEQUENCE, |_| sequence),
                ..BatchOptions::default()
            }),
            opened: now,
            order,
            outcome: watch::Sender::new(None),
            permit: permit.take(),
        });
        let index = open.builder.count();
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            record.headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref())).collect();
        open.builder.append(timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
        match (&mut open.permit, permit) {
            (Some(held), Some(more)) => held.merge(more),
            (none, Some(more)) => *none = Some(more),
            (_, None) => {}
        }
        (open.outcome.subscribe(), index)
    }

    /// Makes the open batch ready.
    fn close(&mut self, place: &Place, rules: &Rules) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let records = open.builder.count();
        let bytes = open.builder.build().map_err(|source| Error::Batch {
            about: format!("batch for {}-{}", place.0, place.1),
            source: Arc::new(source),
        })?;
        self.next_order += 1;
        self.next_sequence = add_sequence(self.next_sequence, records);
        self.ready.push_back(Batch {
            place: place.clone(),
            bytes,
            order: open.order,
            records,
            expires: open.opened + rules.delivery_timeout,
            outcome: open.outcome,
            _permit: open.permit,
        });
        Ok(())
    }

    /// Once all batches are back, makes them ready again, in order, after a pause.
    fn resume(&mut self, now: Instant) {
        if self.back.is_empty() || !self.in_flight.is_empty() {
            return;
        }
        self.back.sort_by_key(|batch| std::cmp::Reverse(batch.order));
        for batch in self.back.drain(..) {
            self.ready.push_front(batch);
        }
        self.pause = (self.pause * 2).clamp(RETRY_PAUSE, RETRY_PAUSE_MAX);
        self.not_before = Some(now + self.pause);
    }
}
