//! Logs that are gone. The recovery points name every log that a directory had: one with records
//! whose folder is not there, not even under `-delete`, has been taken away, and is not made anew
//! (decision 004).

use std::collections::BTreeSet;
use std::sync::Arc;

use wire::ids::{Offset, Uuid};

use super::load::{Job, LoadArgs, Loaded, LoadedLog, Placement};
use super::log_dir::{Checkpoints, LogDir, held};
use super::log_dirs::{LogDirs, NewPartition};
use super::{DirectoryError, Suffix, TopicPartition};
use crate::log::{CutTail, RecoveryReport};

/// What one directory has.
pub(super) struct Scanned {
    pub(super) jobs: Vec<Job>,
    /// The logs that are there, those of the jobs and others.
    pub(super) names: BTreeSet<TopicPartition>,
    /// The directories under `-delete` and `-stray`.
    pub(super) retired: Vec<String>,
    pub(super) checkpoints: Arc<Checkpoints>,
    pub(super) epoch: Option<i64>,
    pub(super) place: usize,
}

impl Scanned {
    /// Whether an older log of this name is on its way out: the checkpoints may still name it.
    fn is_retired(&self, partition: &TopicPartition) -> bool {
        [Suffix::Delete, Suffix::Stray].into_iter().any(|suffix| {
            let like = partition.retired_name(Uuid::ZERO, suffix);
            let (stem, _) = like.rsplit_once('.').unwrap_or_default();
            let stem = format!("{stem}.");
            self.retired.iter().any(|name| name.starts_with(&stem))
        })
    }
}

impl LogDirs {
    /// Finds the logs that a directory had at its last checkpoint and that are nowhere now.
    pub(super) fn find_lost(&self, scanned: &[Scanned], args: &LoadArgs<'_>, loaded: &mut Loaded) {
        for here in scanned {
            let Some(dir) = self.dirs.get(here.place) else { continue };
            for (partition, point) in &here.checkpoints.recovery_points {
                let there = |scanned: &Scanned| scanned.names.contains(partition);
                let from = here.checkpoints.log_start(partition);
                if *point <= from || scanned.iter().any(there) || here.is_retired(partition) {
                    continue;
                }
                let (config, id) = match (args.place)(partition, None) {
                    Placement::Keep(config) => (config, None),
                    Placement::Adopt(config, id) => (config, Some(id)),
                    Placement::Stray => continue,
                };
                held(&self.state).put(partition, here.place);
                let accepted = args.accept.contains(&(partition.clone(), from));
                let made = id.filter(|_| accepted).map(|topic_id| {
                    let new = NewPartition { partition: partition.clone(), topic_id, config };
                    self.make_after(dir, &new, from, *point, args.now_ms)
                });
                match made {
                    Some(Ok(log)) => loaded.logs.push(log),
                    Some(Err(error)) => loaded.failed.push((partition.clone(), error)),
                    None => {
                        held(&self.state).lost.insert(partition.clone());
                        let dir = dir.path().join(partition.directory_name());
                        let (partition, upto) = (partition.clone(), *point);
                        let error =
                            DirectoryError::Lost { partition: partition.clone(), dir, from, upto };
                        loaded.failed.push((partition, error));
                    }
                }
            }
        }
    }

    /// Makes an empty log that begins where the one that is lost ended.
    fn make_after(
        &self,
        dir: &Arc<LogDir>,
        new: &NewPartition,
        from: Offset,
        upto: Offset,
        now_ms: i64,
    ) -> Result<LoadedLog, DirectoryError> {
        let (partition, path) =
            (new.partition.clone(), dir.path().join(new.partition.directory_name()));
        let log = self.make_at(&path, new, upto, now_ms)?;
        // Where it begins is in the segment's name.
        self.disk.sync_dir(&path)?;
        self.disk.sync_dir(dir.path())?;
        let lost = CutTail {
            segment: upto,
            position: 0,
            lost_from: from,
            lost_upto: Some(upto),
            bytes: 0,
            kept: None,
        };
        let report = RecoveryReport {
            dir: path,
            given_up: vec![lost],
            end_offset: Some(upto),
            ..RecoveryReport::default()
        };
        Ok(LoadedLog {
            partition,
            topic_id: Some(new.topic_id),
            log,
            high_watermark: upto,
            report,
            dir: Arc::clone(dir),
        })
    }
}
