//! The threads against a stand-in for the node.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use node::{
    Applied, ApplyBatch, Asker, ControlEffect, ControlEvent, ControlRequest, ControlResponse,
    ControllerEndpoint, Destination, ListenerKind,
};
use tokio::runtime::{Builder, Runtime};
use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::describe_quorum_request::DescribeQuorumRequest;
use wire::messages::envelope_request::EnvelopeRequest;
use wire::messages::vote_request::VoteRequest;

use super::driver::Plane;
use super::places::{OF_CLIENTS_MAX, PASSED_ON_MAX};
use super::{Control, ControlThreads};
use crate::clock::SystemClock;
use crate::peers::{Peers, PeersConfig};

/// Answers what it is told to, and remembers what came.
#[derive(Default)]
struct StandIn {
    /// Clients' questions wait for ever.
    holds_clients: bool,
    /// Falls over at the next question.
    fails: AtomicBool,
    gone: AtomicUsize,
    ticks: AtomicUsize,
    asked: Mutex<Vec<ListenerKind>>,
    /// Whom it asks for a vote at the next tick.
    candidate_for: Mutex<Option<Destination>>,
    /// What became of that: whether the other end refused.
    refused: Mutex<Vec<bool>>,
}

impl Plane for StandIn {
    fn control(&self, _now_ms: i64, event: ControlEvent) -> Vec<ControlEffect> {
        match event {
            ControlEvent::Tick => {
                self.ticks.fetch_add(1, Ordering::Relaxed);
                let to = self.candidate_for.lock().unwrap().take();
                let request = || VoteRequest::default().into();
                let send = |to| {
                    let request = request();
                    ControlEffect::Send { id: 7, to, version: 2, request, timeout_ms: 500 }
                };
                to.map(send).into_iter().collect()
            }
            ControlEvent::Failed { id: 7, refused } => {
                self.refused.lock().unwrap().push(refused);
                Vec::new()
            }
            ControlEvent::Ask { token, asker, request } => {
                assert!(!self.fails.load(Ordering::Relaxed), "as asked for");
                self.asked.lock().unwrap().push(asker.listener);
                if self.holds_clients && asker.listener == ListenerKind::Client {
                    return Vec::new();
                }
                let response = request.refused(ErrorCode::NotController, "it is a stand-in");
                vec![ControlEffect::Respond { token, response }]
            }
            ControlEvent::Gone { .. } => {
                self.gone.fetch_add(1, Ordering::Relaxed);
                Vec::new()
            }
            ControlEvent::Shutdown => vec![ControlEffect::MayStop],
            _ => Vec::new(),
        }
    }

    fn apply(&self, _now_ms: i64, _batch: ApplyBatch) -> Applied {
        panic!("the stand-in commits nothing")
    }

    fn load(&self, _now_ms: i64) -> Result<(), String> {
        Ok(())
    }

    fn is_alone(&self) -> bool {
        false
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn start(plane: &Arc<StandIn>, runtime: &Runtime) -> (Control, ControlThreads) {
    let control = Control::new();
    let peers = Peers::new(PeersConfig::default(), runtime.handle().clone());
    let (plane, clock) = (Arc::clone(plane), Arc::new(SystemClock));
    let threads =
        ControlThreads::start(&control, plane, clock, peers, || (), || (), drop).expect("threads");
    (control, threads)
}

fn vote() -> (Asker, ControlRequest) {
    let asker = Asker { listener: ListenerKind::Controller, ..Asker::own(2) };
    (asker, VoteRequest::default().into())
}

fn question() -> (Asker, ControlRequest) {
    (Asker::own(2), DescribeQuorumRequest::default().into())
}

fn ask(
    control: &Control,
    runtime: &Runtime,
    (asker, request): (Asker, ControlRequest),
) -> Option<ControlResponse> {
    let asked = control.ask(asker, request);
    let patience = Duration::from_secs(20);
    runtime.block_on(async { tokio::time::timeout(patience, asked).await }).expect("an answer")
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_question_is_answered_and_time_passes() {
    let (plane, runtime) = (Arc::new(StandIn::default()), runtime());
    let (control, threads) = start(&plane, &runtime);
    let answer = ask(&control, &runtime, question());
    assert!(matches!(answer, Some(ControlResponse::DescribeQuorum(_))));
    wait_until("ticks", || plane.ticks.load(Ordering::Relaxed) > 3);
    assert!(control.shut_down(&runtime, Duration::from_secs(20)));
    threads.stop();
    // What comes after the end is told so.
    assert_eq!(ask(&control, &runtime, question()), None);
}

#[test]
fn who_gives_up_is_forgotten() {
    let plane = Arc::new(StandIn { holds_clients: true, ..StandIn::default() });
    let runtime = runtime();
    let (control, threads) = start(&plane, &runtime);
    let (asker, request) = question();
    let asked = control.begin(asker, request).expect("room");
    wait_until("the question", || plane.asked.lock().unwrap().len() == 1);
    drop(asked);
    wait_until("its end", || plane.gone.load(Ordering::Relaxed) == 1);
    assert!(control.shared.waiting().is_empty());
    threads.stop();
}

#[test]
fn clients_fill_their_own_share_and_no_more() {
    let plane = Arc::new(StandIn { holds_clients: true, ..StandIn::default() });
    let runtime = runtime();
    let (control, threads) = start(&plane, &runtime);
    let mut waiting = Vec::new();
    for _ in 0..OF_CLIENTS_MAX {
        let (asker, request) = question();
        waiting.push(control.begin(asker, request).expect("room"));
    }
    let (asker, request) = question();
    let refused = control.begin(asker, request).expect_err("no room");
    let ControlResponse::DescribeQuorum(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.error_code, ErrorCode::RequestTimedOut.code());
    // The quorum's questions find room and are answered.
    assert!(ask(&control, &runtime, vote()).is_some());
    wait_until("all of them", || plane.asked.lock().unwrap().len() > OF_CLIENTS_MAX);
    waiting.pop();
    let (asker, request) = question();
    assert!(control.begin(asker, request).is_ok());
    threads.stop();
}

/// What another broker passes on, or a tool asks.
fn envelope() -> (Asker, ControlRequest) {
    let asker = Asker { listener: ListenerKind::Controller, ..Asker::own(0) };
    (asker, EnvelopeRequest::default().into())
}

#[test]
fn who_leaves_keeps_a_place_for_the_question_until_that_is_taken() {
    let runtime = runtime();
    // Nothing is taken yet: the threads do not run.
    let control = Control::new();
    for _ in 0..PASSED_ON_MAX {
        let (asker, request) = envelope();
        drop(control.begin(asker, request).expect("room"));
    }
    let (asker, request) = envelope();
    assert!(control.begin(asker, request).is_err(), "the queue grows as connections come and go");
    let (asker, request) = vote();
    let vote = control.begin(asker, request).expect("the quorum has room");
    let plane = Arc::new(StandIn::default());
    let peers = Peers::new(PeersConfig::default(), runtime.handle().clone());
    let (stand_in, clock) = (Arc::clone(&plane), Arc::new(SystemClock));
    let threads =
        ControlThreads::start(&control, stand_in, clock, peers, || (), || (), drop).expect("run");
    assert!(runtime.block_on(vote.answer()).is_some());
    let again = || {
        let (asker, request) = envelope();
        control.begin(asker, request)
    };
    wait_until("a place", || again().is_ok());
    let last = again().expect("room");
    assert!(runtime.block_on(last.answer()).is_some());
    threads.stop();
    // The vote, the last, perhaps one before: what nobody waits for is not worked on.
    assert!(plane.asked.lock().unwrap().len() <= 3);
}

#[test]
fn a_failed_thread_is_told_and_nobody_waits_for_it() {
    let (plane, runtime) = (Arc::new(StandIn::default()), runtime());
    let (control, threads) = start(&plane, &runtime);
    plane.fails.store(true, Ordering::Relaxed);
    assert_eq!(ask(&control, &runtime, vote()), None);
    wait_until("the word", || control.progress().borrow().fatal.is_some());
    threads.stop();
}

/// What the control plane hears of a vote that it asks of this port.
fn outcome(plane: &Arc<StandIn>, port: u16) -> bool {
    let endpoint =
        ControllerEndpoint { listener: "C".to_owned(), host: "127.0.0.1".to_owned(), port };
    let to = Destination::Node { id: BrokerId(2), endpoints: vec![endpoint] };
    *plane.candidate_for.lock().unwrap() = Some(to);
    wait_until("the outcome", || !plane.refused.lock().unwrap().is_empty());
    plane.refused.lock().unwrap().remove(0)
}

#[test]
fn who_is_gone_is_told_from_who_is_silent() {
    let (plane, runtime) = (Arc::new(StandIn::default()), runtime());
    let (_control, threads) = start(&plane, &runtime);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Accepted by the kernel, answered by nobody.
    assert!(!outcome(&plane, port), "it is there");
    drop(listener);
    assert!(outcome(&plane, port), "nobody listens");
    threads.stop();
}
