//! Produce: batches into partitions, in the order of the connection's requests.
//!
//! The append happens before the handler returns, on the connection's worker: it is a bounded copy
//! to the page cache. What waits is the answer: for an fsync when `flush.messages` asks for one,
//! for the high watermark with acks=all.

use std::sync::Arc;
use std::time::Duration;

use metadata::topic_name;
use replication::purgatory::Parked;
use replication::{Acks, Partition, Produced};
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use wire::ErrorCode;
use wire::ids::{LeaderEpoch, PartitionIndex, TopicId};
use wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wire::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

use super::wake::Sleeper;
use crate::broker::Broker;
use crate::connection::Close;
use crate::dispatch::{Answer, Call, blocking};
use crate::log_limit::LogLimit;

/// From here on topics are named by id.
const VERSION_BY_ID: i16 = 13;
/// The one client that may write to internal topics, as in Kafka.
const ADMIN_CLIENT_ID: &str = "__admin_client";

pub(crate) fn handle(call: &Call, request: ProduceRequest) -> Answer<ProduceResponse> {
    let acks = match request.acks {
        0 => Some(Acks::None),
        1 => Some(Acks::Leader),
        -1 => Some(Acks::All),
        _ => None,
    };
    let mut appends = Appends { call, acks, waits: Vec::new() };
    let topics = request.topic_data.into_iter().enumerate();
    let responses = topics.map(|(at, topic)| appends.topic(at, topic)).collect();
    let waits = appends.waits;
    let response = ProduceResponse { responses, ..ProduceResponse::default() };
    match acks {
        Some(Acks::None) => answer_none(call, response, waits),
        _ if waits.is_empty() => Answer::Now(response),
        _ => {
            let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
            let broker = Arc::clone(&call.broker);
            Answer::Later(Box::pin(finish(broker, response, waits, timeout)))
        }
    }
}

/// acks=0 has no answer: an error can be told only by closing the connection.
fn answer_none(
    call: &Call,
    response: ProduceResponse,
    waits: Vec<Wait>,
) -> Answer<ProduceResponse> {
    if !waits.is_empty() {
        let broker = Arc::clone(&call.broker);
        tokio::task::spawn_blocking(move || {
            for wait in &waits {
                if let Err(error) = wait.partition.flush(wait.produced.required()) {
                    broker.partition_failed(&wait.partition, &error);
                }
            }
        });
    }
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.find(|partition| partition.error_code != 0) {
        None => Answer::Nothing,
        Some(failed) => {
            let error = ErrorCode::from_i16(failed.error_code);
            let name = error.map_or("an unknown error", ErrorCode::name);
            let text = failed.error_message.as_deref().unwrap_or_default();
            Answer::Close(Close::UnansweredProduce(format!("{name} {text}")))
        }
    }
}

/// A partition whose answer must wait.
struct Wait {
    /// Where its answer stands in the response.
    topic: usize,
    at: usize,
    partition: Arc<Partition>,
    produced: Produced,
}

struct Appends<'a> {
    call: &'a Call,
    /// `None` = not a number of acknowledgements that exists.
    acks: Option<Acks>,
    waits: Vec<Wait>,
}

/// Why a partition's batches were not appended.
struct Refused {
    code: ErrorCode,
    message: Option<String>,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

impl Appends<'_> {
    fn topic(&mut self, topic: usize, data: TopicProduceData) -> TopicProduceResponse {
        let TopicProduceData { name, topic_id, partition_data } = data;
        let mut responses = Vec::with_capacity(partition_data.len());
        for partition in partition_data {
            let index = partition.index;
            let response = match self.append(&name, TopicId(topic_id), partition) {
                Ok((partition, produced)) => {
                    let at = responses.len();
                    let answer = appended(index, &produced);
                    let parks = self.acks == Some(Acks::All) && !produced.committed;
                    if parks || produced.must_flush {
                        self.waits.push(Wait { topic, at, partition, produced });
                    }
                    answer
                }
                Err(refused) => failed(index, refused),
            };
            responses.push(response);
        }
        TopicProduceResponse { name, topic_id, partition_responses: responses }
    }

    fn append(
        &self,
        name: &str,
        id: TopicId,
        data: PartitionProduceData,
    ) -> Result<(Arc<Partition>, Produced), Refused> {
        let acks = self.acks.ok_or(ErrorCode::InvalidRequiredAcks)?;
        let node = &self.call.broker.node;
        let index = PartitionIndex(data.index);
        let partition = match self.call.version >= VERSION_BY_ID {
            true => node.partition(id, index)?,
            false => node.partition_by_name(name, index)?,
        };
        let is_admin = self.call.client_id.as_deref() == Some(ADMIN_CLIENT_ID);
        if topic_name::is_internal(partition.topic()) && !is_admin {
            return Err(ErrorCode::InvalidTopicException.into());
        }
        let batches = data.records.unwrap_or_default();
        if batches.is_empty() {
            let message = Some("a produce request must have a record batch".to_owned());
            return Err(Refused { code: ErrorCode::InvalidRecord, message });
        }
        let now = self.call.broker.now_ms();
        match partition.append(now, batches, acks, LeaderEpoch::UNKNOWN) {
            Ok(produced) => Ok((partition, produced)),
            Err(error) => Err(self.refuse(&partition, &error)),
        }
    }

    fn refuse(&self, partition: &Partition, error: &replication::Error) -> Refused {
        self.call.broker.partition_failed(partition, error);
        let code = error.code();
        if code == ErrorCode::KafkaStorageError {
            static LIMIT: LogLimit = LogLimit::new();
            if let Some(more) = LIMIT.allow() {
                let (topic, index) = (partition.topic(), partition.index());
                warn!("{topic}-{index}: cannot append: {error}{more}");
            }
        }
        Refused { code, message: Some(error.to_string()) }
    }
}

fn appended(index: i32, produced: &Produced) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: produced.first_offset.0,
        log_append_time_ms: produced.log_append_time_ms,
        log_start_offset: produced.log_start_offset.0,
        ..PartitionProduceResponse::default()
    }
}

fn failed(index: i32, refused: Refused) -> PartitionProduceResponse {
    let Refused { code, message } = refused;
    let record_errors = match code {
        ErrorCode::InvalidRecord | ErrorCode::InvalidTimestamp => vec![BatchIndexAndErrorMessage {
            batch_index: 0,
            batch_index_error_message: message.clone(),
        }],
        _ => Vec::new(),
    };
    PartitionProduceResponse {
        index,
        error_code: code.code(),
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors,
        error_message: message,
        ..PartitionProduceResponse::default()
    }
}

/// Waits for the disk and for the high watermark, and puts what went wrong into the response.
async fn finish(
    broker: Arc<Broker>,
    mut response: ProduceResponse,
    waits: Vec<Wait>,
    timeout: Duration,
) -> Result<ProduceResponse, Close> {
    let deadline = Instant::now() + timeout;
    let waits = flush(&broker, &mut response, waits).await?;
    for wait in waits {
        let outcome = timeout_at(deadline, committed(&wait)).await;
        let refused = match outcome {
            Ok(Ok(())) => continue,
            Ok(Err(refused)) => refused,
            Err(_elapsed) => ErrorCode::RequestTimedOut.into(),
        };
        fail(&mut response, &wait, refused);
    }
    Ok(response)
}

/// Makes durable what must be before any acknowledgement; returns what has not failed.
async fn flush(
    broker: &Arc<Broker>,
    response: &mut ProduceResponse,
    waits: Vec<Wait>,
) -> Result<Vec<Wait>, Close> {
    if !waits.iter().any(|wait| wait.produced.must_flush) {
        return Ok(waits);
    }
    let broker = Arc::clone(broker);
    let flushed = blocking(move || {
        let flush = |wait: Wait| {
            if !wait.produced.must_flush {
                return (wait, None);
            }
            let error = wait.partition.flush(wait.produced.required()).err();
            if let Some(error) = &error {
                broker.partition_failed(&wait.partition, error);
            }
            (wait, error)
        };
        waits.into_iter().map(flush).collect::<Vec<_>>()
    })
    .await?;
    let mut left = Vec::new();
    for (wait, error) in flushed {
        match error {
            None => left.push(wait),
            Some(error) => {
                let message = Some(error.to_string());
                fail(response, &wait, Refused { code: error.code(), message });
            }
        }
    }
    Ok(left)
}

async fn committed(wait: &Wait) -> Result<(), Refused> {
    let required = wait.produced.required();
    loop {
        let done = wait.partition.produce_status(required);
        let done =
            done.map_err(|error| Refused { code: error.code(), message: Some(error.to_string()) })?;
        if done {
            return Ok(());
        }
        let sleeper = Sleeper::new();
        match wait.partition.park_produce(required, Arc::clone(&sleeper) as Arc<_>) {
            Parked::Waiting(_guard) => sleeper.sleep().await,
            Parked::Ready => {}
            Parked::Full => return Err(ErrorCode::RequestTimedOut.into()),
        }
    }
}

fn fail(response: &mut ProduceResponse, wait: &Wait, refused: Refused) {
    let topic = response.responses.get_mut(wait.topic);
    if let Some(slot) = topic.and_then(|topic| topic.partition_responses.get_mut(wait.at)) {
        *slot = failed(slot.index, refused);
    }
}
