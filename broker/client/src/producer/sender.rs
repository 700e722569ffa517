//! The producer's task: it gives each broker its batches, and takes in the answers.
//!
//! Each broker has a task of its own that connects and writes, so that one that cannot be reached
//! holds up nobody else's batches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use wire::Request;
use wire::messages::produce_request::ProduceRequest;

use super::queue::{Answer, Batch};
use super::{Acks, ProducerConfig, Shared, requests};
use crate::client::Client;
use crate::connection::deadline_in;
use crate::error::Error;

/// Bytes of batches that one request may carry.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What reaches the sender.
enum Event {
    /// A broker's answer to a request, or why there is none.
    Answered { leader: i32, answers: Vec<(Batch, Answer)> },
    /// Metadata was asked for.
    Refreshed { topic: Arc<str> },
}

struct Sender {
    client: Client,
    config: ProducerConfig,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
    leaders: HashMap<i32, mpsc::UnboundedSender<Vec<Batch>>>,
    in_flight: HashMap<i32, usize>,
    refreshing: BTreeSet<Arc<str>>,
}

/// Runs until the producer is dropped.
pub(super) async fn run(client: Client, config: ProducerConfig, shared: Arc<Shared>) {
    // Unbounded by type, bounded by the requests in flight.
    let (events, mut arrived) = mpsc::unbounded_channel();
    let mut sender = Sender {
        client,
        config,
        shared: Arc::clone(&shared),
        events,
        leaders: HashMap::new(),
        in_flight: HashMap::new(),
        refreshing: BTreeSet::new(),
    };
    loop {
        let next = sender.dispatch();
        let far = deadline_in(std::time::Duration::from_secs(3_600));
        tokio::select! {
            event = arrived.recv() => match event {
                Some(event) => sender.take_in(event),
                None => return,
            },
            () = shared.ready.notified() => {}
            () = sleep_until(next.unwrap_or(far)) => {}
        }
        while let Ok(event) = arrived.try_recv() {
            sender.take_in(event);
        }
    }
}

impl Sender {
    /// Hands out every batch whose turn it is; gives the time of the next one by the clock.
    fn dispatch(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let view = self.client.metadata();
        let shared = Arc::clone(&self.shared);
        let mut queues = shared.queues();
        queues.tick(now);
        let mut work: BTreeMap<i32, (usize, Vec<Batch>)> = BTreeMap::new();
        for place in queues.due(now) {
            let topic = view.topics.get(&place.0);
            let leader = topic.and_then(|topic| topic.partition(place.1)?.leader);
            let Some(leader) = leader else {
                queues.put_off(&place, now);
                self.refresh(&place.0);
                continue;
            };
            if self.in_flight.get(&leader).is_some_and(|count| *count >= self.config.in_flight_max)
            {
                continue;
            }
            let (bytes, batches) = work.entry(leader).or_default();
            if *bytes < REQUEST_BYTES_MAX
                && let Some(batch) = queues.take(&place)
            {
                *bytes += batch.bytes.len();
                batches.push(batch);
            }
        }
        self.shared.publish(&queues);
        let next = queues.next_deadline();
        drop(queues);
        for (leader, (_, batches)) in work {
            self.hand_to(leader, batches);
        }
        // What is due but held back by requests in flight waits for an answer, not for the clock.
        next.filter(|time| *time > now)
    }

    fn hand_to(&mut self, leader: i32, batches: Vec<Batch>) {
        *self.in_flight.entry(leader).or_default() += 1;
        let task = self.leaders.entry(leader).or_insert_with(|| {
            let (work, to_do) = mpsc::unbounded_channel();
            let (client, config) = (self.client.clone(), self.config.clone());
            tokio::spawn(serve_leader(leader, client, config, to_do, self.events.clone()));
            work
        });
        // The task ends only when this sender does.
        drop(task.send(batches));
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Refreshed { topic } => {
                self.refreshing.remove(&topic);
            }
            Event::Answered { leader, answers } => {
                if let Some(count) = self.in_flight.get_mut(&leader) {
                    *count = count.saturating_sub(1);
                }
                let now = Instant::now();
                let shared = Arc::clone(&self.shared);
                let mut queues = shared.queues();
                for (batch, answer) in answers {
                    if matches!(answer, Answer::Again(_)) {
                        self.refresh(&batch.place.0);
                    }
                    queues.answer(batch, answer, now);
                }
                self.shared.publish(&queues);
            }
        }
    }

    /// Asks for a topic's metadata, once at a time.
    fn refresh(&mut self, topic: &Arc<str>) {
        if !self.refreshing.insert(Arc::clone(topic)) {
            return;
        }
        let (client, events, topic) = (self.client.clone(), self.events.clone(), Arc::clone(topic));
        tokio::spawn(async move {
            let deadline = deadline_in(client.config().request_timeout);
            // A failure shows in the batches, which are tried until their time is up.
            drop(client.refresh(&[&topic], false, deadline).await);
            drop(events.send(Event::Refreshed { topic }));
        });
    }
}

/// Sends one broker its batches, in order.
async fn serve_leader(
    leader: i32,
    client: Client,
    config: ProducerConfig,
    mut work: mpsc::UnboundedReceiver<Vec<Batch>>,
    events: mpsc::UnboundedSender<Event>,
) {
    while let Some(batches) = work.recv().await {
        match send(leader, &client, &config, &batches).await {
            Ok(Some((pending, version))) => {
                let (client, events) = (client.clone(), events.clone());
                tokio::spawn(async move {
                    let deadline = deadline_in(client.config().request_timeout);
                    let answers = match pending.wait(deadline).await {
                        Ok(response) => {
                            requests::answers(batches, &response, &client.metadata(), version)
                        }
                        Err(error) => again(batches, &error),
                    };
                    drop(events.send(Event::Answered { leader, answers }));
                });
            }
            Ok(None) => {
                let done = |batch| (batch, Answer::Acknowledged(None));
                let answers = batches.into_iter().map(done).collect();
                drop(events.send(Event::Answered { leader, answers }));
            }
            Err(error) => {
                let answers = again(batches, &error);
                drop(events.send(Event::Answered { leader, answers }));
            }
        }
    }
}

/// The answer on its way with the version it was asked at; none with acks=0.
type Sent = Option<(crate::connection::Pending<ProduceRequest>, i16)>;

async fn send(
    leader: i32,
    client: &Client,
    config: &ProducerConfig,
    batches: &[Batch],
) -> Result<Sent, Error> {
    let view = client.metadata();
    let connection = client.broker(leader, deadline_in(client.config().request_timeout)).await?;
    let mut version = connection.version::<ProduceRequest>()?;
    let nameless =
        |batch: &Batch| view.topics.get(&batch.place.0).is_none_or(|topic| topic.id.is_zero());
    if version >= requests::BY_ID && batches.iter().any(nameless) {
        let lower = connection.versions().highest_up_to::<ProduceRequest>(requests::BY_ID - 1);
        version = lower.ok_or_else(|| Error::Unsupported {
            address: connection.address().to_owned(),
            api: ProduceRequest::KEY,
        })?;
    }
    let timeout = client.config().request_timeout.as_millis();
    let timeout_ms = i32::try_from(timeout).unwrap_or(i32::MAX);
    let request = requests::request(batches, config.acks.code(), timeout_ms, &view, version);
    if config.acks == Acks::None {
        connection.tell_at(&request, version).await?;
        return Ok(None);
    }
    Ok(Some((connection.start_at(&request, version).await?, version)))
}

/// No answer: each batch is worth another try, unless the failure is of a kind that stays.
fn again(batches: Vec<Batch>, error: &Error) -> Vec<(Batch, Answer)> {
    let stays = matches!(error, Error::Unsupported { .. } | Error::Encode(_));
    let answer = |batch| {
        let answer = if stays { Answer::Lost(error.clone()) } else { Answer::Again(error.clone()) };
        (batch, answer)
    };
    batches.into_iter().map(answer).collect()
}
