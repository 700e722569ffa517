//! CreateTopics: validation, placement, and the answer with the resulting configuration.

use std::collections::{BTreeMap, BTreeSet};

use wire::ErrorCode;
use wire::ids::{BrokerId, LeaderEpoch, Uuid};
use wire::messages::config_record::ConfigRecord;
use wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use wire::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use wire::messages::topic_record::TopicRecord;

use super::super::{Context, Decision, PARTITIONS_PER_REQUEST_MAX, Refusal, Settings, placement};
use crate::image::{Image, NO_LEADER, Partition, ResourceKind};
use crate::topic_config::Resolved;
use crate::topic_name;
use wire::messages::metadata_records::MetadataRecord;

/// Decides a CreateTopics request. Each topic stands for itself: one refused topic does not
/// stop the others.
pub fn create_topics(
    ctx: &mut Context<'_>,
    request: &CreateTopicsRequest,
) -> Decision<CreateTopicsResponse> {
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(request.topics.len());
    let too_many = partitions_wanted(ctx, request) > PARTITIONS_PER_REQUEST_MAX;
    let repeated = repeated_names(&request.topics);
    let mut answered = BTreeSet::new();
    let mut made = 0;
    // Names of this request, in the form in which colliding names are equal.
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for topic in &request.topics {
        let decided = if repeated.contains(topic.name.as_str()) {
            if !answered.insert(topic.name.as_str()) {
                continue;
            }
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else if too_many {
            let message = "Excessively large number of partitions per request.";
            Err(Refusal::new(ErrorCode::PolicyViolation, message))
        } else {
            create_one(ctx, topic, &taken).and_then(|created| {
                let more = usize::try_from(created.response.num_partitions).unwrap_or(0);
                if !topic_name::is_internal(&topic.name) {
                    ctx.check_room(made, more)?;
                }
                made += more;
                Ok(created)
            })
        };
        match decided {
            Ok(created) => {
                if topic_name::may_collide(&topic.name) {
                    taken.insert(topic_name::collision_key(&topic.name), &topic.name);
                }
                if !request.validate_only {
                    records.extend(created.records);
                }
                results.push(created.response);
            }
            Err(refusal) => results.push(refused(topic, refusal)),
        }
    }
    let response = CreateTopicsResponse { topics: results, ..Default::default() };
    Decision { records, response }
}

/// Decides the creation of topics on first use, by the broker's defaults or, for the brokers' own
/// topics, by theirs. Whether the client and the configuration allow it is the caller's business.
pub fn auto_create(ctx: &mut Context<'_>, names: &[&str]) -> Decision<CreateTopicsResponse> {
    let request = auto_create_request(ctx.image, ctx.settings, names);
    create_topics(ctx, &request)
}

/// What a broker asks of the controller to create topics on first use.
pub fn auto_create_request(
    image: &Image,
    settings: &Settings,
    names: &[&str],
) -> CreateTopicsRequest {
    let config = |name: &str, value: String| CreatableTopicConfig {
        name: name.to_owned(),
        value: Some(value),
    };
    // Several brokers cannot replicate yet: groups work all the same.
    let several = image.brokers.len() > 1;
    let topic = |name: &str| {
        let plain = CreatableTopic {
            name: name.to_owned(),
            num_partitions: -1,
            replication_factor: -1,
            ..Default::default()
        };
        if name != topic_name::GROUP_METADATA_TOPIC {
            return plain;
        }
        CreatableTopic {
            num_partitions: settings.offsets_topic_num_partitions,
            replication_factor: if several { 1 } else { settings.offsets_topic_replication_factor },
            configs: vec![
                config("compression.type", "producer".to_owned()),
                config("cleanup.policy", "compact".to_owned()),
                config("segment.bytes", settings.offsets_topic_segment_bytes.to_string()),
            ],
            ..plain
        }
    };
    let topics = names.iter().map(|name| topic(name)).collect();
    CreateTopicsRequest { topics, ..Default::default() }
}

fn create_one(
    ctx: &mut Context<'_>,
    topic: &CreatableTopic,
    taken: &BTreeMap<String, &str>,
) -> Result<Decision<CreatableTopicResult>, Refusal> {
    check_name(ctx.image, &topic.name, taken)?;
    let resolved = check_configs(ctx, &topic.configs)?;
    let replicas = if topic.assignments.is_empty() {
        automatic(ctx, topic)?
    } else {
        manual(ctx.image, topic)?
    };
    let id = ctx.new_topic_id();
    let mut records =
        vec![MetadataRecord::Topic(TopicRecord { name: topic.name.clone(), topic_id: id.0 })];
    records.extend(topic.configs.iter().map(|config| {
        MetadataRecord::Config(ConfigRecord {
            resource_type: ResourceKind::Topic as i8,
            resource_name: topic.name.clone(),
            name: config.name.clone(),
            value: config.value.clone(),
        })
    }));
    for (index, replicas) in (0..).zip(&replicas) {
        let partition = new_partition(ctx.image, replicas);
        records.push(MetadataRecord::Partition(partition.to_record(id.0, index)));
    }
    let factor = replicas.first().map_or(0, Vec::len);
    let response = CreatableTopicResult {
        name: topic.name.clone(),
        topic_id: id.0,
        num_partitions: i32::try_from(replicas.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(factor).unwrap_or(i16::MAX),
        configs: Some(answered_configs(&resolved)),
        ..Default::default()
    };
    Ok(Decision { records, response })
}

fn partitions_wanted(ctx: &Context<'_>, request: &CreateTopicsRequest) -> usize {
    let of = |topic: &CreatableTopic| match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => usize::try_from(ctx.settings.num_partitions).unwrap_or(0),
        (0, n) => usize::try_from(n).unwrap_or(0),
        (n, _) => n,
    };
    request.topics.iter().map(of).fold(0, usize::saturating_add)
}

fn repeated_names(topics: &[CreatableTopic]) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    topics.iter().map(|t| t.name.as_str()).filter(|name| !seen.insert(*name)).collect()
}

fn check_name(image: &Image, name: &str, taken: &BTreeMap<String, &str>) -> Result<(), Refusal> {
    if name == topic_name::CLUSTER_METADATA_TOPIC {
        return Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format!("Topic '{name}' is the metadata quorum's log and cannot be created."),
        ));
    }
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidTopicException, message);
    topic_name::validate(name).map_err(|err| invalid(err.to_string()))?;
    if image.topics.id_of(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err(Refusal::new(ErrorCode::TopicAlreadyExists, message));
    }
    let in_request = taken.get(&topic_name::collision_key(name)).copied();
    if let Some(other) = image.topics.colliding_with(name).map(|n| &**n).or(in_request) {
        return Err(invalid(format!("Topic '{name}' collides with existing topic: {other}")));
    }
    Ok(())
}

fn check_configs(ctx: &Context<'_>, configs: &[CreatableTopicConfig]) -> Result<Resolved, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidConfig, message);
    let mut pairs = BTreeMap::new();
    for config in configs {
        let Some(value) = &config.value else {
            let name = &config.name;
            return Err(invalid(format!("Null value not supported for topic configs: {name}")));
        };
        pairs.insert(config.name.as_str(), value.as_str());
    }
    let defaults = ctx.settings.topic_defaults_in(ctx.image);
    defaults.validate(pairs).map_err(|err| invalid(err.to_string()))
}

fn automatic(ctx: &mut Context<'_>, topic: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let factor = match topic.replication_factor {
        -1 => ctx.settings.default_replication_factor,
        n if n < 1 => {
            return Err(Refusal::new(
                ErrorCode::InvalidReplicationFactor,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ));
        }
        n => n,
    };
    let partitions = match topic.num_partitions {
        -1 => ctx.settings.num_partitions,
        n if n < 1 => {
            return Err(Refusal::new(
                ErrorCode::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        n => n,
    };
    let partitions = usize::try_from(partitions).unwrap_or(0);
    placement::check_factor(ctx.image, usize::try_from(factor).unwrap_or(0))?;
    placement::place(ctx.image, partitions, factor, (ctx.random)())
}

fn manual(image: &Image, topic: &CreatableTopic) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let request = |what: &str| {
        let message =
            format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Refusal::new(ErrorCode::InvalidRequest, message)
    };
    if topic.replication_factor != -1 {
        return Err(request("replication factor"));
    }
    if topic.num_partitions != -1 {
        return Err(request("numPartitions"));
    }
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, message);
    let mut by_index: BTreeMap<i32, &CreatableReplicaAssignment> = BTreeMap::new();
    let mut factor = None;
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if by_index.insert(index, assignment).is_some() {
            return Err(invalid(format!(
                "Found multiple manual partition assignments for partition {index}"
            )));
        }
        let size = assignment.broker_ids.len();
        let factor = *factor.get_or_insert(size);
        check_assignment(image, index, &assignment.broker_ids, factor).map_err(invalid)?;
    }
    if !by_index.keys().copied().eq((0..).take(by_index.len())) {
        return Err(invalid(
            "partitions should be a consecutive 0-based integer sequence".to_owned(),
        ));
    }
    placement::check_factor(image, factor.unwrap_or(0))?;
    Ok(by_index.values().map(|a| a.broker_ids.iter().copied().map(BrokerId).collect()).collect())
}

/// Checks the assignment of one partition; `factor` is how many replicas the
/// others have.
pub(super) fn check_assignment(
    image: &Image,
    index: i32,
    ids: &[i32],
    factor: usize,
) -> Result<(), String> {
    if ids.is_empty() {
        return Err("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let mut seen = BTreeSet::new();
    for id in ids {
        if *id < 0 {
            return Err(format!(
                "The manual partition assignment includes an invalid broker id: {id}"
            ));
        }
        if image.brokers.get(BrokerId(*id)).is_none() {
            return Err(format!(
                "The manual partition assignment includes broker {id}, but no such broker is \
                 registered."
            ));
        }
        if !seen.insert(*id) {
            return Err(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
    }
    if ids.len() != factor {
        return Err(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this \
             is not consistent with previous partitions, which have {factor} replica(s).",
            ids.len()
        ));
    }
    let active = |id: &i32| image.brokers.get(BrokerId(*id)).is_some_and(|b| b.is_active());
    if !ids.iter().any(active) {
        return Err(format!(
            "All brokers specified in the manual partition assignment for partition {index} are \
             fenced or in controlled shutdown."
        ));
    }
    Ok(())
}

/// A partition as it begins: every active replica in sync, the first of them leading.
pub(in crate::control) fn new_partition(image: &Image, replicas: &[BrokerId]) -> Partition {
    let broker = |id: &BrokerId| image.brokers.get(*id);
    let isr: Vec<BrokerId> =
        replicas.iter().copied().filter(|id| broker(id).is_some_and(|b| b.is_active())).collect();
    // With several directories the broker chooses, and says so later.
    let directory = |id: &BrokerId| match broker(id).map(|b| b.log_dirs.as_slice()) {
        Some([only]) => *only,
        _ => Uuid::ZERO,
    };
    Partition {
        replicas: replicas.to_vec(),
        directories: replicas.iter().map(directory).collect(),
        leader: isr.first().copied().unwrap_or(NO_LEADER),
        isr,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        eligible_leader_replicas: Vec::new(),
        last_known_leader: Vec::new(),
        leader_recovering: false,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
    }
}

fn answered_configs(resolved: &Resolved) -> Vec<CreatableTopicConfigs> {
    let answer = |e: &crate::topic_config::Effective| CreatableTopicConfigs {
        name: e.name.to_owned(),
        value: Some(e.text.clone()),
        read_only: false,
        config_source: e.source.code(),
        is_sensitive: false,
    };
    resolved.iter().map(answer).collect()
}

fn refused(topic: &CreatableTopic, refusal: Refusal) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name.clone(),
        error_code: refusal.code.code(),
        error_message: Some(refusal.message),
        num_partitions: -1,
        replication_factor: -1,
        configs: Some(Vec::new()),
        ..Default::default()
    }
}
