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

/// A node together with one of its disks; the zero directory is one that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaKey {
    /// The node.
    pub id: BrokerId,
    /// Its metadata directory.
    pub directory: Uuid,
}

impl ReplicaKey {
    /// Whether both may be the same disk: a directory that is not known may be any.
    pub fn may_be(&self, other: &Self) -> bool {
        let unknown = self.directory.is_zero() || other.directory.is_zero();
        self.id == other.id && (unknown || self.directory == other.directory)
    }

    /// Whether a replica that says this of itself is that voter: where the voter's disk is known
    /// (`kraft.version` 1) by that disk alone, so who does not tell its own is none.
    pub fn is(&self, voter: &Self) -> bool {
        self.id == voter.id && (voter.directory.is_zero() || self.directory == voter.directory)
    }
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

impl Voter {
    /// The voter without its endpoints.
    pub fn key(&self) -> ReplicaKey {
        ReplicaKey { id: self.id, directory: self.directory }
    }
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

    /// The voter that this disk is.
    pub fn find(&self, key: &ReplicaKey) -> Option<&Voter> {
        self.voters.iter().find(|voter| key.is(&voter.key()))
    }

    /// The voter of this id, whatever its disk.
    pub fn by_id(&self, id: BrokerId) -> Option<&Voter> {
        self.voters.iter().find(|voter| voter.id == id)
    }

    /// How many make a majority.
    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// These voters and one more, which takes the place of the one with its id.
    pub fn with(&self, voter: Voter) -> Self {
        let mut voters = self.without(voter.id).voters;
        voters.push(voter);
        Self::new(voters)
    }

    /// These voters without one.
    pub fn without(&self, id: BrokerId) -> Self {
        Self { voters: self.voters.iter().filter(|v| v.id != id).cloned().collect() }
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
