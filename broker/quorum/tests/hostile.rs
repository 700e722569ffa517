//! Requests and answers that no honest node sends: extreme numbers, unknown voters, other
//! clusters, garbage for records. The quorum refuses or survives them, and holds on to nothing.
#![expect(clippy::unwrap_used, reason = "a test panics")]

extern crate tidelog_quorum as quorum;

use bytes::Bytes;
use proptest::prelude::*;
use quorum::{
    AddVoterRequest, BeginEpochRequest, Body, Bootstrap, Config, Effect, ElectionState,
    EndEpochRequest, Endpoint, Event, FetchBody, FetchRequest, FetchSnapshotBody,
    FetchSnapshotRequest, Loader, Payload, Quorum, ReplicaKey, Request, Response, SnapshotId,
    UpdateVoterRequest, VoteRequest, Voter, Voters,
};
use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Offset, Uuid};

fn endpoint(id: i32) -> Endpoint {
    Endpoint { listener: "CONTROLLER".to_owned(), host: format!("node-{id}"), port: 9093 }
}

fn voter(id: i32) -> Voter {
    Voter { id: BrokerId(id), directory: Uuid([id as u8; 16]), endpoints: vec![endpoint(id)] }
}

/// A voter of three, started.
fn open() -> Quorum {
    let voters = Voters::new(vec![voter(1), voter(2), voter(3)]);
    let config = Config {
        cluster_id: Some("ours".to_owned()),
        bootstrap: Bootstrap::Voters(voters),
        endpoints: vec![endpoint(1)],
        ..Config::new(BrokerId(1), Uuid([1; 16]))
    };
    Loader::new(config).finish(Offset(0), Offset(0)).unwrap()
}

fn epoch() -> impl Strategy<Value = LeaderEpoch> {
    prop_oneof![Just(i32::MIN), Just(-1), 0..4, Just(i32::MAX - 1), Just(i32::MAX)]
        .prop_map(LeaderEpoch)
}

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![Just(i64::MIN), Just(-1), 0..4i64, Just(i64::MAX)].prop_map(Offset)
}

fn key() -> impl Strategy<Value = ReplicaKey> {
    (prop_oneof![Just(i32::MIN), Just(-1), 1..5, Just(i32::MAX)], 0..5u8)
        .prop_map(|(id, at)| ReplicaKey { id: BrokerId(id), directory: Uuid([at; 16]) })
}

fn snapshot_id() -> impl Strategy<Value = SnapshotId> {
    (offset(), epoch()).prop_map(|(end_offset, epoch)| SnapshotId { end_offset, epoch })
}

fn any_voter() -> impl Strategy<Value = Voter> {
    (key(), 0..40usize, 0..400usize).prop_map(|(key, count, length)| {
        let endpoint = Endpoint { host: "h".repeat(length), ..endpoint(1) };
        let endpoints = vec![endpoint; count];
        Voter { id: key.id, directory: key.directory, endpoints }
    })
}

fn request() -> BoxedStrategy<Request> {
    let number = prop_oneof![Just(i64::MIN), -1..2i64, Just(i64::MAX)];
    let fetch = (epoch(), key(), offset(), epoch(), offset(), number.clone(), any::<u32>());
    let snapshot = (epoch(), key(), snapshot_id(), any::<u64>(), any::<u32>());
    prop_oneof![
        (epoch(), key(), key(), epoch(), offset(), any::<bool>()).prop_map(
            |(epoch, candidate, voter, last_epoch, end_offset, pre_vote)| {
                let vote =
                    VoteRequest { epoch, candidate, voter, last_epoch, end_offset, pre_vote };
                Request::Vote(vote)
            }
        ),
        (epoch(), key(), key()).prop_map(|(epoch, leader, voter)| {
            let endpoints = vec![endpoint(1)];
            Request::BeginEpoch(BeginEpochRequest { epoch, leader: leader.id, endpoints, voter })
        }),
        (epoch(), key(), prop::collection::vec(key(), 0..9)).prop_map(|(epoch, leader, all)| {
            Request::EndEpoch(EndEpochRequest { epoch, leader: leader.id, successors: all })
        }),
        fetch.prop_map(|(epoch, replica, offset, last_epoch, high_watermark, wait, max_bytes)| {
            Request::Fetch(FetchRequest {
                epoch,
                replica,
                offset,
                last_epoch,
                high_watermark,
                max_wait_ms: wait,
                max_bytes,
            })
        }),
        snapshot.prop_map(|(epoch, replica, id, position, max_bytes)| {
            Request::FetchSnapshot(FetchSnapshotRequest { epoch, replica, id, position, max_bytes })
        }),
        (any_voter(), number, any::<bool>()).prop_map(|(voter, timeout_ms, ack)| {
            Request::AddVoter(AddVoterRequest { voter, timeout_ms, ack_when_committed: ack })
        }),
        key().prop_map(Request::RemoveVoter),
        (epoch(), any_voter()).prop_map(|(epoch, voter)| {
            Request::UpdateVoter(UpdateVoterRequest { epoch, voter })
        }),
    ]
    .boxed()
}

/// An answer to anything, with records that are none.
fn response() -> BoxedStrategy<Response> {
    let garbage = prop::collection::vec(any::<u8>(), 0..200);
    let garbage = garbage.prop_map(|bytes| Payload::Bytes(Bytes::from(bytes)));
    let fetch = (offset(), prop::option::of(snapshot_id()), garbage.clone()).prop_map(
        |(high_watermark, snapshot, records)| {
            Body::Fetch(FetchBody {
                high_watermark,
                log_start: Offset(0),
                diverging: None,
                snapshot,
                records,
            })
        },
    );
    let piece = (snapshot_id(), any::<u64>(), any::<u64>(), garbage).prop_map(
        |(id, size, position, bytes)| {
            Body::FetchSnapshot(FetchSnapshotBody { id, size, position, bytes })
        },
    );
    let vote = any::<bool>().prop_map(|granted| Body::Vote { granted });
    let body = prop_oneof![Just(Body::Empty), fetch, piece, vote];
    (epoch(), prop::option::of(key()), body)
        .prop_map(|(epoch, leader, body)| Response {
            error: ErrorCode::None,
            epoch,
            leader: leader.map(|key| key.id),
            endpoints: vec![endpoint(9)],
            body,
        })
        .boxed()
}

fn event() -> BoxedStrategy<Event> {
    prop_oneof![
        4 => (request(), any::<u64>(), any::<bool>()).prop_map(|(request, token, theirs)| {
            let cluster_id = Some(if theirs { "theirs" } else { "ours" }.to_owned());
            Event::Request { token, cluster_id, request }
        }),
        2 => (response(), 0..40u64).prop_map(|(response, id)| Event::Response { id, response }),
        1 => (0..40u64, any::<bool>())
            .prop_map(|(id, refused)| Event::RequestFailed { id, refused }),
        2 => Just(Event::Tick),
    ]
    .boxed()
}

/// The disk at once, as the node would; what it made durable comes back.
fn complete(effect: &Effect) -> Option<Event> {
    match effect {
        Effect::PersistState { .. } => Some(Event::StatePersisted),
        Effect::Flush { upto } => Some(Event::Flushed { upto: *upto }),
        Effect::WriteSnapshot { id, .. } => Some(Event::SnapshotWritten { id: *id }),
        Effect::ReadSnapshotPart { id } => {
            Some(Event::SnapshotPartRead { id: *id, file: Bytes::from_static(b"torn") })
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_message_harms_a_quorum(events in prop::collection::vec((event(), 0..200i64), 1..80)) {
        let mut quorum = open();
        let mut now = 0;
        let mut asked = 0;
        let mut answered = 0;
        let mut todo = vec![Event::Start];
        for (event, wait) in events {
            todo.push(event);
            now += wait;
            while let Some(event) = (!todo.is_empty()).then(|| todo.remove(0)) {
                asked += usize::from(matches!(event, Event::Request { .. }));
                let before = quorum.high_watermark();
                for effect in quorum.step(now, event) {
                    prop_assert!(!matches!(effect, Effect::Fatal { .. }), "{effect:?}");
                    answered += usize::from(matches!(effect, Effect::Respond { .. }));
                    todo.extend(complete(&effect));
                }
                prop_assert!(quorum.high_watermark() >= before);
                prop_assert!(quorum.voters().len() <= 64);
                prop_assert!(answered <= asked, "nobody is answered twice");
            }
        }
    }

    /// Other clusters are told so, whatever they ask.
    #[test]
    fn another_cluster_is_refused(request in request()) {
        let mut quorum = open();
        let start = quorum.step(0, Event::Start);
        start.iter().filter_map(complete).for_each(|event| drop(quorum.step(0, event)));
        let cluster_id = Some("theirs".to_owned());
        let effects = quorum.step(1, Event::Request { token: 7, cluster_id, request });
        let error = effects.iter().find_map(|effect| match effect {
            Effect::Respond { token: 7, response } => Some(response.error),
            _ => None,
        });
        prop_assert_eq!(error, Some(ErrorCode::InconsistentClusterId));
        prop_assert_eq!(quorum.epoch(), LeaderEpoch(0));
    }
}

/// Carries a started quorum's effects out until it asks the disk for nothing more.
fn drive(quorum: &mut Quorum, now: i64, event: Event) -> Vec<Effect> {
    let (mut todo, mut all) = (vec![event], Vec::new());
    while let Some(event) = todo.pop() {
        let effects = quorum.step(now, event);
        todo.extend(effects.iter().filter_map(complete));
        all.extend(effects);
    }
    all
}

fn answer(quorum: &mut Quorum, cluster: Option<&str>, request: Request) -> Response {
    let cluster_id = cluster.map(str::to_owned);
    let effects = drive(quorum, 50, Event::Request { token: 7, cluster_id, request });
    let answer = effects.into_iter().find_map(|effect| match effect {
        Effect::Respond { token: 7, response } => Some(response),
        _ => None,
    });
    answer.unwrap()
}

fn vote(epoch: i32, candidate: ReplicaKey, voter: ReplicaKey, pre_vote: bool) -> Request {
    let (last_epoch, end_offset) = (LeaderEpoch(epoch), Offset(1_000_000));
    let epoch = LeaderEpoch(epoch);
    Request::Vote(VoteRequest { epoch, candidate, voter, last_epoch, end_offset, pre_vote })
}

/// Once there is a log, who does not say whose it is elects and leads nobody; it may fetch.
#[test]
fn who_does_not_know_its_cluster_may_only_learn_it() {
    let voters = Voters::new(vec![voter(1)]);
    let config = Config {
        bootstrap: Bootstrap::Voters(voters),
        endpoints: vec![endpoint(1)],
        ..Config::new(BrokerId(1), Uuid([1; 16]))
    };
    let mut quorum = Loader::new(config).finish(Offset(0), Offset(0)).unwrap();
    drive(&mut quorum, 0, Event::Start);
    assert!(quorum.log_end() > Offset(0));
    let epoch = quorum.epoch().0;
    let ask = |stranger: i32| vote(epoch, voter(stranger).key(), voter(1).key(), true);
    assert_eq!(answer(&mut quorum, None, ask(2)).error, ErrorCode::None);
    quorum.learn_cluster("ours");
    let refused = ErrorCode::InconsistentClusterId;
    let before = quorum.epoch();
    assert_eq!(answer(&mut quorum, None, ask(2)).error, refused);
    let request = BeginEpochRequest {
        epoch: LeaderEpoch(99),
        leader: BrokerId(2),
        endpoints: vec![endpoint(2)],
        voter: voter(1).key(),
    };
    assert_eq!(answer(&mut quorum, None, Request::BeginEpoch(request)).error, refused);
    let request =
        EndEpochRequest { epoch: LeaderEpoch(99), leader: BrokerId(2), successors: Vec::new() };
    assert_eq!(answer(&mut quorum, None, Request::EndEpoch(request)).error, refused);
    assert_eq!(quorum.epoch(), before);
    let fetch = FetchRequest {
        epoch: before,
        replica: voter(5).key(),
        offset: Offset(0),
        last_epoch: LeaderEpoch(0),
        high_watermark: Offset(-1),
        max_wait_ms: 0,
        max_bytes: 100,
    };
    let learns = answer(&mut quorum, None, Request::Fetch(fetch));
    assert_eq!(learns.error, ErrorCode::None);
    assert_eq!(answer(&mut quorum, Some("theirs"), Request::Fetch(fetch)).error, refused);
}

/// What another cluster answers is not believed: neither its epoch nor its leader.
#[test]
fn answers_of_another_cluster_and_of_no_possible_epoch_teach_nothing() {
    for (error, epoch) in [
        (ErrorCode::InconsistentClusterId, LeaderEpoch(77)),
        (ErrorCode::None, LeaderEpoch(i32::MAX)),
        (ErrorCode::FencedLeaderEpoch, LeaderEpoch(i32::MAX - 1)),
    ] {
        teaches_nothing(error, epoch);
    }
}

fn teaches_nothing(error: ErrorCode, epoch: LeaderEpoch) {
    let mut quorum = open();
    let mut sent = Vec::new();
    let mut now = 0;
    let mut event = Event::Start;
    while sent.is_empty() {
        let effects = drive(&mut quorum, now, event);
        sent.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { id, .. } => Some(id),
            _ => None,
        }));
        (now, event) = (now + 50, Event::Tick);
    }
    for id in sent {
        let response = Response {
            error,
            epoch,
            leader: Some(BrokerId(3)),
            endpoints: vec![endpoint(3)],
            body: Body::Empty,
        };
        drive(&mut quorum, now, Event::Response { id, response });
    }
    assert!(quorum.epoch() < LeaderEpoch(77));
    assert_eq!(quorum.leader(), None);
}

/// A voter that has voted in the last epoch of all, as its memory says, would end every other's.
#[test]
fn an_impossible_epoch_is_not_remembered() {
    let open = |epoch: i32| {
        let state = ElectionState { epoch: LeaderEpoch(epoch), ..ElectionState::default() };
        let voters = Voters::new(vec![voter(1), voter(2), voter(3)]);
        let config = Config {
            bootstrap: Bootstrap::Voters(voters),
            ..Config::new(BrokerId(1), Uuid([1; 16]))
        };
        let mut loader = Loader::new(config);
        loader.quorum_state(&state.to_bytes()).unwrap();
        loader.finish(Offset(0), Offset(0))
    };
    assert_eq!(open(1 << 24).unwrap().epoch(), LeaderEpoch(1 << 24));
    for epoch in [(1 << 24) + 1, i32::MAX] {
        let refused = open(epoch).err().map(|error| error.to_string()).unwrap_or_default();
        let said = format!("quorum-state has leaderEpoch {epoch}, and the log ends in epoch 0");
        assert!(refused.contains(&said), "{refused}");
    }
}

/// Under a leader at work: nobody unknown is preferred to it, no disk answers for another, and one
/// epoch has one vote, whoever asks for it.
#[test]
fn unknown_voters_and_directories_win_nothing() {
    let mut quorum = open();
    drive(&mut quorum, 0, Event::Start);
    let ours = Some("ours");
    let key = |id: i32, at: u8| ReplicaKey { id: BrokerId(id), directory: Uuid([at; 16]) };
    // For the disk that node 1 had before.
    let wiped = answer(&mut quorum, ours, vote(4, key(2, 2), key(1, 9), false));
    assert_eq!((wiped.error, quorum.epoch()), (ErrorCode::InvalidVoterKey, LeaderEpoch(0)));
    let request = BeginEpochRequest {
        epoch: LeaderEpoch(4),
        leader: BrokerId(2),
        endpoints: vec![endpoint(2)],
        voter: key(1, 9),
    };
    let begun = answer(&mut quorum, ours, Request::BeginEpoch(request.clone()));
    assert_eq!((begun.error, quorum.leader()), (ErrorCode::InvalidVoterKey, None));
    let voter = key(1, 1);
    let begun =
        answer(&mut quorum, ours, Request::BeginEpoch(BeginEpochRequest { voter, ..request }));
    assert_eq!((begun.error, quorum.leader()), (ErrorCode::None, Some(BrokerId(2))));
    // A node that nobody knows, and one whose disk nobody knows: the epoch has its leader.
    for stranger in [key(9, 9), key(3, 8)] {
        let real = answer(&mut quorum, ours, vote(4, stranger, key(1, 1), false));
        assert_eq!(real.body, Body::Vote { granted: false });
    }
    // In the next epoch the first who asks has the vote, and nobody else.
    let granted = [key(9, 9), key(3, 8), key(3, 3), key(2, 2), key(9, 9)].map(|candidate| {
        let answer = answer(&mut quorum, ours, vote(5, candidate, key(1, 1), false));
        answer.body == Body::Vote { granted: true }
    });
    assert_eq!(granted, [true, false, false, false, true]);
    assert_eq!(quorum.voters().len(), 3);
}

/// Voter 1 of three, elected by the two others.
fn lead() -> Quorum {
    let mut quorum = open();
    let (mut now, mut event) = (0, Event::Start);
    while quorum.leader() != Some(BrokerId(1)) {
        let mut effects = drive(&mut quorum, now, event);
        while let Some(effect) = effects.pop() {
            let Effect::Send { id, request: Request::Vote(vote), .. } = effect else { continue };
            let response = Response {
                error: ErrorCode::None,
                epoch: vote.epoch,
                leader: None,
                endpoints: Vec::new(),
                body: Body::Vote { granted: true },
            };
            effects.extend(drive(&mut quorum, now, Event::Response { id, response }));
        }
        (now, event) = (now + 50, Event::Tick);
        assert!(now < 60_000, "not elected");
    }
    quorum
}

/// A fetch says what is on the disk that it names, and of no other: who names none commits nothing.
#[test]
fn a_fetch_without_a_directory_acknowledges_for_nobody() {
    let mut quorum = lead();
    let (epoch, end) = (quorum.epoch(), quorum.log_end());
    let mut fetched = |directory: u8, cluster: Option<&str>| {
        let replica = ReplicaKey { id: BrokerId(2), directory: Uuid([directory; 16]) };
        let request = FetchRequest {
            epoch,
            replica,
            offset: end,
            last_epoch: epoch,
            high_watermark: Offset(-1),
            max_wait_ms: 0,
            max_bytes: 100,
        };
        answer(&mut quorum, cluster, Request::Fetch(request));
        quorum.high_watermark()
    };
    assert!(end > Offset(0));
    for cluster in [None, Some("ours")] {
        assert_eq!(fetched(0, cluster), Offset(0), "of a disk that is not told");
        assert_eq!(fetched(9, cluster), Offset(0), "of another disk");
    }
    assert_eq!(fetched(2, Some("ours")), end);
}

/// A voter that no other can reach, or whose disk is not told, counts in every majority.
#[test]
fn voters_without_an_endpoint_or_a_directory_are_refused() {
    let mut quorum = lead();
    let epoch = quorum.epoch();
    // Voters may change once what they are is committed.
    for _ in 0..3 {
        let request = FetchRequest {
            epoch,
            replica: voter(2).key(),
            offset: quorum.log_end(),
            last_epoch: epoch,
            high_watermark: Offset(-1),
            max_wait_ms: 0,
            max_bytes: 100,
        };
        answer(&mut quorum, Some("ours"), Request::Fetch(request));
    }
    assert_eq!(quorum.high_watermark(), quorum.log_end());
    let before = quorum.voters().clone();
    let bare = |id| Voter { endpoints: Vec::new(), ..voter(id) };
    let no_disk = Voter { directory: Uuid::ZERO, ..voter(4) };
    let add = |voter| {
        let (timeout_ms, ack_when_committed) = (1_000, true);
        Request::AddVoter(AddVoterRequest { voter, timeout_ms, ack_when_committed })
    };
    let update = Request::UpdateVoter(UpdateVoterRequest { epoch, voter: bare(2) });
    for request in [add(bare(4)), add(no_disk), update] {
        assert_eq!(answer(&mut quorum, None, request).error, ErrorCode::InvalidRequest);
        assert_eq!(quorum.voters(), &before);
    }
}

/// One request must not use up the epochs, nor one of a node that nobody knows end an epoch.
#[test]
fn nobody_uses_up_the_epochs() {
    let mut quorum = lead();
    let before = quorum.epoch();
    let own = voter(1).key();
    let far = LeaderEpoch(i32::MAX);
    let begin = BeginEpochRequest {
        epoch: far,
        leader: BrokerId(2),
        endpoints: vec![endpoint(2)],
        voter: own,
    };
    let end = EndEpochRequest { epoch: far, leader: BrokerId(2), successors: Vec::new() };
    for request in [
        vote(far.0, voter(2).key(), own, false),
        vote(far.0, voter(9).key(), own, false),
        Request::BeginEpoch(begin),
        Request::EndEpoch(end),
    ] {
        let refused = answer(&mut quorum, Some("ours"), request).error;
        assert_eq!((refused, quorum.epoch()), (ErrorCode::InvalidRequest, before));
    }
    // Unknown, and without anything that this node has not.
    let request = VoteRequest {
        epoch: LeaderEpoch(before.0 + 1),
        candidate: voter(9).key(),
        voter: own,
        last_epoch: before,
        end_offset: quorum.log_end(),
        pre_vote: false,
    };
    let refused = answer(&mut quorum, Some("ours"), Request::Vote(request)).error;
    assert_eq!((refused, quorum.epoch()), (ErrorCode::InvalidVoterKey, before));
    assert_eq!(quorum.leader(), Some(BrokerId(1)));
}
