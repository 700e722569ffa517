//! Which version of each API both sides speak.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use wire::messages::api_versions_response::ApiVersionsResponse;
use wire::{ApiKey, Request};

/// What one broker serves, as its ApiVersions answer says.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    ranges: BTreeMap<i16, RangeInclusive<i16>>,
}

impl Versions {
    /// Reads the answer.
    #[must_use]
    pub fn new(response: &ApiVersionsResponse) -> Self {
        let ranges = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, api.min_version..=api.max_version))
            .collect();
        Self { ranges }
    }

    /// The highest version that both sides speak, not above `most`.
    #[must_use]
    pub fn highest_up_to<M: Request>(&self, most: i16) -> Option<i16> {
        let theirs = self.ranges.get(&M::KEY.code())?;
        let ours = stable::<M>();
        let highest = (*ours.end()).min(*theirs.end()).min(most);
        let lowest = (*ours.start()).max(*theirs.start());
        (lowest <= highest).then_some(highest)
    }

    /// The highest version that both sides speak.
    #[must_use]
    pub fn highest<M: Request>(&self) -> Option<i16> {
        self.highest_up_to::<M>(i16::MAX)
    }

    /// The broker's highest version of an API that is not above `most`.
    #[must_use]
    pub fn theirs_up_to(&self, api: ApiKey, most: i16) -> Option<i16> {
        let range = self.ranges.get(&api.code())?;
        let highest = most.min(*range.end());
        (*range.start() <= highest).then_some(highest)
    }

    /// Whether the broker serves the API at all.
    #[must_use]
    pub fn serves(&self, api: ApiKey) -> bool {
        self.ranges.contains_key(&api.code())
    }
}

fn stable<M: Request>() -> RangeInclusive<i16> {
    let stable = M::KEY.stable_versions();
    *M::VERSIONS.start().max(stable.start())..=*M::VERSIONS.end().min(stable.end())
}

#[cfg(test)]
mod tests {
    use wire::messages::api_versions_response::ApiVersion;
    use wire::messages::metadata_request::MetadataRequest;

    use super::*;

    fn of(key: i16, min_version: i16, max_version: i16) -> Versions {
        let api = ApiVersion { api_key: key, min_version, max_version };
        Versions::new(&ApiVersionsResponse { api_keys: vec![api], ..Default::default() })
    }

    #[test]
    fn the_highest_common_version() {
        assert_eq!(of(3, 0, 9).highest::<MetadataRequest>(), Some(9));
        assert_eq!(of(3, 0, 99).highest::<MetadataRequest>(), Some(13));
        assert_eq!(of(3, 0, 99).highest_up_to::<MetadataRequest>(4), Some(4));
        assert_eq!(of(3, 90, 99).highest::<MetadataRequest>(), None);
        assert_eq!(of(4, 0, 9).highest::<MetadataRequest>(), None);
        assert_eq!(of(52, 0, 2).theirs_up_to(ApiKey::Vote, 1), Some(1));
        assert_eq!(of(52, 0, 2).theirs_up_to(ApiKey::Vote, 9), Some(2));
        assert_eq!(of(52, 2, 3).theirs_up_to(ApiKey::Vote, 1), None);
        assert!(of(3, 0, 1).serves(ApiKey::Metadata) && !of(3, 0, 1).serves(ApiKey::Fetch));
    }
}
