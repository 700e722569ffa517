//! UpdateFeatures: all of a request's updates, or none.

use wire::ErrorCode;
use wire::ids::BrokerId;
use wire::messages::feature_level_record::FeatureLevelRecord;
use wire::messages::metadata_records::MetadataRecord;
use wire::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use wire::messages::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};

use super::super::{Decision, Refusal};
use crate::features::{
    KRAFT_VERSION_FEATURE, METADATA_VERSION_FEATURE, RECORDS_CHANGED_AT, SUPPORTED,
};
use crate::image::{Image, SupportedFeature};

/// From this version of the request on, an update names its kind.
const KIND_FROM: i16 = 1;
/// From this version on, the response does not repeat the features.
const WITHOUT_RESULTS_FROM: i16 = 2;

/// What an update may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

/// What is known of the quorum when features are updated.
#[derive(Debug, Clone, Copy)]
pub struct Quorum<'a> {
    /// The active controller: this node.
    pub local: BrokerId,
    /// All voters.
    pub voters: &'a [BrokerId],
    /// The level of `kraft.version`.
    pub kraft_version: i16,
    /// Whether it can be raised now.
    pub may_upgrade: bool,
}

/// Decides an UpdateFeatures request.
pub fn update_features(
    image: &Image,
    quorum: Quorum<'_>,
    request: &UpdateFeaturesRequest,
    version: i16,
) -> Decision<UpdateFeaturesResponse> {
    let mut records = Vec::new();
    for update in &request.feature_updates {
        match check(image, quorum, update, version) {
            // It stands in the quorum's own records: see `raises_kraft_version`.
            Ok(true) if update.feature == KRAFT_VERSION_FEATURE => {}
            Ok(true) => records.push(MetadataRecord::FeatureLevel(FeatureLevelRecord {
                name: update.feature.clone(),
                feature_level: update.max_version_level,
            })),
            Ok(false) => {}
            Err(refusal) => {
                let message = format!(
                    "The update failed for all features since the following feature had an error: \
                     {refusal}"
                );
                let response = UpdateFeaturesResponse {
                    error_code: refusal.code.into(),
                    error_message: Some(message),
                    ..Default::default()
                };
                return Decision { records: Vec::new(), response };
            }
        }
    }
    if request.validate_only {
        records.clear();
    }
    let mut response = UpdateFeaturesResponse::default();
    if version < WITHOUT_RESULTS_FROM {
        let done = |update: &FeatureUpdateKey| UpdatableFeatureResult {
            feature: update.feature.clone(),
            ..Default::default()
        };
        response.results = request.feature_updates.iter().map(done).collect();
    }
    Decision { records, response }
}

/// Whether a request that was taken asks for more than the quorum's `kraft.version`, which the
/// quorum writes itself.
pub fn raises_kraft_version(request: &UpdateFeaturesRequest, kraft_version: i16) -> bool {
    let raises = |update: &FeatureUpdateKey| {
        update.feature == KRAFT_VERSION_FEATURE && update.max_version_level > kraft_version
    };
    !request.validate_only && request.feature_updates.iter().any(raises)
}

/// Whether the update is to be written; what speaks against it.
fn check(
    image: &Image,
    quorum: Quorum<'_>,
    update: &FeatureUpdateKey,
    version: i16,
) -> Result<bool, Refusal> {
    let (name, wanted) = (update.feature.as_str(), update.max_version_level);
    let invalid = |why: &str| {
        let message = format!("Invalid update version {wanted} for feature {name}. {why}");
        Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message))
    };
    let Some(kind) = kind(update, version) else {
        return invalid("The controller does not support the given upgrade type.");
    };
    if wanted < 0 {
        return invalid("A feature version cannot be less than 0.");
    }
    if let Some(why) = not_supported(image, quorum, name, wanted) {
        return invalid(&why);
    }
    if wanted == 0 && SUPPORTED.iter().all(|f| f.name != name) && image.features.level(name) == 0 {
        return invalid(&format!("Feature {name} not found."));
    }
    let is_kraft_version = name == KRAFT_VERSION_FEATURE;
    let now = if is_kraft_version { quorum.kraft_version } else { image.features.level(name) };
    if wanted < now && kind == Kind::Upgrade {
        return invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to \
             either safe or unsafe downgrade.",
        );
    }
    if wanted > now && kind != Kind::Upgrade {
        return invalid("Can't downgrade to a newer version.");
    }
    if is_kraft_version && wanted < now {
        return invalid("Can't downgrade the version of this feature.");
    }
    if is_kraft_version && wanted > now && !quorum.may_upgrade {
        let message = format!(
            "Unable to upgrade {name} to {wanted}: not every voter is known with its directory \
             yet, or the voters are changing."
        );
        return Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message));
    }
    if name == METADATA_VERSION_FEATURE && wanted < now {
        check_downgrade(now, wanted, kind)?;
    }
    Ok(wanted != now)
}

fn kind(update: &FeatureUpdateKey, version: i16) -> Option<Kind> {
    if version < KIND_FROM {
        return Some(if update.allow_downgrade { Kind::SafeDowngrade } else { Kind::Upgrade });
    }
    match update.upgrade_type {
        1 => Some(Kind::Upgrade),
        2 => Some(Kind::SafeDowngrade),
        3 => Some(Kind::UnsafeDowngrade),
        _ => None,
    }
}

/// A level of `metadata.version` cannot be left downwards where the records have changed.
fn check_downgrade(now: i16, wanted: i16, kind: Kind) -> Result<(), Refusal> {
    if !RECORDS_CHANGED_AT.iter().any(|level| (wanted + 1..=now).contains(level)) {
        return Ok(());
    }
    let why = if kind == Kind::UnsafeDowngrade {
        "Unsafe metadata downgrade is not supported in this version."
    } else {
        "Refusing to perform the requested downgrade because it might delete metadata information."
    };
    let message = format!("Unsupported metadata.version downgrade from {now} to {wanted}. {why}");
    Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message))
}

/// Who in the cluster does not support the level, if somebody does not.
fn not_supported(image: &Image, quorum: Quorum<'_>, name: &str, wanted: i16) -> Option<String> {
    let own = SUPPORTED.iter().find(|f| f.name == name).map_or((0, 0), |f| (f.min, f.max));
    let local = std::iter::once((format!("Local controller {}", quorum.local), own));
    let range = |features: &[SupportedFeature]| {
        features.iter().find(|f| f.name == name).map_or((0, 0), |f| (f.min, f.max))
    };
    let brokers = image.brokers.iter().map(|b| (format!("Broker {}", b.id), range(&b.features)));
    let others = image.controllers.iter().filter(|c| c.id != quorum.local);
    let controllers = others.map(|c| (format!("Controller {}", c.id), range(&c.features)));
    let refusing = local.chain(brokers).chain(controllers).find_map(|(who, (min, max))| {
        if (min..=max).contains(&wanted) {
            return None;
        }
        Some(match (min, max) {
            (_, 0) => format!("{who} does not support this feature."),
            (min, max) if min == max => format!("{who} only supports versions {min}"),
            (min, max) => format!("{who} only supports versions {min}-{max}"),
        })
    });
    refusing.or_else(|| {
        let known = |id: &BrokerId| *id == quorum.local || image.controllers.get(*id).is_some();
        let silent = quorum.voters.iter().find(|id| !known(id))?;
        Some(format!("controller {silent} has not registered, and may not support this feature"))
    })
}
