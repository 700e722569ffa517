"""The bugs that whole clusters have to show: a name, the file under broker, the text, and what
takes its place. The simulator of tests/sim has to catch each; most are where the quorum's own
simulator does not reach."""

MUTANTS = [
    ("sim-vote-without-fsync", "node/src/metadata_log/carry_out.rs",
     "write_file_in_any_case(&*self.disk, &self.dir.join(QUORUM_STATE), &file)?;",
     "use storage::disk::Disk as _;\n"
     "                let path = self.dir.join(QUORUM_STATE);\n"
     "                let state = self.disk.open(&path, Access::CreateTruncate)?;\n"
     "                state.write_all_at(&[IoSlice::new(&file)], 0)?;"),
    ("sim-acknowledge-before-fsync", "node/src/metadata_log/carry_out.rs",
     "                self.log.flush()?;\n", ""),
    ("sim-commit-an-older-epoch-by-count", "quorum/src/quorum/leader.rs",
     "majority.filter(|upto| *upto > start)",
     "majority.filter(|upto| *upto <= start || *upto > start)"),
    ("sim-skip-truncation", "quorum/src/quorum/follower.rs",
     "self.out.push(Effect::Truncate { end });",
     "if end == self.log.start() {\n"
     "            self.out.push(Effect::Truncate { end });\n        }"),
    ("sim-count-the-wiped-disk", "quorum/src/voters.rs",
     "self.id == voter.id && (voter.directory.is_zero() || self.directory == voter.directory)",
     "self.id == voter.id && voter.directory >= Uuid::ZERO"),
    ("sim-two-voter-changes-at-once", "quorum/src/quorum/membership.rs",
     "if !settled || leader.change.is_some() {",
     "if !settled && self.voters().is_empty() {"),
    ("sim-vote-for-anybody", "quorum/src/quorum/votes.rs",
     "let up_to_date = (request.last_epoch, request.end_offset) >= self.own_end();",
     "let up_to_date = self.own_end().1 <= self.log.end();"),
    ("sim-lose-a-snapshots-tail", "quorum/src/snapshot.rs",
     "let bytes = data_batch(next, self.id.epoch, now_ms, batch)?;",
     "let batch = batch.get(..batch.len().div_ceil(2)).unwrap_or_default();\n"
     "            let bytes = data_batch(next, self.id.epoch, now_ms, batch)?;"),
    ("sim-cut-records-are-applied", "node/src/metadata_log/carry_out.rs",
     "while self.tail.pop_back_if(|batch| batch.last >= end).is_some() {}", ""),
    ("sim-apply-before-commit", "node/src/metadata_log/mod.rs",
     "self.tail.pop_front_if(|batch| batch.last < upto)",
     "self.tail.pop_front_if(|batch| batch.last < upto.plus(4))"),
    ("sim-answer-before-commit", "node/src/control/leading.rs",
     "lead.proposals.pop_front_if(|waiting| waiting.last < upto)",
     "lead.proposals.pop_front_if(|waiting| waiting.last < upto.plus(9))"),
    ("sim-image-skips-a-record", "node/src/metadata_log/mod.rs",
     "records.extend(batch.records);",
     "let all = batch.records.len();\n"
     "            records.extend(batch.records.into_iter().take(all.min(3)));"),
    ("sim-snapshot-without-producer-ids", "metadata/src/snapshot.rs",
     "if self.producer_ids != ProducerIds::default() {",
     "if self.producer_ids.next < 0 {"),
    ("sim-producer-ids-not-written", "metadata/src/control/producer_ids.rs",
     "Decision { records: vec![record], response: Ok(block) }",
     "Decision { records: [record].into_iter().skip(1).collect(), response: Ok(block) }"),
    ("sim-broker-epoch-reused", "node/src/control/decisions.rs",
     "requests::register_broker(ctx.image, r, next_offset, alive);",
     "requests::register_broker(ctx.image, r, next_offset / 8, alive);"),
    ("sim-heartbeat-of-an-old-epoch", "metadata/src/control/brokers/mod.rs",
     "if broker.epoch != epoch {",
     "if broker.epoch < epoch {"),
    ("sim-successor-in-the-old-directory", "node/src/control/driving.rs",
     "let taken = |name: &str| succeeded.contains(name);",
     "let taken = |name: &str| succeeded.len() > 999 && succeeded.contains(name);"),
    ("sim-records-not-flushed", "replication/src/append.rs",
     "if self.lock().durable_upto() >= upto {",
     "if self.lock().durable_upto() <= upto {"),
]
