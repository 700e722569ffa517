//! Apache Kafka's own DumpLogSegments reads everything that the log writes, without complaint.
//!
//! Logs with every feature are written on the real disk; then two JVMs read all their files: one
//! decodes every record and compares the indexes with the log, the other runs the index sanity
//! check. The jars of Apache Kafka 4.3.1 are in `$TIDELOG_TEST_CACHE/kafka-4.3.1/libs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail, and its cache is named by the environment"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use tidelog_storage::LogConfig;
use tidelog_storage::disk::os::OsDisk;
use tidelog_storage::log::{AppendOrigin, Log, OpenArgs, RecoveryReport};
use wire::compression::Codec;
use wire::ids::{LeaderEpoch, Offset};
use wire::records::{BatchBuilder, BatchOptions, ControlType, TimestampType, control_batch};

const NOW: i64 = 1_700_000_000_000;

/// Words by which the tool reports what it does not like.
const COMPLAINTS: [&str; 8] = [
    "ismatch",
    "out of order",
    "not found in the log",
    "invalid bytes",
    "isvalid: false",
    "sanity check failed",
    "Exception",
    "Unable",
];

struct Written {
    root: PathBuf,
    /// Records in all logs together.
    records: usize,
}

impl Drop for Written {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

fn open(
    dir: &Path,
    config: LogConfig,
    clean: bool,
    recovery_point: Offset,
) -> (Log, RecoveryReport) {
    std::fs::create_dir_all(dir).unwrap();
    Log::open(OpenArgs {
        disk: Arc::new(OsDisk),
        dir: dir.to_path_buf(),
        config: Arc::new(config),
        recovery_point,
        intact_below: Offset(0),
        log_start_offset: Offset(0),
        clean,
        was_compacted: false,
        accept: Vec::new(),
        now_ms: NOW,
    })
    .unwrap()
}

fn batch(options: BatchOptions, at: i64, count: i64) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for n in 0..count {
        let value = format!("value {at} {n} {}", "tidal ".repeat(usize::try_from(n).unwrap()));
        let key = format!("key-{n}");
        builder.append(
            NOW + at * 10 + n,
            Some(key.as_bytes()),
            Some(value.as_bytes()),
            &[(b"header", Some(b"h"))],
        );
    }
    builder.build().unwrap()
}

fn small() -> LogConfig {
    LogConfig { segment_bytes: 20_000, index_interval_bytes: 500, ..LogConfig::default() }
}

fn append(log: &mut Log, batches: Bytes, origin: AppendOrigin, epoch: i32) {
    log.append(NOW + 5000, batches, origin, LeaderEpoch(epoch)).unwrap();
}

/// Idempotent batches of every codec, over several segments and leader epochs.
fn write_codecs(root: &Path) -> usize {
    let dir = root.join("codecs-0");
    let (mut log, _) = open(&dir, small(), true, Offset(0));
    for at in 0..300_i32 {
        let options = BatchOptions {
            codec: Codec::ALL[usize::try_from(at).unwrap() % 5],
            producer_id: 4000 + i64::from(at % 3),
            producer_epoch: 1,
            base_sequence: at / 3 * 10,
            ..BatchOptions::default()
        };
        append(&mut log, batch(options, i64::from(at), 10), AppendOrigin::Client, at / 50);
    }
    assert!(log.segment_count() > 4);
    log.close().unwrap();
    3000
}

/// A log of a killed broker, recovered, appended to and killed again: its active index is as the
/// broker left it.
fn write_killed(root: &Path) -> usize {
    let dir = root.join("killed-1");
    let (mut log, _) = open(&dir, small(), true, Offset(0));
    for at in 0..100 {
        append(&mut log, batch(BatchOptions::default(), at, 20), AppendOrigin::Client, 0);
    }
    drop(log);
    let (mut log, report) = open(&dir, small(), false, Offset(0));
    assert_eq!(report.end_offset, Some(Offset(2000)));
    for at in 100..150 {
        append(&mut log, batch(BatchOptions::default(), at, 20), AppendOrigin::Client, 1);
    }
    log.flush().unwrap();
    3000
}

/// The broker's time, and batches out of order in time before a truncation.
fn write_times(root: &Path) -> usize {
    let stamped = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..small() };
    let (mut log, _) = open(&root.join("stamped-0"), stamped, true, Offset(0));
    for at in 0..60 {
        let batch = batch(BatchOptions::default(), -at, 20);
        log.append(NOW + at, batch, AppendOrigin::Client, LeaderEpoch(0)).unwrap();
    }
    log.close().unwrap();
    let (mut log, _) = open(&root.join("times-0"), small(), true, Offset(0));
    for at in 0..60 {
        let at = if at % 7 == 0 { at } else { at * 13 % 60 };
        append(&mut log, batch(BatchOptions::default(), at, 20), AppendOrigin::Client, 0);
    }
    if let Some(gone) = log.truncate(NOW, Offset(905)).unwrap() {
        gone.run(&OsDisk).unwrap();
    }
    append(&mut log, batch(BatchOptions::default(), 99, 20), AppendOrigin::Client, 7);
    log.close().unwrap();
    1200 + 920
}

/// A transaction as a coordinator writes it: data, then the marker that commits it.
fn write_transaction(root: &Path) -> usize {
    let (mut log, _) = open(&root.join("__consumer_offsets-3"), small(), true, Offset(0));
    let options = BatchOptions {
        producer_id: 77,
        producer_epoch: 2,
        transactional: true,
        ..BatchOptions::default()
    };
    append(&mut log, batch(options, 0, 5), AppendOrigin::Coordinator, 0);
    let value = Bytes::from_static(&[0, 0, 0, 0, 0, 9]);
    let marker = control_batch(options, NOW, &[(ControlType::Commit, value)]).unwrap();
    append(&mut log, marker, AppendOrigin::Coordinator, 0);
    log.roll(NOW).unwrap();
    append(&mut log, batch(BatchOptions::default(), 1, 3), AppendOrigin::Coordinator, 0);
    log.close().unwrap();
    9
}

fn write_all() -> Written {
    let root = std::env::temp_dir().join(format!("tidelog-dump-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let records =
        write_codecs(&root) + write_killed(&root) + write_times(&root) + write_transaction(&root);
    Written { root, records }
}

/// All files below `root` with one of these extensions, oldest first.
fn files(root: &Path, extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for dir in std::fs::read_dir(root).unwrap() {
        for file in std::fs::read_dir(dir.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if extensions.contains(&extension.as_str()) {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn jars() -> String {
    let cache = std::env::var("TIDELOG_TEST_CACHE").unwrap_or_else(|_| "/work/cache".to_owned());
    let libs = Path::new(&cache).join("kafka-4.3.1/libs");
    assert!(
        libs.is_dir(),
        "Apache Kafka 4.3.1 is not in {}: run `tests/run tools`, or set TIDELOG_TEST_CACHE",
        libs.display()
    );
    format!("{}/*", libs.display())
}

fn dump(files: &[String], flags: &[&str]) -> String {
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &jars()])
        .arg("org.apache.kafka.tools.DumpLogSegments")
        .args(flags)
        .args(["--files", &files.join(",")])
        .output()
        .expect("java runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{flags:?}: {errors}\n{text}");
    for complaint in COMPLAINTS {
        let line = text.lines().chain(errors.lines()).find(|line| line.contains(complaint));
        assert_eq!(line, None, "{flags:?} complains");
    }
    // The tool of 4.3.1 begins every file expecting offset 0, so it lists the first record of each
    // later segment. Any other gap is ours.
    let gap = text
        .lines()
        .find(|line| line.contains(" is followed by ") && !line.trim().starts_with("-1 is "));
    assert_eq!(gap, None);
    text
}

#[test]
fn kafka_reads_what_we_write() {
    let written = write_all();
    let all = files(&written.root, &["log", "index", "timeindex", "snapshot"]);
    assert!(all.len() > 40, "{all:?}");
    let text = dump(&all, &["--deep-iteration", "--print-data-log"]);
    let records = text.lines().filter(|line| line.starts_with("| offset: ")).count();
    assert_eq!(records, written.records);
    for expect in [
        "compresscodec: zstd",
        "compresscodec: lz4",
        "compresscodec: snappy",
        "compresscodec: gzip",
        "LogAppendTime: ",
        "partitionLeaderEpoch: 5",
        "endTxnMarker: COMMIT coordinatorEpoch: 9",
        "coordinatorEpoch: 9 currentTxnFirstOffset: OptionalLong.empty",
        "producerId: 4002 producerEpoch: 1",
        "payload: value 299 9 tidal",
    ] {
        assert!(text.contains(expect), "{expect} is missing");
    }
    for file in &all {
        assert!(text.contains(&format!("Dumping {file}")), "{file} was not read");
    }
    let indexes = files(&written.root, &["index", "timeindex"]);
    let sane = dump(&indexes, &["--index-sanity-check"]);
    // An index without entries, of a segment of less than one interval, "is empty".
    let passed = sane
        .lines()
        .filter(|line| line.ends_with("passed sanity check.") || line.ends_with(".index is empty."))
        .count();
    assert_eq!(passed, indexes.len(), "{sane}");
}
