//! What a broker says of itself when it registers, and how a node that is alone does so.

use std::sync::Arc;

use metadata::Image;
use metadata::control::{Decision, brokers, features};
use metadata::image::Topic;
use storage::directory::LogDirs;
use wire::ids::Uuid;

use crate::config::NodeConfig;
use crate::control::{Enrolment, Lifecycle, Plane, Registrar};
use crate::error::Error;
use crate::random::Random;

/// What registers a controller of several with the active one.
pub(crate) fn enrolment(config: &NodeConfig, random: &mut Random) -> Option<Enrolment> {
    let several = !config.quorum.is_alone() && config.quorum.roles.controller;
    several.then(|| Enrolment::new(config.node_id, random.uuid(), &config.quorum.endpoints))
}

/// What registers a broker of several with the active controller.
pub(crate) fn registrar(
    config: &NodeConfig,
    dirs: &Arc<LogDirs>,
    random: &mut Random,
) -> Option<Registrar> {
    if config.quorum.is_alone() || !config.quorum.roles.broker {
        return None;
    }
    let registration = brokers::Registration {
        id: config.node_id,
        incarnation: random.uuid(),
        cluster_id: None,
        endpoints: config.endpoints.clone(),
        features: brokers::Registration::own_features(),
        rack: config.rack.clone(),
        log_dirs: Vec::new(),
        previous_epoch: dirs.clean_epoch(),
    };
    let (own, these) = (config.clone(), Arc::clone(dirs));
    let registered = move |image: &Image| registered_dirs(&own, &these, image);
    let interval = config.quorum.heartbeat_interval_ms;
    let lifecycle = Lifecycle::new(registration.to_request(), interval);
    Some(Registrar::new(lifecycle, Arc::new(registered), Arc::clone(dirs)))
}

/// Bootstraps a fresh cluster, registers this broker and unfences it; gives its epoch.
pub(crate) fn register(
    config: &NodeConfig,
    dirs: &LogDirs,
    cluster_id: &str,
    plane: &mut Plane,
) -> Result<i64, Error> {
    if let Some(log) = plane.image().cluster_id().filter(|id| *id != cluster_id) {
        return Err(Error::TwoClusters { own: cluster_id.to_owned(), log: log.to_owned() });
    }
    if plane.image().kept.access_control_entries() > 0 {
        return Err(Error::AccessControl(plane.image().kept.access_control_entries()));
    }
    plane.decide_alone(|ctx, _| Decision {
        records: features::abandoned_transaction(ctx.image),
        response: (),
    })?;
    plane.decide_alone(|ctx, _| Decision {
        records: features::bootstrap(ctx.image, cluster_id),
        response: (),
    })?;
    // A start is a new run, also where the same randomness comes again.
    let former = plane.image().brokers.get(config.node_id).map(|broker| broker.incarnation);
    let mut incarnation = plane.random().uuid();
    while former == Some(incarnation) {
        incarnation = plane.random().uuid();
    }
    let registration = brokers::Registration {
        id: config.node_id,
        incarnation,
        cluster_id: Some(cluster_id.to_owned()),
        endpoints: config.endpoints.clone(),
        features: brokers::Registration::own_features(),
        rack: config.rack.clone(),
        log_dirs: registered_dirs(config, dirs, plane.image())?,
        previous_epoch: dirs.clean_epoch(),
    };
    let epoch = plane.decide_alone(|ctx, next_offset| {
        // One broker, alone on its disks: no other run can be alive.
        brokers::register_broker(ctx.image, &registration, next_offset, false)
    })??;
    plane.decide_alone(|ctx, _| brokers::unfence_broker(ctx.image, config.node_id, epoch))??;
    Ok(epoch)
}

/// The ids to register: those that are here, and those of directories that are offline.
///
/// A directory that is neither (its disk is not mounted, say) stops the start: its partitions would
/// be made anew, empty, and lead. One without partitions has lost nothing with it.
fn registered_dirs(config: &NodeConfig, dirs: &LogDirs, image: &Image) -> Result<Vec<Uuid>, Error> {
    let mut ids: Vec<Uuid> = dirs.dirs().iter().filter_map(|dir| dir.id()).collect();
    let before = image.brokers.get(config.node_id).map_or(&[][..], |broker| &broker.log_dirs);
    let absent = before.iter().filter(|id| !config.abandoned_log_dirs.contains(id));
    let absent: Vec<Uuid> = absent.filter(|id| !ids.contains(id)).copied().collect();
    let offline = dirs.dirs().iter().filter(|dir| dir.id().is_none()).count();
    if absent.len() > offline {
        let here = |topic: &Topic| {
            topic.partitions.iter().any(|(_, one)| one.replicas.contains(&config.node_id))
        };
        return match image.topics.iter().any(|topic| here(topic)) {
            true => Err(Error::LogDirsMissing(absent)),
            false => Ok(ids),
        };
    }
    ids.extend(absent);
    Ok(ids)
}
