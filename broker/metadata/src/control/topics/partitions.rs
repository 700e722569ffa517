//! CreatePartitions: a topic gets more partitions; it never gets fewer.

use std::collections::{BTreeMap, BTreeSet};

use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};

use super::super::{Context, Decision, PARTITIONS_PER_REQUEST_MAX, Refusal, placement};
use super::create::{check_assignment, new_partition};
use crate::image::{Image, Topic};
use wire::messages::metadata_records::MetadataRecord;

/// Decides a CreatePartitions request; each topic stands for itself.
pub fn create_partitions(
    ctx: &mut Context<'_>,
    request: &CreatePartitionsRequest,
) -> Decision<CreatePartitionsResponse> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.as_str()).or_default() += 1;
    }
    let mut answered = BTreeSet::new();
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(times.len());
    for topic in &request.topics {
        if !answered.insert(topic.name.as_str()) {
            continue;
        }
        let decided = if times.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            add(ctx, topic, PARTITIONS_PER_REQUEST_MAX.saturating_sub(records.len()))
        };
        let mut result =
            CreatePartitionsTopicResult { name: topic.name.clone(), ..Default::default() };
        match decided {
            Ok(made) => records.extend(made),
            Err(refusal) => {
                result.error_code = refusal.code.code();
                result.error_message = Some(refusal.message);
            }
        }
        results.push(result);
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response: CreatePartitionsResponse { results, ..Default::default() } }
}

/// The new partitions of one topic, at most `room` of them.
fn add(
    ctx: &mut Context<'_>,
    wanted: &CreatePartitionsTopic,
    room: usize,
) -> Result<Vec<MetadataRecord>, Refusal> {
    let name = &wanted.name;
    let Some(topic) = ctx.image.topics.by_name(name) else {
        let message = "This server does not host this topic-partition.";
        return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    if topic.is_internal() {
        // Kafka allows it, and every group loses its offsets with the next start.
        let message = format!(
            "The partitions of {name} are fixed: what lies in them is found by \
                               their number."
        );
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidPartitions, message);
    let count = usize::try_from(wanted.count).unwrap_or(0);
    let now = topic.partitions.len();
    if wanted.count >= 0 && count == now {
        return Err(invalid(format!("Topic already has {now} partition(s).")));
    }
    if count < now {
        return Err(invalid(format!(
            "The topic {name} currently has {now} partition(s); {} would not be an increase.",
            wanted.count
        )));
    }
    let more = count - now;
    if let Some(assignments) = &wanted.assignments
        && assignments.len() != more
    {
        let message = format!(
            "Attempted to add {more} additional partition(s), but only {} assignment(s) were \
             specified.",
            assignments.len()
        );
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    if more > room {
        let message = "Excessively large number of partitions per request.";
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    ctx.check_room(PARTITIONS_PER_REQUEST_MAX.saturating_sub(room), more)?;
    let factor = topic.partitions.values().next().map_or(1, |first| first.replicas.len());
    placement::check_factor(ctx.image, factor)?;
    let replicas = match &wanted.assignments {
        Some(assignments) => assigned(ctx.image, topic, assignments, factor)?,
        None => {
            let factor = i16::try_from(factor).unwrap_or(i16::MAX);
            placement::place(ctx.image, more, factor, (ctx.random)())?
        }
    };
    let first = i32::try_from(now).unwrap_or(i32::MAX);
    let made = (first..).zip(&replicas).map(|(index, replicas)| {
        let partition = new_partition(ctx.image, replicas);
        MetadataRecord::Partition(partition.to_record(topic.id.0, index))
    });
    Ok(made.collect())
}

fn assigned(
    image: &Image,
    topic: &Topic,
    assignments: &[CreatePartitionsAssignment],
    factor: usize,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let first = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    for (index, assignment) in (first..).zip(assignments) {
        check_assignment(image, index, &assignment.broker_ids, factor)
            .map_err(|why| Refusal::new(ErrorCode::InvalidReplicaAssignment, why))?;
    }
    let ids =
        |one: &CreatePartitionsAssignment| one.broker_ids.iter().copied().map(BrokerId).collect();
    Ok(assignments.iter().map(ids).collect())
}
