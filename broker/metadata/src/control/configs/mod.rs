//! AlterConfigs and IncrementalAlterConfigs: what is set on topics, brokers and groups.
//!
//! Each resource of a request stands for itself: it changes as a whole or not at all. The order of
//! the checks is Kafka's, because it decides which error a request with two mistakes gets.

pub(super) mod broker;
mod group;
mod operation;
mod topic;

use std::collections::{BTreeMap, BTreeSet};

use wire::ErrorCode;
use wire::messages::alter_configs_request::AlterConfigsRequest;
use wire::messages::alter_configs_response as replace;
use wire::messages::alter_configs_response::AlterConfigsResponse;
use wire::messages::config_record::ConfigRecord;
use wire::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use wire::messages::incremental_alter_configs_response as incremental;
use wire::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;

use super::{Context, Decision, RECORDS_PER_REQUEST_MAX, Refusal};
use crate::image::{Resource, ResourceKind};
use operation::{Change, Operation};
use wire::messages::metadata_records::MetadataRecord;

/// The most bytes of names and values that one request may write: they go to the metadata log in
/// one batch.
const BYTES_PER_REQUEST_MAX: usize = 4 * 1024 * 1024;

/// The number that the protocol gives to the loggers of a broker. Their levels are the process's
/// own: here only the form of a request is checked.
pub const BROKER_LOGGER: i8 = 8;

/// What is set on a resource.
type Configs = BTreeMap<String, String>;

/// What a request does to one resource.
struct Alteration<'a> {
    kind: i8,
    name: &'a str,
    changes: Vec<Change<'a>>,
    /// Keys that are not named lose their values, as AlterConfigs has it.
    replaces: bool,
}

/// Decides an IncrementalAlterConfigs request.
pub fn incremental_alter_configs(
    ctx: &Context<'_>,
    request: &IncrementalAlterConfigsRequest,
) -> Decision<IncrementalAlterConfigsResponse> {
    let alterations: Vec<Alteration<'_>> = request
        .resources
        .iter()
        .map(|resource| Alteration {
            kind: resource.resource_type,
            name: &resource.resource_name,
            changes: resource.configs.iter().map(Change::incremental).collect(),
            replaces: false,
        })
        .collect();
    let (records, outcomes) = decide(ctx, &alterations, request.validate_only);
    let answer = |(at, outcome): (&Alteration<'_>, Outcome)| {
        let (error_code, error_message) = outcome.said();
        incremental::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: at.kind,
            resource_name: at.name.to_owned(),
        }
    };
    let responses = alterations.iter().zip(outcomes).map(answer).collect();
    let response = IncrementalAlterConfigsResponse { responses, ..Default::default() };
    Decision { records, response }
}

/// Decides an AlterConfigs request, which says everything that is to be set.
pub fn alter_configs(
    ctx: &Context<'_>,
    request: &AlterConfigsRequest,
) -> Decision<AlterConfigsResponse> {
    let alterations: Vec<Alteration<'_>> = request
        .resources
        .iter()
        .map(|resource| Alteration {
            kind: resource.resource_type,
            name: &resource.resource_name,
            changes: resource.configs.iter().map(Change::set).collect(),
            replaces: true,
        })
        .collect();
    let (records, outcomes) = decide(ctx, &alterations, request.validate_only);
    let answer = |(at, outcome): (&Alteration<'_>, Outcome)| {
        let (error_code, error_message) = outcome.said();
        replace::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: at.kind,
            resource_name: at.name.to_owned(),
        }
    };
    let responses = alterations.iter().zip(outcomes).map(answer).collect();
    let response = AlterConfigsResponse { responses, ..Default::default() };
    Decision { records, response }
}

/// What became of one resource.
struct Outcome(Option<Refusal>);

impl Outcome {
    /// The error code and the message of the answer.
    fn said(self) -> (i16, Option<String>) {
        match self.0 {
            Some(refusal) => (refusal.code.code(), Some(refusal.message)),
            None => (ErrorCode::None.code(), None),
        }
    }
}

fn decide(
    ctx: &Context<'_>,
    alterations: &[Alteration<'_>],
    validate_only: bool,
) -> (Vec<MetadataRecord>, Vec<Outcome>) {
    let mut times: BTreeMap<(i8, &str), usize> = BTreeMap::new();
    for one in alterations {
        *times.entry((one.kind, one.name)).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut bytes = 0;
    let outcomes = alterations
        .iter()
        .map(|one| {
            if times.get(&(one.kind, one.name)).is_some_and(|times| *times > 1) {
                let message = "Each resource must appear at most once.";
                return Outcome(Some(Refusal::new(ErrorCode::InvalidRequest, message)));
            }
            let changed = alter_one(ctx, one).and_then(|changed| {
                let more: usize = changed.iter().map(size).sum();
                let room = records.len() + changed.len() <= RECORDS_PER_REQUEST_MAX
                    && bytes + more <= BYTES_PER_REQUEST_MAX;
                bytes += more;
                if room { Ok(changed) } else { Err(too_large()) }
            });
            match changed {
                Ok(changed) => {
                    if !validate_only {
                        records.extend(changed.into_iter().map(MetadataRecord::Config));
                    }
                    Outcome(None)
                }
                Err(refusal) => Outcome(Some(refusal)),
            }
        })
        .collect();
    (records, outcomes)
}

fn too_large() -> Refusal {
    let message = "Unable to perform excessively large batch operation.";
    Refusal::new(ErrorCode::PolicyViolation, message)
}

fn size(record: &ConfigRecord) -> usize {
    record.resource_name.len() + record.name.len() + record.value.as_ref().map_or(0, String::len)
}

fn alter_one(ctx: &Context<'_>, one: &Alteration<'_>) -> Result<Vec<ConfigRecord>, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidRequest, message);
    let mut seen = BTreeSet::new();
    if !one.changes.iter().all(|change| seen.insert(change.name)) {
        return Err(invalid("Error due to duplicate config keys".to_owned()));
    }
    let null = |change: &&Change<'_>| {
        change.value.is_none() && change.operation != Some(Operation::Delete)
    };
    let nulls: Vec<&str> = one.changes.iter().filter(null).map(|change| change.name).collect();
    if !nulls.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))));
    }
    if one.kind == BROKER_LOGGER && !one.replaces {
        broker::known_broker(ctx, one.name)?;
        return Ok(Vec::new());
    }
    match ResourceKind::from_i8(one.kind) {
        Some(ResourceKind::Topic) => topic::alter(ctx, one),
        Some(ResourceKind::Broker) => broker::alter(ctx, one),
        Some(ResourceKind::Group) => group::alter_group(ctx, one),
        Some(ResourceKind::ClientMetrics) => group::alter_client_metrics(ctx, one),
        None => Err(invalid(format!("Unknown resource type {}", one.kind))),
    }
}

/// What is set on a resource, and what will be.
struct Altered {
    before: Configs,
    after: Configs,
}

impl Altered {
    /// Applies the changes to what is set on the resource; `default` gives the value from which a
    /// list grows or shrinks that is not set.
    fn new(
        ctx: &Context<'_>,
        resource: &Resource,
        one: &Alteration<'_>,
        default: impl Fn(&str) -> Result<String, Refusal>,
    ) -> Result<Self, Refusal> {
        let before = ctx.image.configs.get(resource).map(|set| (**set).clone()).unwrap_or_default();
        let mut after = if one.replaces { Configs::new() } else { before.clone() };
        for change in &one.changes {
            change.apply(&mut after, &default)?;
        }
        Ok(Self { before, after })
    }

    /// The records that make the one of the other.
    fn records(&self, resource: &Resource) -> Vec<ConfigRecord> {
        let keys: BTreeSet<&String> = self.before.keys().chain(self.after.keys()).collect();
        let changed = keys.into_iter().filter(|key| self.before.get(*key) != self.after.get(*key));
        changed
            .map(|key| ConfigRecord {
                resource_type: resource.kind as i8,
                resource_name: resource.name.clone(),
                name: key.clone(),
                value: self.after.get(key).cloned(),
            })
            .collect()
    }
}
