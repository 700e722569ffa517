//! Producing: records gather in batches, batches go to their leaders in order, and are tried again
//! with the same sequence numbers until they are acknowledged or their time is up.
//!
//! An idempotent producer ends with the first batch that it has to give up: what was sent after it
//! must not overtake it, and its place in the sequence stays empty.

mod partitioner;
mod queue;
mod requests;
mod sender;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wire::compression::Codec;
use wire::messages::init_producer_id_request::InitProducerIdRequest;
use wire::messages::metadata_request::MetadataRequest;

pub use partitioner::murmur2;

use crate::client::Client;
use crate::connection::deadline_in;
use crate::error::Error;
use crate::metadata::Topic;
use partitioner::Sticky;
use queue::{Identity, Queues, Rules};

/// What a record costs in a batch beside its key, value and headers, at most.
const RECORD_OVERHEAD_BYTES: usize = 40;

/// How many replicas must have a batch before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// None: nothing is awaited.
    None,
    /// The leader.
    Leader,
    /// All that are in sync.
    All,
}

impl Acks {
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How to produce.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// How many replicas must have a batch.
    pub acks: Acks,
    /// The compression of batches.
    pub codec: Codec,
    /// How hard it compresses; the codec's default when not said.
    pub level: Option<i32>,
    /// Whether batches carry sequence numbers; needs [`Acks::All`].
    pub idempotent: bool,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// Bytes at which a batch is full, before compression.
    pub batch_bytes: usize,
    /// Bytes of records that may be on their way.
    pub buffer_bytes: usize,
    /// The largest record.
    pub record_bytes_max: usize,
    /// How long a batch may take from its first record to its acknowledgement.
    pub delivery_timeout: Duration,
    /// Requests that one broker may owe an answer to.
    pub in_flight_max: usize,
    /// Whether a missing topic may be made by the broker.
    pub create_topics: bool,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            codec: Codec::None,
            level: None,
            idempotent: true,
            linger: Duration::from_millis(5),
            batch_bytes: 256 * 1024,
            buffer_bytes: 32 * 1024 * 1024,
            record_bytes_max: 1024 * 1024,
            delivery_timeout: Duration::from_secs(120),
            in_flight_max: 5,
            create_topics: true,
        }
    }
}

/// A record to be sent.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, when the caller decides.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Its time in ms since 1970; now when not said.
    pub timestamp: Option<i64>,
}

impl Record {
    fn bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize =
            self.headers.iter().map(|(key, value)| 10 + key.len() + length(value)).sum();
        RECORD_OVERHEAD_BYTES + length(&self.key) + length(&self.value) + headers
    }
}

/// Where a record is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset; not known with [`Acks::None`].
    pub offset: Option<i64>,
}

/// What became of a batch: the offset of its first record when known.
pub(crate) type Outcome = Result<Option<i64>, Error>;

/// The fate of one record.
#[derive(Debug)]
pub struct Delivery {
    topic: Arc<str>,
    partition: i32,
    index: i32,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Delivery {
    /// Waits until the record is acknowledged or given up.
    ///
    /// # Errors
    /// It was given up.
    pub async fn wait(mut self) -> Result<Delivered, Error> {
        let gone = |_| Error::ProducerClosed { why: None };
        let outcome = self.outcome.wait_for(Option::is_some).await.map_err(gone)?.clone();
        let base = outcome.ok_or(Error::ProducerClosed { why: None })??;
        let offset = base.map(|base| base + i64::from(self.index));
        Ok(Delivered { topic: self.topic, partition: self.partition, offset })
    }
}

/// Sends records. Clones are not needed: `send` takes `&self`.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    config: ProducerConfig,
    shared: Arc<Shared>,
    buffer: Arc<Semaphore>,
    sticky: Mutex<Sticky>,
    sender: JoinHandle<()>,
}

/// What `send` and the sender share.
#[derive(Debug)]
pub(crate) struct Shared {
    queues: Mutex<Queues>,
    /// Something became ready to be sent.
    ready: Notify,
    /// Batches not yet acknowledged or given up.
    unfinished: watch::Sender<usize>,
}

impl Shared {
    pub(crate) fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait how many batches are left.
    pub(crate) fn publish(&self, queues: &Queues) {
        self.unfinished.send_if_modified(|count| {
            let changed = *count != queues.unfinished();
            *count = queues.unfinished();
            changed
        });
    }
}

impl Producer {
    /// A producer; an idempotent one asks for its id first.
    ///
    /// # Errors
    /// The cluster gives no producer id.
    pub async fn open(client: &Client, config: ProducerConfig) -> Result<Self, Error> {
        let identity = match config.idempotent && config.acks == Acks::All {
            true => Some(producer_id(client).await?),
            false => None,
        };
        let rules = Rules {
            codec: config.codec,
            level: config.level,
            batch_bytes: config.batch_bytes,
            linger: config.linger,
            delivery_timeout: config.delivery_timeout,
            // Without sequence numbers only one batch on its way keeps the order.
            in_flight_max: if identity.is_some() || config.acks == Acks::None {
                config.in_flight_max.max(1)
            } else {
                1
            },
        };
        let shared = Arc::new(Shared {
            queues: Mutex::new(Queues::new(rules, identity)),
            ready: Notify::new(),
            unfinished: watch::Sender::new(0),
        });
        let sender = tokio::spawn(sender::run(client.clone(), config.clone(), Arc::clone(&shared)));
        Ok(Self {
            buffer: Arc::new(Semaphore::new(config.buffer_bytes.min(Semaphore::MAX_PERMITS))),
            sticky: Mutex::new(Sticky::new(config.batch_bytes)),
            client: client.clone(),
            config,
            shared,
            sender,
        })
    }

    /// Puts a record into a batch; waits while too many bytes are on their way.
    ///
    /// # Errors
    /// The record is too large, its topic or partition is not there, or the producer has ended.
    pub async fn send(&self, record: Record) -> Result<Delivery, Error> {
        let bytes = record.bytes();
        let limit = self.config.record_bytes_max.min(self.config.buffer_bytes);
        if bytes > limit {
            return Err(Error::RecordTooLarge { bytes, limit });
        }
        let deadline = deadline_in(self.config.delivery_timeout);
        let topic = self.client.topic(&record.topic, self.config.create_topics, deadline).await?;
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = match Arc::clone(&self.buffer).try_acquire_many_owned(permits) {
            Ok(permit) => permit,
            Err(_) => {
                // Batches must be under way for bytes to come free.
                self.shared.queues().close_all();
                self.shared.ready.notify_one();
                let waiting = Arc::clone(&self.buffer).acquire_many_owned(permits);
                waiting.await.map_err(|_| Error::ProducerClosed { why: None })?
            }
        };
        let partition = self.partition(&record, &topic, bytes)?;
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let (place, full) = {
            let mut queues = self.shared.queues();
            let appended = queues.append(partition, &record, timestamp, permit, Instant::now())?;
            self.shared.publish(&queues);
            appended
        };
        if full {
            self.shared.ready.notify_one();
        }
        let (outcome, index) = place;
        Ok(Delivery { topic: record.topic, partition, index, outcome })
    }

    fn partition(&self, record: &Record, topic: &Topic, bytes: usize) -> Result<i32, Error> {
        let count = topic.partitions.len();
        if let Some(partition) = record.partition {
            let there = topic.partition(partition).is_some();
            let topic = || record.topic.to_string();
            return if there {
                Ok(partition)
            } else {
                Err(Error::NoPartition { topic: topic(), partition, count })
            };
        }
        Ok(match &record.key {
            Some(key) => partitioner::of_key(key, count),
            None => {
                let mut sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
                sticky.next(&record.topic, count, bytes)
            }
        })
    }

    /// Sends what has gathered and waits until all of it is acknowledged or given up.
    ///
    /// # Errors
    /// The first batch since the last flush that was given up.
    pub async fn flush(&self) -> Result<(), Error> {
        self.shared.queues().close_all();
        self.shared.ready.notify_one();
        let mut unfinished = self.shared.unfinished.subscribe();
        // The sender lives as long as this producer, so the wait cannot be abandoned.
        drop(unfinished.wait_for(|count| *count == 0).await);
        if self.config.acks == Acks::None {
            self.settle().await;
        }
        self.shared.queues().take_failure().map_or(Ok(()), Err)
    }

    /// Asks every broker something that it answers after what was sent before. Without answers to
    /// the batches themselves this is the only sign that they have left.
    async fn settle(&self) {
        let deadline = self.client.deadline();
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        for id in self.client.metadata().brokers.keys() {
            if let Ok(connection) = self.client.broker(*id, deadline).await {
                drop(connection.call(&request, deadline).await);
            }
        }
    }

    /// The first failure since the last flush, if there was one.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.shared.queues().failure()
    }

    /// Records acknowledged so far.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.shared.queues().delivered()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.sender.abort();
        self.buffer.close();
    }
}

async fn producer_id(client: &Client) -> Result<Identity, Error> {
    let deadline = client.deadline();
    client
        .retry("producer id", deadline, async || {
            let request = InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                ..InitProducerIdRequest::default()
            };
            let response = client.any(deadline).await?;
            let response = response.call(&request, client.request_deadline(deadline)).await?;
            Error::check(response.error_code, None, "producer id")?;
            Ok(Identity { id: response.producer_id, epoch: response.producer_epoch })
        })
        .await
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
