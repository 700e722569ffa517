//! The rules of KIP-227, one test each.

use super::*;

fn key(name: &str, index: i32) -> FetchKey {
    FetchKey { topic: TopicKey::Name(Arc::from(name)), index: PartitionIndex(index) }
}

fn target(offset: i64) -> FetchTarget {
    FetchTarget {
        fetch_offset: Offset(offset),
        log_start_offset: Offset(-1),
        max_bytes: 1000,
        current_leader_epoch: LeaderEpoch::UNKNOWN,
        last_fetched_epoch: LeaderEpoch::UNKNOWN,
    }
}

fn request(id: i32, epoch: i32, partitions: &[(&str, i32, i64)]) -> SessionRequest {
    SessionRequest {
        session_id: id,
        session_epoch: epoch,
        by_topic_id: false,
        from_follower: false,
        partitions: partitions.iter().map(|(t, p, at)| (key(t, *p), target(*at))).collect(),
        forgotten: Vec::new(),
    }
}

fn quiet(high_watermark: i64) -> Outcome {
    Outcome {
        has_records: false,
        high_watermark: Offset(high_watermark),
        log_start_offset: Offset(0),
        is_error: false,
        is_redirect: false,
    }
}

/// Creates a session over the partitions, all answered quietly at high watermark 5.
fn create(cache: &SessionCache, now_ms: i64, partitions: &[(&str, i32, i64)]) -> i32 {
    let context = cache.begin(now_ms, request(0, 0, partitions)).unwrap();
    let outcomes = vec![quiet(5); partitions.len()];
    let reply = cache.finish(now_ms, context, &outcomes);
    assert_eq!(reply.error, ErrorCode::None);
    assert!(reply.include.iter().all(|named| *named));
    reply.session_id
}

fn names(context: &FetchContext) -> Vec<(FetchKey, i64)> {
    context.partitions().iter().map(|(key, at)| (key.clone(), at.fetch_offset.0)).collect()
}

#[test]
fn sessionless_fetch_remembers_nothing() {
    let cache = SessionCache::new(10, 1);
    let context = cache.begin(0, request(0, FINAL_EPOCH, &[("a", 0, 3)])).unwrap();
    let reply = cache.finish(0, context, &[quiet(5)]);
    assert_eq!((reply.session_id, reply.include), (NO_SESSION, vec![true]));
    assert!(cache.is_empty());
}

#[test]
fn unknown_session_and_wrong_epoch_are_refused() {
    let cache = SessionCache::new(10, 1);
    let refused = cache.begin(0, request(77, 1, &[])).unwrap_err();
    assert_eq!(refused, ErrorCode::FetchSessionIdNotFound);
    let id = create(&cache, 0, &[("a", 0, 3)]);
    let refused = cache.begin(0, request(id, 2, &[])).unwrap_err();
    assert_eq!(refused, ErrorCode::InvalidFetchSessionEpoch);
    cache.begin(0, request(id, 1, &[])).unwrap();
    let refused = cache.begin(0, request(id, 1, &[])).unwrap_err();
    assert_eq!(refused, ErrorCode::InvalidFetchSessionEpoch);
    cache.begin(0, request(id, 2, &[])).unwrap();
}

#[test]
fn a_session_keeps_to_names_or_to_ids() {
    let cache = SessionCache::new(10, 1);
    let id = create(&cache, 0, &[("a", 0, 3)]);
    let mut by_id = request(id, 1, &[]);
    by_id.by_topic_id = true;
    let refused = cache.begin(0, by_id).unwrap_err();
    assert_eq!(refused, ErrorCode::FetchSessionTopicIdError);
}

#[test]
fn an_incremental_fetch_adds_updates_and_forgets() {
    let cache = SessionCache::new(10, 1);
    let id = create(&cache, 0, &[("a", 0, 3), ("a", 1, 4), ("b", 0, 5)]);
    let mut next = request(id, 1, &[("c", 7, 1), ("a", 1, 9)]);
    next.forgotten = vec![key("b", 0)];
    let context = cache.begin(0, next).unwrap();
    assert!(context.is_incremental());
    assert_eq!(names(&context), [(key("a", 0), 3), (key("a", 1), 9), (key("c", 7), 1)]);
}

#[test]
fn only_what_changed_is_answered() {
    let cache = SessionCache::new(10, 1);
    let listed = [("a", 0, 3), ("a", 1, 4), ("a", 2, 0), ("a", 3, 0), ("a", 4, 0)];
    let id = create(&cache, 0, &listed);
    let context = cache.begin(0, request(id, 1, &[("a", 9, 0)])).unwrap();
    let records = Outcome { has_records: true, ..quiet(5) };
    let error = Outcome { is_error: true, ..quiet(5) };
    let start = Outcome { log_start_offset: Offset(2), ..quiet(5) };
    let outcomes = [quiet(5), quiet(6), records, error, start, quiet(0)];
    let reply = cache.finish(0, context, &outcomes);
    assert_eq!(reply.session_id, id);
    assert_eq!(reply.include, [false, true, true, true, true, true]);

    // The one with records went to the end; the one with an error is told once more.
    let context = cache.begin(0, request(id, 2, &[])).unwrap();
    let order: Vec<_> = names(&context).into_iter().map(|(key, _)| key.index.0).collect();
    assert_eq!(order, [0, 1, 3, 4, 9, 2]);
    let outcomes = [quiet(5), quiet(6), quiet(5), start, quiet(0), quiet(5)];
    let reply = cache.finish(0, context, &outcomes);
    assert_eq!(reply.include, [false, false, true, false, false, false]);
}

#[test]
fn emptying_a_session_ends_it() {
    let cache = SessionCache::new(10, 1);
    let id = create(&cache, 0, &[("a", 0, 3)]);
    let mut last = request(id, 1, &[]);
    last.forgotten = vec![key("a", 0)];
    let context = cache.begin(0, last).unwrap();
    assert!(context.partitions().is_empty());
    assert_eq!(cache.finish(0, context, &[]).session_id, NO_SESSION);
    assert!(cache.is_empty());
}

#[test]
fn a_full_fetch_ends_the_session_it_names() {
    for epoch in [INITIAL_EPOCH, FINAL_EPOCH] {
        let cache = SessionCache::new(10, 1);
        let id = create(&cache, 0, &[("a", 0, 3)]);
        let context = cache.begin(0, request(id, epoch, &[("a", 0, 3)])).unwrap();
        assert!(cache.is_empty());
        let reply = cache.finish(0, context, &[quiet(5)]);
        assert_eq!(reply.session_id == NO_SESSION, epoch == FINAL_EPOCH);
        assert_ne!(reply.session_id, id);
    }
}

#[test]
fn an_overtaken_fetch_is_refused_at_its_end() {
    let cache = SessionCache::new(10, 1);
    let id = create(&cache, 0, &[("a", 0, 3)]);
    let slow = cache.begin(0, request(id, 1, &[])).unwrap();
    let fast = cache.begin(0, request(id, 2, &[])).unwrap();
    let reply = cache.finish(0, slow, &[quiet(9)]);
    assert_eq!(reply.error, ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(cache.finish(0, fast, &[quiet(9)]).include, [true]);
}

#[test]
fn slots_run_out_and_only_the_long_unused_give_way() {
    let cache = SessionCache::new(2, 1);
    let first = create(&cache, 0, &[("a", 0, 0)]);
    let second = create(&cache, 10, &[("a", 0, 0)]);
    assert_eq!(create(&cache, 20, &[("a", 0, 0)]), NO_SESSION);
    let late = SESSION_EVICTION_MS + 1;
    let third = create(&cache, late, &[("a", 0, 0)]);
    assert_ne!(third, NO_SESSION);
    let gone = cache.begin(late, request(first, 1, &[])).unwrap_err();
    assert_eq!(gone, ErrorCode::FetchSessionIdNotFound);
    cache.begin(late, request(second, 1, &[])).unwrap();
}

#[test]
fn a_bigger_session_pushes_out_a_settled_smaller_one() {
    let cache = SessionCache::new(1, 1);
    let small = create(&cache, 0, &[("a", 0, 0)]);
    // In use, so not long unused, but old enough to have settled.
    let late = SESSION_EVICTION_MS + 1;
    cache.begin(SESSION_EVICTION_MS, request(small, 1, &[])).unwrap();
    cache.begin(late, request(small, 2, &[])).unwrap();
    let big = create(&cache, late + 1, &[("a", 0, 0), ("a", 1, 0)]);
    assert_ne!(big, NO_SESSION);
    // The newcomer has not settled: nobody but a follower pushes it out.
    let bigger = [("a", 0, 0), ("a", 1, 0), ("a", 2, 0)];
    assert_eq!(create(&cache, late + 2, &bigger), NO_SESSION);
    let mut follower = request(0, 0, &[("a", 0, 0)]);
    follower.from_follower = true;
    let context = cache.begin(late + 3, follower).unwrap();
    assert_ne!(cache.finish(late + 3, context, &[quiet(5)]).session_id, NO_SESSION);
    assert_eq!(cache.len(), 1);
}

#[test]
fn epochs_wrap_to_one() {
    assert_eq!(next_epoch(1), 2);
    assert_eq!(next_epoch(i32::MAX), 1);
}

#[test]
fn the_partitions_of_all_sessions_together_are_bounded() {
    let half = i32::try_from(cache::PARTITIONS_MAX / 2).unwrap();
    let many: Vec<(&str, i32, i64)> = (0..half).map(|index| ("a", index, 0)).collect();
    let cache = SessionCache::new(10, 1);
    let first = create(&cache, 0, &many);
    let second = create(&cache, 0, &many);
    assert!(first != NO_SESSION && second != NO_SESSION);
    assert_eq!(create(&cache, 0, &[("b", 0, 0)]), NO_SESSION, "beyond the bound");
    // One that grows beyond it ends with the answer.
    cache.begin(0, request(second, 1, &[("b", 0, 0)])).unwrap();
    let gone = cache.begin(0, request(second, 2, &[])).unwrap_err();
    assert_eq!(gone, ErrorCode::FetchSessionIdNotFound);
    assert_ne!(create(&cache, 0, &[("b", 0, 0)]), NO_SESSION, "there is room again");
    // The long unused give way.
    assert_ne!(create(&cache, SESSION_EVICTION_MS + 1, &many), NO_SESSION);
}
