//! The order of batches under failures, step by step.

use tokio::sync::Semaphore;
use wire::ErrorCode;
use wire::records::BatchIter;

use super::*;

struct Bench {
    queues: Queues,
    now: Instant,
    outcomes: Vec<watch::Receiver<Option<Outcome>>>,
}

fn rules() -> Rules {
    Rules {
        codec: Codec::None,
        level: None,
        batch_bytes: 1,
        linger: Duration::from_millis(5),
        delivery_timeout: Duration::from_secs(10),
        in_flight_max: 3,
    }
}

fn place() -> Place {
    ("t".into(), 0)
}

impl Bench {
    /// Queues in which each record is a batch of its own.
    fn new(identity: Option<Identity>, rules: Rules) -> Self {
        let queues = Queues::new(rules, identity);
        Self { queues, now: Instant::now(), outcomes: Vec::new() }
    }

    fn idempotent() -> Self {
        Self::new(Some(Identity { id: 7, epoch: 0 }), rules())
    }

    fn append(&mut self, count: usize) {
        let permits = std::sync::Arc::new(Semaphore::new(count));
        for _ in 0..count {
            let record = Record { topic: "t".into(), ..Record::default() };
            let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
            let appended = self.queues.append(0, &record, 1, permit, self.now).unwrap();
            self.outcomes.push(appended.0.0);
        }
    }

    fn take(&mut self) -> Batch {
        assert_eq!(self.queues.due(self.now), [place()], "nothing is due");
        self.queues.take(&place()).unwrap()
    }

    fn answer(&mut self, batch: Batch, answer: Answer) {
        self.queues.answer(batch, answer, self.now);
    }

    fn later(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.queues.tick(self.now);
    }

    fn outcome(&self, index: usize) -> Option<Result<Option<i64>, ()>> {
        self.outcomes[index].borrow().clone().map(|outcome| outcome.map_err(|_| ()))
    }
}

fn sequence(batch: &Batch) -> i32 {
    BatchIter::new(batch.bytes.clone()).next().unwrap().unwrap().header().base_sequence
}

fn broker(code: ErrorCode) -> Error {
    Error::Broker { about: String::new(), code, message: None }
}

fn again() -> Answer {
    Answer::Again(broker(ErrorCode::NotLeaderOrFollower))
}

#[test]
fn sequences_follow_each_other_and_the_pipeline_is_bounded() {
    let mut bench = Bench::idempotent();
    bench.append(4);
    let batches = [bench.take(), bench.take(), bench.take()];
    assert_eq!(batches.each_ref().map(sequence), [0, 1, 2]);
    assert!(bench.queues.due(bench.now).is_empty(), "more in flight than allowed");
    let [first, ..] = batches;
    bench.answer(first, Answer::Acknowledged(Some(40)));
    assert_eq!(bench.outcome(0), Some(Ok(Some(40))));
    assert_eq!(sequence(&bench.take()), 3);
    assert_eq!(bench.queues.delivered(), 1);
    assert_eq!(bench.queues.unfinished(), 3);
}

#[test]
fn what_comes_back_goes_again_in_order_and_only_when_all_are_back() {
    let mut bench = Bench::idempotent();
    bench.append(4);
    let [first, second, third] = [bench.take(), bench.take(), bench.take()];
    bench.answer(second, Answer::OutOfOrder(broker(ErrorCode::OutOfOrderSequenceNumber)));
    assert!(bench.queues.due(bench.now).is_empty(), "sent while a batch is back");
    bench.answer(first, again());
    assert!(bench.queues.due(bench.now).is_empty(), "sent while a batch is in flight");
    bench.answer(third, again());
    assert!(bench.queues.due(bench.now).is_empty(), "sent without a pause");
    bench.later(100);
    let order = [bench.take(), bench.take(), bench.take()].each_ref().map(sequence);
    assert_eq!(order, [0, 1, 2]);
    assert_eq!(bench.outcome(0), None);
}

#[test]
fn a_gap_that_no_earlier_batch_explains_ends_the_producer() {
    let mut bench = Bench::idempotent();
    bench.append(3);
    let [first, second] = [bench.take(), bench.take()];
    bench.answer(first, Answer::Acknowledged(Some(0)));
    bench.answer(second, Answer::OutOfOrder(broker(ErrorCode::OutOfOrderSequenceNumber)));
    assert_eq!(bench.outcome(1), Some(Err(())));
    assert_eq!(bench.outcome(2), Some(Err(())), "a later batch overtook a lost one");
    assert_eq!(bench.queues.unfinished(), 0);
    let record = Record { topic: "t".into(), ..Record::default() };
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let refused = bench.queues.append(0, &record, 1, permit, bench.now);
    assert!(matches!(refused, Err(Error::ProducerClosed { why: Some(_) })));
}

#[test]
fn batches_in_flight_when_the_producer_ends_are_given_up_too() {
    let mut bench = Bench::idempotent();
    bench.append(2);
    let [first, second] = [bench.take(), bench.take()];
    bench.answer(first, Answer::Lost(broker(ErrorCode::MessageTooLarge)));
    bench.answer(second, Answer::OutOfOrder(broker(ErrorCode::OutOfOrderSequenceNumber)));
    assert_eq!(bench.outcome(1), Some(Err(())));
    assert_eq!(bench.queues.unfinished(), 0, "a flush would wait for ever");
}

#[test]
fn a_retry_that_comes_back_after_the_end_is_given_up() {
    let mut bench = Bench::idempotent();
    bench.append(3);
    let [first, second, third] = [bench.take(), bench.take(), bench.take()];
    bench.answer(second, Answer::Lost(broker(ErrorCode::MessageTooLarge)));
    bench.answer(first, again());
    bench.answer(third, again());
    bench.later(100);
    assert_eq!(bench.queues.unfinished(), 0, "a flush would wait for ever");
    assert!(bench.queues.due(bench.now).is_empty(), "sent after the end");
}

#[test]
fn without_sequences_a_lost_batch_does_not_stop_the_others() {
    let mut bench = Bench::new(None, Rules { in_flight_max: 1, ..rules() });
    bench.append(2);
    let first = bench.take();
    assert!(bench.queues.due(bench.now).is_empty());
    bench.answer(first, Answer::Lost(broker(ErrorCode::MessageTooLarge)));
    assert!(bench.queues.failure().is_some());
    let second = bench.take();
    assert_eq!(sequence(&second), NO_SEQUENCE);
    bench.answer(second, Answer::Acknowledged(None));
    assert_eq!(bench.outcome(1), Some(Ok(None)));
}

#[test]
fn time_runs_out_for_what_waits_and_for_what_comes_back() {
    let mut bench = Bench::idempotent();
    bench.append(2);
    let first = bench.take();
    bench.later(10_001);
    assert_eq!(bench.outcome(1), None, "given up although an earlier one may still succeed");
    bench.answer(first, again());
    assert_eq!(bench.outcome(0), Some(Err(())));
    assert_eq!(bench.outcome(1), Some(Err(())));
    assert_eq!(bench.queues.unfinished(), 0);
}

#[test]
fn a_batch_lingers_until_it_is_full_or_its_time_has_come() {
    let mut bench = Bench::new(None, Rules { batch_bytes: 1_000, in_flight_max: 1, ..rules() });
    bench.append(3);
    assert!(bench.queues.due(bench.now).is_empty());
    assert_eq!(bench.queues.next_deadline(), Some(bench.now + Duration::from_millis(5)));
    bench.later(5);
    let batch = bench.take();
    assert_eq!(batch.records, 3);
    bench.append(1);
    bench.queues.close_all();
    bench.answer(batch, Answer::Acknowledged(None));
    assert_eq!(bench.take().records, 1);
    bench.append(30);
    assert!(bench.queues.unfinished() >= 2, "a full batch is closed without a clock");
}

#[test]
fn a_batch_whose_time_is_over_says_what_the_broker_answered() {
    let mut bench = Bench::idempotent();
    bench.append(1);
    let batch = bench.take();
    bench.answer(batch, Answer::Again(broker(ErrorCode::KafkaStorageError)));
    bench.later(10_001);
    let outcome = bench.outcomes[0].borrow().clone();
    let said = outcome.unwrap().unwrap_err().to_string();
    assert!(said.contains("KAFKA_STORAGE_ERROR"), "{said}");
}
