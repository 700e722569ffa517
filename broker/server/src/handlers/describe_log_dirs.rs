//! DescribeLogDirs: the log directories, the partitions in them, and the room there is.

use std::collections::{BTreeMap, BTreeSet};

use node::LogDirState;
use wire::ErrorCode;
use wire::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};

use crate::dispatch::{Answer, Call};

/// The partitions asked for, by topic; `None` = all.
type Asked = Option<BTreeMap<String, BTreeSet<i32>>>;

pub(crate) fn handle(
    call: &Call,
    request: DescribeLogDirsRequest,
) -> Answer<DescribeLogDirsResponse> {
    Answer::blocking(call, move |broker| {
        let asked: Asked = request.topics.map(|topics| {
            let mut asked: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
            for topic in topics {
                asked.entry(topic.topic).or_default().extend(topic.partitions);
            }
            asked
        });
        let dirs = broker.node.describe_log_dirs();
        let results = dirs.into_iter().map(|dir| result(dir, &asked)).collect();
        DescribeLogDirsResponse { results, ..DescribeLogDirsResponse::default() }
    })
}

fn result(dir: LogDirState, asked: &Asked) -> DescribeLogDirsResult {
    let log_dir = std::path::absolute(&dir.path).unwrap_or(dir.path).display().to_string();
    let Some(space) = dir.space else {
        return DescribeLogDirsResult {
            error_code: ErrorCode::KafkaStorageError.code(),
            log_dir,
            ..DescribeLogDirsResult::default()
        };
    };
    let mut topics: BTreeMap<String, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (partition, size) in dir.partitions {
        let partition_index = partition.partition.0;
        let wanted = asked.as_ref().is_none_or(|asked| {
            asked.get(&partition.topic).is_some_and(|all| all.contains(&partition_index))
        });
        if wanted {
            // The leader's log is the one that others lag behind.
            topics.entry(partition.topic).or_default().push(DescribeLogDirsPartition {
                partition_index,
                partition_size: i64::try_from(size).unwrap_or(i64::MAX),
                offset_lag: 0,
                is_future_key: false,
            });
        }
    }
    let topic = |(name, partitions)| DescribeLogDirsTopic { name, partitions };
    DescribeLogDirsResult {
        error_code: ErrorCode::None.code(),
        log_dir,
        topics: topics.into_iter().map(topic).collect(),
        total_bytes: i64::try_from(space.total).unwrap_or(i64::MAX),
        usable_bytes: i64::try_from(space.free).unwrap_or(i64::MAX),
        is_cordoned: dir.cordoned,
    }
}
