//! The voters of the quorum.

use wire::ids::{BrokerId, Uuid};
use wire::messages::voters_record as record;

/// Where a voter is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `CONTROLLER`.
    pub listener: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// One voter: a node together with the disk on which its vote stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// The node.
    pub id: BrokerId,
    /// Its metadata directory.
    pub directory: Uuid,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
}

/// All voters, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Voters {
    voters: Vec<Voter>,
}

/// The highest `kraft.version` that a voter of ours supports.
const KRAFT_VERSION_MAX: i16 = 1;

impl Voters {
    /// A voter set.
    pub fn new(mut voters: Vec<Voter>) -> Self {
        voters.sort_by_key(|voter| voter.id);
        Self { voters }
    }

    /// The voters in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Voter> {
        self.voters.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.voters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    /// Whether this node votes with this disk.
    pub fn contains(&self, id: BrokerId, directory: Uuid) -> bool {
        self.voters.iter().any(|voter| voter.id == id && voter.directory == directory)
    }

    /// The voters for people.
    pub fn describe(&self) -> String {
        let one = |voter: &Voter| format!("{}@{}", voter.id, voter.directory);
        self.voters.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn to_record(&self) -> record::VotersRecord {
        let endpoint = |e: &Endpoint| record::Endpoint {
            name: e.listener.clone(),
            host: e.host.clone(),
            port: e.port,
        };
        let voter = |v: &Voter| record::Voter {
            voter_id: v.id.0,
            voter_directory_id: v.directory,
            endpoints: v.endpoints.iter().map(endpoint).collect(),
            kraft_version_feature: record::KRaftVersionFeature {
                min_supported_version: 0,
                max_supported_version: KRAFT_VERSION_MAX,
            },
        };
        record::VotersRecord { version: 0, voters: self.voters.iter().map(voter).collect() }
    }

    pub(crate) fn from_record(record: &record::VotersRecord) -> Self {
        let endpoint = |e: &record::Endpoint| Endpoint {
            listener: e.name.clone(),
            host: e.host.clone(),
            port: e.port,
        };
        let voter = |v: &record::Voter| Voter {
            id: BrokerId(v.voter_id),
            directory: v.voter_directory_id,
            endpoints: v.endpoints.iter().map(endpoint).collect(),
        };
        Self::new(record.voters.iter().map(voter).collect())
    }
}
