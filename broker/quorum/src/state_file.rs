//! `quorum-state`: who leads, and for whom this node voted. Kafka's JSON: data version 1, and 0 in
//! quorums of `kraft.version` 0, whose voters are named here.

use bytes::Bytes;
use serde_json::{Value, json};
use wire::ids::{BrokerId, LeaderEpoch, Uuid};

use crate::Error;

/// The newest format.
const DATA_VERSION: i64 = 1;

/// What a voter must remember across a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectionState {
    /// The latest epoch that this node has seen.
    pub epoch: LeaderEpoch,
    /// Its leader, if known.
    pub leader: Option<BrokerId>,
    /// For whom this node voted in the epoch, and that voter's directory.
    pub voted: Option<(BrokerId, Uuid)>,
    /// The voters of a quorum of `kraft.version` 0; empty in any other.
    pub static_voters: Vec<BrokerId>,
}

impl Default for ElectionState {
    fn default() -> Self {
        Self { epoch: LeaderEpoch(0), leader: None, voted: None, static_voters: Vec::new() }
    }
}

impl ElectionState {
    /// The content of the file.
    pub fn to_bytes(&self) -> Bytes {
        let (voted_id, voted_directory) = self.voted.unwrap_or((BrokerId(-1), Uuid::ZERO));
        if !self.static_voters.is_empty() {
            let voter = |id: &BrokerId| json!({ "voterId": id.0 });
            let json = json!({
                "clusterId": "",
                "leaderId": self.leader.map_or(-1, |id| id.0),
                "leaderEpoch": self.epoch.0,
                "votedId": voted_id.0,
                "appliedOffset": 0,
                "currentVoters": self.static_voters.iter().map(voter).collect::<Vec<_>>(),
                "data_version": 0,
            });
            return Bytes::from(json.to_string());
        }
        let json = json!({
            "leaderId": self.leader.map_or(-1, |id| id.0),
            "leaderEpoch": self.epoch.0,
            "votedId": voted_id.0,
            "votedDirectoryId": voted_directory.to_string(),
            "data_version": DATA_VERSION,
        });
        Bytes::from(json.to_string())
    }

    /// Reads the content of the file, of data version 0 or 1.
    ///
    /// # Errors
    /// The content is not such a file.
    pub fn parse(content: &[u8]) -> Result<Self, Error> {
        let json: Value = serde_json::from_slice(content)?;
        let number = |key: &str| json.get(key).and_then(Value::as_i64);
        // What is not there is no answer: a vote that is forgotten is given twice.
        let whole = |key: &'static str, least: i32| {
            let number = number(key).and_then(|id| i32::try_from(id).ok());
            number.filter(|number| *number >= least).ok_or(Error::StateField(key))
        };
        let version = number("data_version").unwrap_or(-1);
        if !(0..=DATA_VERSION).contains(&version) {
            return Err(Error::StateVersion(version));
        }
        let directory = match json.get("votedDirectoryId").and_then(Value::as_str) {
            Some(text) => text.parse().map_err(|_| Error::StateDirectory)?,
            None if version == 0 => Uuid::ZERO,
            None => return Err(Error::StateField("votedDirectoryId")),
        };
        let voters = json.get("currentVoters").and_then(Value::as_array);
        let voter = |json: &Value| {
            let id = json.get("voterId").and_then(Value::as_i64);
            id.and_then(|id| i32::try_from(id).ok()).map(BrokerId)
        };
        let static_voters = voters.into_iter().flatten().filter_map(voter).collect();
        let known = |id: i32| (id >= 0).then_some(BrokerId(id));
        Ok(Self {
            epoch: LeaderEpoch(whole("leaderEpoch", 0)?),
            leader: known(whole("leaderId", -1)?),
            voted: known(whole("votedId", -1)?).map(|id| (id, directory)),
            static_voters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_kafkas_own_form() {
        let state = ElectionState {
            epoch: LeaderEpoch(7),
            leader: Some(BrokerId(1)),
            voted: Some((BrokerId(1), Uuid([9; 16]))),
            static_voters: Vec::new(),
        };
        assert_eq!(ElectionState::parse(&state.to_bytes()).unwrap(), state);
        let fresh = ElectionState::default();
        assert_eq!(ElectionState::parse(&fresh.to_bytes()).unwrap(), fresh);
        let old = br#"{"clusterId":"","leaderId":3,"leaderEpoch":2,"votedId":-1,
            "appliedOffset":0,"currentVoters":[{"voterId":3}],"data_version":0}"#;
        let parsed = ElectionState::parse(old).unwrap();
        assert_eq!(
            (parsed.epoch, parsed.leader, parsed.voted),
            (LeaderEpoch(2), Some(BrokerId(3)), None)
        );
        assert_eq!(parsed.static_voters, [BrokerId(3)]);
        assert_eq!(ElectionState::parse(&parsed.to_bytes()).unwrap(), parsed);
    }

    #[test]
    fn what_is_not_such_a_file_is_refused() {
        assert!(matches!(ElectionState::parse(b"{"), Err(Error::StateFile(_))));
        assert!(matches!(ElectionState::parse(b"{}"), Err(Error::StateVersion(-1))));
        let newer = br#"{"leaderEpoch":1,"data_version":2}"#;
        assert!(matches!(ElectionState::parse(newer), Err(Error::StateVersion(2))));
        let bad = br#"{"leaderEpoch":1,"votedDirectoryId":"x","data_version":1}"#;
        assert!(matches!(ElectionState::parse(bad), Err(Error::StateDirectory)));
        // Without any one of its fields it would be a vote forgotten.
        let whole = r#"{"leaderId":1,"leaderEpoch":1,"votedId":1,"votedDirectoryId":
            "AAAAAAAAAAAAAAAAAAAAAQ","data_version":1}"#;
        assert!(ElectionState::parse(whole.as_bytes()).is_ok());
        for field in ["leaderId", "leaderEpoch", "votedId", "votedDirectoryId"] {
            let without = whole.replace(field, "other");
            let refused = ElectionState::parse(without.as_bytes());
            assert!(matches!(refused, Err(Error::StateField(name)) if name == field), "{field}");
        }
        for (field, least) in [("leaderId", -1), ("leaderEpoch", 0), ("votedId", -1)] {
            let with = |number: i32| {
                whole.replace(&format!("\"{field}\":1"), &format!("\"{field}\":{number}"))
            };
            assert!(ElectionState::parse(with(least).as_bytes()).is_ok(), "{field}");
            let refused = ElectionState::parse(with(least - 1).as_bytes());
            assert!(matches!(refused, Err(Error::StateField(name)) if name == field), "{field}");
        }
    }
}
