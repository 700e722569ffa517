//! Why a node does not open, or cannot go on.

use metadata::ReplayError;
use storage::disk::DiskError;
use storage::error::{AppendError, LogError, ReadError};
use wire::ids::Uuid;

/// Why a node does not open, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The metadata log contradicts itself or is newer than this version.
    #[error("metadata log: {0}")]
    Replay(#[from] ReplayError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A log could not be opened or looked after.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The metadata log could not be written.
    #[error("metadata log: {0}")]
    MetadataAppend(#[from] AppendError),
    /// The metadata log could not be read.
    #[error("metadata log: {0}")]
    MetadataRead(#[from] ReadError),
    /// The metadata log is corrupt where no crash can excuse it. Going on would lose topics.
    #[error(
        "metadata log: {corruption} (directory {}). What is there was synced, so this is no torn \
         write: topics would be lost. Nothing was changed; restore the directory from a copy{}",
        dir.display(), OR_JOIN_ANEW
    )]
    MetadataCorrupt {
        /// The log's directory.
        dir: std::path::PathBuf,
        /// Where.
        corruption: storage::error::Corruption,
    },
    /// The metadata log ends before what had been synced.
    #[error(
        "the metadata log in {} ends at {end}, but had been synced up to {synced}: part of it is \
         gone. Nothing was changed; restore the directory from a copy{}",
        dir.display(), OR_JOIN_ANEW
    )]
    MetadataCut {
        /// The log's directory.
        dir: std::path::PathBuf,
        /// Where it ends.
        end: wire::ids::Offset,
        /// What had been synced.
        synced: wire::ids::Offset,
    },
    /// The newest snapshot of the metadata cannot be read.
    #[error(
        "{}, the newest snapshot of the metadata, cannot be read: {why}. Nothing was changed; \
         restore it from a copy{}", file.display(), OR_JOIN_ANEW
    )]
    MetadataSnapshot {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong with it.
        why: quorum::Error,
    },
    /// A metadata log with records and no memory of its votes.
    #[error(
        "{} is missing, but the metadata log beside it has records: this node may have voted, and \
         must not vote again. Restore it from a copy{}", .0.display(), OR_JOIN_ANEW
    )]
    QuorumStateMissing(std::path::PathBuf),
    /// What is there of its votes cannot be understood.
    #[error(
        "{} cannot be read: {why}. This node may have voted, and must not vote again. Nothing was \
         changed; restore the file from a copy{}", file.display(), OR_JOIN_ANEW
    )]
    QuorumStateUnreadable {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong with it.
        why: quorum::Error,
    },
    /// What the files of the metadata log say cannot be followed.
    #[error("{}: {why}", path.display())]
    MetadataUnreadable {
        /// The directory, or the file if it is one.
        path: std::path::PathBuf,
        /// Why.
        why: Box<Error>,
    },
    /// A record of the metadata log does not decode.
    #[error("metadata log: {0}")]
    Decode(#[from] wire::codec::DecodeError),
    /// A record of the metadata log does not encode.
    #[error("metadata log: {0}")]
    Encode(#[from] wire::codec::EncodeError),
    /// The quorum cannot start.
    #[error(transparent)]
    Quorum(#[from] quorum::Error),
    /// The quorum did not take the records.
    #[error(transparent)]
    ProposalRefused(quorum::Refusal),
    /// The quorum stopped by itself.
    #[error("metadata log: {0}")]
    QuorumStopped(String),
    /// The log directories cannot be used.
    #[error(transparent)]
    Directory(#[from] storage::directory::DirectoryError),
    /// The directory of the metadata log is offline.
    #[error("the directory of the metadata log, {}, is offline", .0.display())]
    MetadataDirOffline(std::path::PathBuf),
    /// The metadata log's directory has no `meta.properties`, but another one has.
    #[error(
        "the directory of the metadata log, {}, is empty, but this broker's log directories belong \
         to cluster {cluster}: is its disk mounted?", .path.display()
    )]
    MetadataDirEmpty {
        /// The directory.
        path: std::path::PathBuf,
        /// The cluster of the others.
        cluster: String,
    },
    /// The metadata log of a cluster's only voter is gone.
    #[error(
        "{}, the metadata log of cluster {cluster}, is missing, and this node is the only voter of \
         its configuration: it would found another cluster of that id, and the brokers that follow \
         it would set all their data aside. Restore it; or name other controllers that have it in \
         controller.quorum.bootstrap.servers; or, to found anew, empty the directory",
        .expected.display()
    )]
    OnlyVoterForgot {
        /// Where it should be.
        expected: std::path::PathBuf,
        /// The cluster, by `meta.properties`.
        cluster: String,
    },
    /// There are partitions, but no metadata log where it should be.
    #[error(
        "{}, the metadata log, is missing, but {} is there: a new cluster would set all data \
         aside. \
         Name the directory that holds the metadata log in metadata.log.dir (without it, it is the \
         first of log.dirs), or restore it", .expected.display(), .found.display()
    )]
    MetadataLogMissing {
        /// Where it should be.
        expected: std::path::PathBuf,
        /// A partition, or the metadata log of another directory.
        found: std::path::PathBuf,
    },
    /// A directory that this broker registered is not among its log directories.
    #[error(
        "log directories with these ids (directory.id of meta.properties) are missing: {}; what \
         they hold would come back empty. Mount them and name them in log.dirs; is this node.id \
         that of another machine, give it one of its own; or, to give up what only they hold, set \
         tidelog.log.dirs.abandoned to these ids", join(.0)
    )]
    LogDirsMissing(Vec<Uuid>),
    /// This node and its metadata log are of different clusters.
    #[error(
        "this node belongs to cluster {own} (by its log directories or tidelog.cluster.id), the \
         metadata log to {log}"
    )]
    TwoClusters {
        /// In `meta.properties`, or in the configuration.
        own: String,
        /// In the metadata log.
        log: String,
    },
    /// The metadata restricts who may do what, and this version lets everyone do everything.
    #[error(
        "the metadata log holds {0} access control entries (ACLs), and this version would not \
         enforce them: everyone who reaches it could read and write everything. To go on without \
         them, start Kafka again and remove them with kafka-acls.sh"
    )]
    AccessControl(usize),
    /// The controller refused.
    #[error(transparent)]
    Refused(#[from] metadata::control::Refusal),
    /// An earlier failure of the metadata log ended this controller: nothing can be decided until
    /// the process starts again.
    #[error("the controller has stopped after an earlier failure")]
    ControllerStopped,
}

/// What an operator of several controllers can do as well.
const OR_JOIN_ANEW: &str = "; one of several controllers may also start with empty directories, \
                            and joins as a new voter";

fn join(ids: &[Uuid]) -> String {
    ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// With where that was found, unless it says so already.
    pub(crate) fn of_metadata_at(self, path: &std::path::Path) -> Self {
        match self {
            Self::Replay(_) | Self::Decode(_) | Self::Quorum(_) => {
                Self::MetadataUnreadable { path: path.to_path_buf(), why: Box::new(self) }
            }
            error => error,
        }
    }

    /// The failed disk call beneath, if that is what it was. Unless it heals, the directory has to
    /// go offline.
    #[must_use]
    pub fn disk_error(&self) -> Option<&DiskError> {
        match self {
            Self::Disk(error)
            | Self::Log(LogError::Disk(error))
            | Self::MetadataAppend(AppendError::Disk(error) | AppendError::DiskFull(error))
            | Self::MetadataRead(ReadError::Disk(error)) => Some(error),
            _ => None,
        }
    }
}
