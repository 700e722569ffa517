//! Which brokers hold the replicas of new partitions.
//!
//! Active brokers are put in one circle in which racks alternate. Partition after partition
//! starts one step further round the circle, so that leaders spread; the other replicas follow
//! from there, racks that the partition has not used yet first. Fenced brokers are taken only
//! when the active ones do not suffice; brokers whose every log directory is cordoned are not.

use wire::ErrorCode;
use wire::ids::BrokerId;

use super::Refusal;
use crate::image::{Broker, Image};

/// Refuses partitions of several replicas where there are several brokers to hold them.
///
/// # Errors
/// INVALID_REPLICATION_FACTOR.
pub(super) fn check_factor(image: &Image, replication_factor: usize) -> Result<(), Refusal> {
    if replication_factor <= 1 || image.brokers.len() <= 1 {
        return Ok(());
    }
    let message = format!(
        "The replication factor {replication_factor} cannot be had: replication is not built yet, \
         so a partition has one replica. Partitions spread over the brokers; ask for a \
         replication factor of 1."
    );
    Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message))
}

/// The brokers of each new partition, the preferred leader first.
pub(super) fn place(
    image: &Image,
    partitions: usize,
    replication_factor: i16,
    random: u128,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let wanted = usize::try_from(replication_factor).unwrap_or(0);
    let refuse = |message: String| Refusal::new(ErrorCode::InvalidReplicationFactor, message);
    if wanted > image.brokers.len() {
        return Err(refuse(format!(
            "The target replication factor of {replication_factor} cannot be reached because \
             only {} broker(s) are registered.",
            image.brokers.len()
        )));
    }
    let open = || image.brokers.iter().map(|b| &**b).filter(|b| b.takes_partitions());
    let active = circle(open().filter(|b| b.is_active()));
    if active.is_empty() {
        let cordoned = image.brokers.iter().any(|b| b.is_active());
        return Err(refuse(if cordoned {
            "All brokers are currently fenced, or have all their log directories cordoned."
                .to_owned()
        } else {
            "All brokers are currently fenced.".to_owned()
        }));
    }
    let spare = circle(open().filter(|b| !b.is_active()));
    let n = active.len();
    let start = usize::try_from(random % (n as u128)).unwrap_or(0);
    let chosen = |p: usize| {
        let mut chosen: Vec<&Broker> = Vec::with_capacity(wanted);
        let first = start + p;
        // Once round the circle, the followers shift too: not always the same pairs.
        let shift = p / n;
        choose(&mut chosen, wanted.min(1), std::iter::once(first), &active);
        choose(&mut chosen, wanted, (0..n).map(|i| first + 1 + shift + i), &active);
        choose(&mut chosen, wanted, (0..spare.len()).map(|i| first + i), &spare);
        chosen.into_iter().map(|broker| broker.id).collect()
    };
    Ok((0..partitions).map(chosen).collect())
}

/// The brokers in a circle in which racks alternate.
fn circle<'a>(brokers: impl Iterator<Item = &'a Broker>) -> Vec<&'a Broker> {
    let mut racks: std::collections::BTreeMap<Option<&str>, Vec<&Broker>> = Default::default();
    for broker in brokers {
        racks.entry(broker.rack.as_deref()).or_default().push(broker);
    }
    let deepest = racks.values().map(Vec::len).max().unwrap_or(0);
    (0..deepest).flat_map(|i| racks.values().filter_map(move |r| r.get(i).copied())).collect()
}

/// Adds brokers along `order` until there are `wanted`: first from racks not used, then any.
fn choose<'a>(
    chosen: &mut Vec<&'a Broker>,
    wanted: usize,
    order: impl Iterator<Item = usize> + Clone,
    circle: &[&'a Broker],
) {
    if circle.is_empty() {
        return;
    }
    for any_rack in [false, true] {
        for at in order.clone() {
            if chosen.len() >= wanted {
                return;
            }
            let Some(broker) = circle.get(at % circle.len()) else { continue };
            let taken = chosen.iter().any(|other| other.id == broker.id);
            let rack_taken = chosen.iter().any(|other| other.rack == broker.rack);
            if !taken && (any_rack || !rack_taken) {
                chosen.push(broker);
            }
        }
    }
}
