//! What is set on a group, and on a subscription to clients' metrics.

use wire::ErrorCode;
use wire::messages::config_record::ConfigRecord;

use super::{Alteration, Altered};
use crate::broker_config::Kind;
use crate::control::{Context, Refusal};
use crate::group_config::{self, Table};
use crate::image::{Resource, ResourceKind};

pub(super) fn alter_group(
    ctx: &Context<'_>,
    one: &Alteration<'_>,
) -> Result<Vec<ConfigRecord>, Refusal> {
    let resource = Resource::group(one.name);
    let altered = Altered::new(ctx, &resource, one, |key| list_default(group_config::GROUP, key))?;
    if one.name.is_empty() {
        let message = "Default group resources are not allowed.";
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let layers = ctx.settings.broker.layers(ctx.image, ctx.settings.node_id);
    group_config::validate(&layers, &altered.after)
        .map_err(|why| Refusal::new(ErrorCode::InvalidConfig, why))?;
    Ok(altered.records(&resource))
}

pub(super) fn alter_client_metrics(
    ctx: &Context<'_>,
    one: &Alteration<'_>,
) -> Result<Vec<ConfigRecord>, Refusal> {
    let resource = Resource { kind: ResourceKind::ClientMetrics, name: one.name.to_owned() };
    let table = group_config::CLIENT_METRICS;
    let altered = Altered::new(ctx, &resource, one, |key| list_default(table, key))?;
    if one.name.is_empty() {
        let message = "Subscription name can't be empty";
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    group_config::validate_client_metrics(&altered.after)
        .map_err(|(code, why)| Refusal::new(code, why))?;
    Ok(altered.records(&resource))
}

fn list_default(table: Table, key: &str) -> Result<String, Refusal> {
    match table.iter().find(|def| def.name == key) {
        Some(def) if def.kind == Kind::List => Ok(def.default.unwrap_or_default().to_owned()),
        _ => {
            let message = format!("Can't append to or subtract from {key}: it is not a list.");
            Err(Refusal::new(ErrorCode::InvalidConfig, message))
        }
    }
}
