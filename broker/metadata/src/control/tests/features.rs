//! UpdateFeatures and the registration of controllers.

use wire::messages::controller_registration_request as controller;
use wire::messages::controller_registration_request::ControllerRegistrationRequest;
use wire::messages::feature_level_record::FeatureLevelRecord;
use wire::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};

use super::*;
use crate::control::controllers::register_controller;
use crate::control::features::{Quorum, raises_kraft_version, update_features};
use crate::features::SUPPORTED;

fn update(feature: &str, level: i16, upgrade_type: i8) -> UpdateFeaturesRequest {
    UpdateFeaturesRequest {
        feature_updates: vec![FeatureUpdateKey {
            feature: feature.to_owned(),
            max_version_level: level,
            upgrade_type,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn quorum(voters: &[BrokerId]) -> Quorum<'_> {
    Quorum { local: BrokerId(1), voters, kraft_version: 1, may_upgrade: false }
}

fn registration(id: i32, metadata_version_max: i16) -> ControllerRegistrationRequest {
    let feature = |f: &crate::features::Supported| controller::Feature {
        name: f.name.to_owned(),
        min_supported_version: f.min,
        max_supported_version: if f.name == "metadata.version" {
            metadata_version_max
        } else {
            f.max
        },
    };
    ControllerRegistrationRequest {
        controller_id: id,
        incarnation_id: Uuid([id as u8; 16]),
        listeners: vec![controller::Listener {
            name: "CONTROLLER".to_owned(),
            host: "h".to_owned(),
            port: 9093,
            security_protocol: 0,
        }],
        features: SUPPORTED.iter().map(feature).collect(),
        ..Default::default()
    }
}

fn at_level(h: &mut Harness, name: &str, feature_level: i16) {
    let name = name.to_owned();
    h.apply(&[MetadataRecord::FeatureLevel(FeatureLevelRecord { name, feature_level })]);
}

#[test]
fn updates_are_checked_against_everyone() {
    let mut h = Harness::with_brokers(&[1, 2]);
    at_level(&mut h, "metadata.version", 29);
    at_level(&mut h, "transaction.version", 2);
    let own = [BrokerId(1)];
    for (feature, level, kind, why) in [
        ("metadata.version", 30, 0, "does not support the given upgrade type"),
        ("metadata.version", 30, 9, "does not support the given upgrade type"),
        ("metadata.version", -1, 1, "cannot be less than 0"),
        ("metadata.version", 31, 1, "Local controller 1 only supports versions 7-30"),
        ("metadata.version", 6, 2, "Local controller 1 only supports versions 7-30"),
        ("metadata.version", 28, 1, "without setting the upgrade type"),
        ("metadata.version", 30, 2, "Can't downgrade to a newer version"),
        ("metadata.version", 22, 2, "might delete metadata information"),
        ("metadata.version", 22, 3, "Unsafe metadata downgrade"),
        ("group.version", 1, 1, "Local controller 1 does not support this feature"),
        ("nonsense", 1, 1, "does not support this feature"),
        ("nonsense", 0, 2, "Feature nonsense not found"),
        ("kraft.version", 0, 2, "Can't downgrade the version"),
        ("kraft.version", 2, 1, "only supports versions 0-1"),
    ] {
        for version in 1..=2 {
            let decision =
                update_features(&h.image, quorum(&own), &update(feature, level, kind), version);
            let (code, message) =
                (decision.response.error_code, decision.response.error_message.unwrap());
            assert_eq!(code, ErrorCode::InvalidUpdateVersion.code(), "{feature} {level}");
            assert!(message.contains(why), "{feature} {level}: {message}");
            assert!(message.starts_with("The update failed for all features since"));
            assert!(decision.records.is_empty());
        }
    }
    for (feature, level, kind) in
        [("metadata.version", 30, 1), ("metadata.version", 24, 2), ("transaction.version", 0, 2)]
    {
        let mut request = update(feature, level, kind);
        request.validate_only = true;
        let decision = update_features(&h.image, quorum(&own), &request, 1);
        assert_eq!((decision.response.error_code, decision.records.len()), (0, 0));
        assert_eq!(decision.response.results.len(), 1);
        request.validate_only = false;
        let decision = update_features(&h.image, quorum(&own), &request, 2);
        assert!(decision.response.results.is_empty());
        let next = h.image.apply(&decision.records).unwrap().0;
        assert_eq!(next.features.level(feature), level);
    }
    let raise = update("kraft.version", 1, 1);
    let static_voters = Quorum { kraft_version: 0, ..quorum(&own) };
    let refused = update_features(&h.image, static_voters, &raise, 2).response;
    assert!(refused.error_message.unwrap().contains("not every voter is known"));
    let known = Quorum { may_upgrade: true, ..static_voters };
    let raised = update_features(&h.image, known, &raise, 2);
    // The quorum writes it, not the controller.
    assert_eq!((raised.response.error_code, raised.records.len()), (0, 0));
    assert!(raises_kraft_version(&raise, 0) && !raises_kraft_version(&raise, 1));
    let dry = UpdateFeaturesRequest { validate_only: true, ..raise };
    assert!(!raises_kraft_version(&dry, 0));
    let same = update_features(&h.image, quorum(&own), &update("kraft.version", 1, 1), 2);
    assert_eq!((same.response.error_code, same.records.len()), (0, 0));
}

#[test]
fn one_bad_update_stops_the_others() {
    let mut h = Harness::with_brokers(&[1]);
    at_level(&mut h, "metadata.version", 29);
    let mut request = update("metadata.version", 30, 1);
    request.feature_updates.extend(update("nonsense", 3, 1).feature_updates);
    let decision = update_features(&h.image, quorum(&[]), &request, 1);
    assert_ne!(decision.response.error_code, 0);
    assert!(decision.records.is_empty());
    // Version 0 names no kind: it may go down when it says so.
    let mut old = update("metadata.version", 28, 1);
    let refused = update_features(&h.image, quorum(&[]), &old, 0);
    assert_eq!(refused.response.error_code, ErrorCode::InvalidUpdateVersion.code());
    old.feature_updates[0].allow_downgrade = true;
    assert_eq!(update_features(&h.image, quorum(&[]), &old, 0).records.len(), 1);
}

#[test]
fn controllers_register_and_are_asked() {
    let mut h = Harness::with_brokers(&[1]);
    at_level(&mut h, "metadata.version", 29);
    let voters = [BrokerId(1), BrokerId(2), BrokerId(3)];
    let raise = update("metadata.version", 30, 1);
    let why = |h: &Harness| {
        let response = update_features(&h.image, quorum(&voters), &raise, 1).response;
        (response.error_code != 0).then_some(response.error_message).flatten()
    };
    assert!(why(&h).unwrap().contains("controller 2 has not registered"));
    for (id, max) in [(2, 30), (3, 29)] {
        let decision = register_controller(&h.image, &registration(id, max));
        assert_eq!(decision.response.error_code, 0);
        h.apply(&decision.records);
    }
    assert!(why(&h).unwrap().contains("Controller 3 only supports versions 7-29"));
    let newer = registration(3, 30);
    h.apply(&register_controller(&h.image, &newer).records);
    assert_eq!(why(&h), None);
    assert!(register_controller(&h.image, &newer).records.is_empty(), "nothing new");
    let known = h.image.controllers.get(BrokerId(3)).unwrap();
    assert_eq!(known.endpoint("CONTROLLER").unwrap().port, 9093);
    assert_eq!(h.image.controllers.len(), 2);
    let replayed = Image::default().apply(&h.image.to_records()).unwrap().0;
    assert_eq!(replayed, h.image);
    at_level(&mut h, "metadata.version", 14);
    let old = register_controller(&h.image, &newer).response;
    assert_eq!(old.error_code, ErrorCode::UnsupportedVersion.code());
}
