//! Which decision answers which request.

use metadata::control::{Context, Decision, configs, controllers, features, requests, topics};
use quorum::Quorum;
use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::broker_heartbeat_response::BrokerHeartbeatResponse;

use super::heartbeats::Heartbeats;
use super::{ControlRequest, ControlResponse};

/// What decisions ask beside the state.
pub(super) struct Asked {
    version: i16,
    now_ms: i64,
    local: BrokerId,
    voters: Vec<BrokerId>,
    kraft_version: i16,
    may_upgrade: bool,
}

impl Asked {
    pub(super) fn new(quorum: &Quorum, local: BrokerId, version: i16, now_ms: i64) -> Self {
        let voters = quorum.voters().iter().map(|voter| voter.id).collect();
        let (kraft_version, may_upgrade) = (quorum.kraft_version(), quorum.may_upgrade());
        Self { version, now_ms, local, voters, kraft_version, may_upgrade }
    }
}

/// Decides a request; `next_offset` is the offset of the first record that is written now.
pub(super) fn decide(
    ctx: &mut Context<'_>,
    asked: &Asked,
    heartbeats: &mut Heartbeats,
    next_offset: i64,
    request: &ControlRequest,
) -> Decision<ControlResponse> {
    let Asked { version, now_ms, .. } = *asked;
    match request {
        ControlRequest::CreateTopics(r) => into(topics::create_topics(ctx, r)),
        ControlRequest::AutoCreateTopics(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            into(topics::auto_create(ctx, &names))
        }
        ControlRequest::CreatePartitions(r) => into(topics::create_partitions(ctx, r)),
        ControlRequest::DeleteTopics(r) => into(topics::delete_topics(ctx, r, version)),
        ControlRequest::AlterConfigs(r) => into(configs::alter_configs(ctx, r)),
        ControlRequest::IncrementalAlterConfigs(r) => {
            into(configs::incremental_alter_configs(ctx, r))
        }
        ControlRequest::BrokerRegistration(r) => {
            let broker = BrokerId(r.broker_id);
            let alive = heartbeats.is_alive(now_ms, broker);
            let decision = requests::register_broker(ctx.image, r, next_offset, alive);
            if decision.response.error_code == 0 {
                heartbeats.forget(broker);
                heartbeats.contact(now_ms, broker, None);
            }
            into(decision)
        }
        ControlRequest::BrokerHeartbeat(r) => {
            into(heartbeat(ctx, now_ms, heartbeats, next_offset, r))
        }
        ControlRequest::UnregisterBroker(r) => {
            let decision = requests::unregister_broker(ctx.image, r);
            if decision.response.error_code == 0 {
                heartbeats.forget(BrokerId(r.broker_id));
            }
            into(decision)
        }
        ControlRequest::AllocateProducerIds(r) => {
            into(requests::allocate_producer_ids(ctx.image, r))
        }
        ControlRequest::ControllerRegistration(r) => {
            into(controllers::register_controller(ctx.image, r))
        }
        ControlRequest::UpdateFeatures(r) => {
            let quorum = features::Quorum {
                local: asked.local,
                voters: &asked.voters,
                kraft_version: asked.kraft_version,
                may_upgrade: asked.may_upgrade,
            };
            into(features::update_features(ctx.image, quorum, r, version))
        }
        other => Decision {
            records: Vec::new(),
            response: other.refused(ErrorCode::InvalidRequest, "This is decided by nobody."),
        },
    }
}

fn heartbeat(
    ctx: &Context<'_>,
    now_ms: i64,
    heartbeats: &mut Heartbeats,
    next_offset: i64,
    request: &BrokerHeartbeatRequest,
) -> Decision<BrokerHeartbeatResponse> {
    let broker = BrokerId(request.broker_id);
    let seen = heartbeats.all_have_seen(broker, ctx.image);
    let decision = requests::broker_heartbeat(ctx.image, request, seen);
    if decision.response.error_code != 0 {
        return decision;
    }
    heartbeats.contact(now_ms, broker, Some(request.current_metadata_offset));
    if decision.response.should_shut_down {
        heartbeats.forget(broker);
    } else if request.want_shut_down {
        let records = i64::try_from(decision.records.len()).unwrap_or(i64::MAX);
        heartbeats.stopping(broker, next_offset.saturating_add(records));
    }
    decision
}

fn into<R: Into<ControlResponse>>(decision: Decision<R>) -> Decision<ControlResponse> {
    Decision { records: decision.records, response: decision.response.into() }
}
