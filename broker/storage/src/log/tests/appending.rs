//! What an append takes, refuses and writes.

use wire::compression::Codec;
use wire::records::TimestampType;

use super::*;
use crate::disk::sim::Fault;
use crate::disk::{Access, DiskErrorKind, Operation};

#[test]
fn offsets_and_epochs_are_given() {
    let mut log = Home::new().log();
    assert_eq!(appended(&mut log, plain(3)), (0, 2));
    let both = [plain(2), plain(1)].concat();
    let done = log.append(NOW, both.into(), AppendOrigin::Coordinator, LeaderEpoch(3)).unwrap();
    assert_eq!((done.first_offset, done.last_offset), (Offset(3), Offset(5)));
    let slice = log.read(Offset(0), 1 << 20, log.end_offset(), true).unwrap();
    let headers: Vec<_> = batches(&slice).iter().map(|b| *b.header()).collect();
    assert_eq!(headers.iter().map(|h| h.base_offset).collect::<Vec<_>>(), [0, 3, 5]);
    assert!(headers.iter().all(|h| h.partition_leader_epoch == 3));
    assert_eq!(log.epochs().entries(), [(LeaderEpoch(3), Offset(0))]);
}

#[test]
fn every_codec_passes_through_untouched() {
    let mut log = Home::new().log();
    for codec in Codec::ALL {
        let options = BatchOptions { codec, ..BatchOptions::default() };
        let sent = batch_of(options, &[(NOW, "a"), (NOW, "b")]);
        let (first, _) = appended(&mut log, sent.clone());
        let slice = log.read(Offset(first), 1 << 20, log.end_offset(), true).unwrap();
        assert_eq!(batches(&slice)[0].bytes()[16..], sent[16..]);
    }
}

fn refused(config: LogConfig, batches: Bytes) -> AppendError {
    let mut log = Home::with(config).log();
    let error = append(&mut log, batches).unwrap_err();
    assert_eq!(log.end_offset(), Offset(0));
    assert_eq!(log.size_bytes(), 0);
    assert!(!log.is_poisoned());
    error
}

#[test]
fn bad_batches_are_refused_by_kind() {
    let config = LogConfig::default();
    let mut flipped = plain(2).to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(config.clone(), flipped.into()), AppendError::Corrupt(_)));
    let mut old = plain(2).to_vec();
    old[16] = 1;
    assert!(matches!(
        refused(config.clone(), old.into()),
        AppendError::UnsupportedFormat { magic: 1 }
    ));
    let mut unknown = plain(2).to_vec();
    unknown[16] = 3;
    assert!(matches!(refused(config.clone(), unknown.into()), AppendError::Corrupt(_)));
    let two: Bytes = [plain(2), plain(1)].concat().into();
    assert!(matches!(refused(config.clone(), two), AppendError::SeveralBatches));
    let torn = plain(2).slice(..60);
    assert!(matches!(refused(config.clone(), torn), AppendError::Corrupt(_)));
    let control = BatchOptions { control: true, ..BatchOptions::default() };
    let control = batch_of(control, &[(NOW, "c")]);
    assert!(matches!(refused(config.clone(), control), AppendError::ControlBatch));
    let transactional = BatchOptions {
        transactional: true,
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        ..BatchOptions::default()
    };
    let transactional = batch_of(transactional, &[(NOW, "t")]);
    assert!(matches!(refused(config.clone(), transactional), AppendError::Transactional));
    assert!(matches!(refused(config.clone(), Bytes::new()), AppendError::Empty));
    let small = LogConfig { max_message_bytes: 100, ..config.clone() };
    assert!(matches!(refused(small, plain(9)), AppendError::BatchTooLarge { max: 100, .. }));
    let short = LogConfig { segment_bytes: 100, ..config };
    assert!(matches!(refused(short, plain(9)), AppendError::AppendTooLarge { max: 100, .. }));
}

#[test]
fn create_time_has_limits() {
    let hour = 3_600_000;
    let early = batch_of(BatchOptions::default(), &[(NOW - hour, "e")]);
    let late = batch_of(BatchOptions::default(), &[(NOW + hour + 1, "l")]);
    let config = LogConfig { timestamp_before_max_ms: hour - 1, ..LogConfig::default() };
    assert!(matches!(refused(config, early.clone()), AppendError::TimestampOutOfRange { .. }));
    assert!(matches!(
        refused(LogConfig::default(), late.clone()),
        AppendError::TimestampOutOfRange { .. }
    ));
    let append_time =
        LogConfig { timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    let mut log = Home::with(append_time).log();
    let done = append(&mut log, late).unwrap();
    assert_eq!(done.log_append_time_ms, NOW);
    let slice = log.read(Offset(0), 1 << 20, log.end_offset(), true).unwrap();
    let stored = &batches(&slice)[0];
    stored.verify_crc().unwrap();
    assert_eq!(stored.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(stored.header().max_timestamp, NOW);
    assert_eq!(append(&mut Home::new().log(), early).unwrap().log_append_time_ms, -1);
}

#[test]
fn a_full_disk_refuses_and_heals() {
    let home = Home::new();
    let mut log = home.log();
    appended(&mut log, plain(10));
    home.disk.set_capacity(Some(home.disk.used() + 20));
    let before = log.size_bytes();
    assert!(matches!(append(&mut log, plain(10)), Err(AppendError::DiskFull(_))));
    assert_eq!((log.end_offset(), log.size_bytes()), (Offset(10), before));
    assert_eq!(read_all(&log, 0), [0]);
    let file = home.disk.open(&path("00000000000000000000.log"), Access::Read).unwrap();
    assert_eq!(file.len().unwrap(), before, "nothing of it is left in the file");
    home.disk.set_capacity(None);
    assert_eq!(appended(&mut log, plain(1)), (10, 10));
    assert_eq!(read_all(&log, 0), [0, 10]);
}

#[test]
fn a_broken_disk_closes_the_log_for_writing_only() {
    let home = Home::new();
    let mut log = home.log();
    appended(&mut log, plain(10));
    home.disk.inject(Fault::nth(Operation::Write, 1));
    let error = append(&mut log, plain(1)).unwrap_err();
    let AppendError::Disk(error) = error else { panic!("{error}") };
    assert!(matches!(error.kind, DiskErrorKind::Io { .. }));
    home.disk.clear_faults();
    assert!(matches!(append(&mut log, plain(1)), Err(AppendError::Poisoned)));
    assert_eq!(read_all(&log, 0), [0]);
}

#[test]
fn short_writes_are_completed() {
    let home = Home::new();
    home.disk.set_short_writes(true);
    let mut log = home.log();
    appended(&mut log, plain(100));
    assert_eq!(read_all(&log, 0), [0]);
}

#[test]
fn segments_roll_by_size_time_and_index() {
    let size = LogConfig { segment_bytes: 1000, ..LogConfig::default() };
    let home = Home::with(size);
    let mut log = home.log();
    for _ in 0..5 {
        appended(&mut log, plain(20));
    }
    assert_eq!(log.segment_count(), 3);
    assert_eq!(home.names(".log").len(), 3);
    assert_eq!(home.names(".snapshot").len(), 2);
    assert_eq!(read_all(&log, 0), [0, 20, 40, 60, 80]);

    let time = LogConfig { segment_ms: 1000, ..LogConfig::default() };
    let mut log = Home::with(time).log();
    for at in [0, 500, 1000, 1001, 1500] {
        appended(&mut log, batch_of(BatchOptions::default(), &[(NOW + at, "t")]));
    }
    assert_eq!(log.segment_count(), 2);

    let index =
        LogConfig { segment_index_bytes: 24, index_interval_bytes: 10, ..LogConfig::default() };
    let mut log = Home::with(index).log();
    for at in 0..9 {
        appended(&mut log, batch_of(BatchOptions::default(), &[(NOW + at, "index")]));
    }
    assert_eq!(log.segment_count(), 3);
    assert_eq!(read_all(&log, 0).len(), 9);
}

#[test]
fn followers_append_what_the_leader_wrote() {
    let mut leader = Home::new().log();
    appended(&mut leader, plain(3));
    appended(&mut leader, plain(2));
    let bytes = leader.read(Offset(0), 1 << 20, leader.end_offset(), true).unwrap();
    let bytes: Bytes = bytes.range.unwrap().read().unwrap().into();
    let mut follower = Home::new().log();
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let refused = follower.append_verbatim(NOW, flipped.into());
    assert!(matches!(refused, Err(AppendError::Corrupt(_))));
    assert_eq!(follower.end_offset(), Offset(0));
    follower.append_verbatim(NOW, bytes.clone()).unwrap();
    assert_eq!(follower.end_offset(), leader.end_offset());
    assert_eq!(follower.epochs(), leader.epochs());
    assert!(matches!(
        follower.append_verbatim(NOW, bytes),
        Err(AppendError::OffsetMismatch { .. })
    ));
}

#[test]
fn a_preallocated_segment_has_its_space_at_once_and_gives_back_what_it_does_not_need() {
    use std::os::unix::fs::MetadataExt;
    let root = std::env::temp_dir().join(format!("tidelog-preallocate-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let config = LogConfig { preallocate: true, segment_bytes: 1 << 20, ..LogConfig::default() };
    let args = OpenArgs {
        disk: Arc::new(crate::disk::os::OsDisk),
        dir: root.clone(),
        config: Arc::new(config),
        recovery_point: Offset(0),
        intact_below: Offset(0),
        log_start_offset: Offset(0),
        clean: true,
        was_compacted: false,
        accept: Vec::new(),
        now_ms: NOW,
    };
    let space = |base: i64| {
        let found = std::fs::metadata(root.join(format!("{base:020}.log"))).unwrap();
        (found.len(), found.blocks() * 512)
    };
    let (mut log, _) = Log::open(args.clone()).unwrap();
    assert_eq!(space(0).0, 0, "readers, Kafka's too, see the records alone");
    assert!(space(0).1 >= 1 << 20, "{:?}", space(0));
    appended(&mut log, plain(10));
    log.roll(NOW).unwrap();
    appended(&mut log, plain(10));
    assert!(space(0).1 <= 1 << 16 && space(10).1 >= 1 << 20, "{:?} {:?}", space(0), space(10));
    log.close().unwrap();
    assert!(space(10).1 <= 1 << 16, "{:?}", space(10));
    std::fs::remove_dir_all(&root).unwrap();
}
