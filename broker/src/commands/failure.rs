//! Why a command ends without having done what was asked.

use std::io;
use std::path::PathBuf;

use wire::ErrorCode;

/// The outcome that is not success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration is refused: wrong usage.
    #[error("the configuration is refused:\n{0}")]
    Config(#[from] server::config::ConfigErrors),
    /// The broker could not start or had to stop.
    #[error("{0}")]
    Server(#[from] server::Error),
    /// Processes could not be started.
    #[error("cannot start: {0}")]
    Start(io::Error),
    /// A broker among several ended by itself, or not as it was asked to.
    #[error("broker {id} has ended ({how}), so all were stopped")]
    BrokerEnded {
        /// The broker.
        id: u16,
        /// How.
        how: String,
    },
    /// The brokers that were started do not know each other.
    #[error("{count} brokers run, but the first knows {active} of them: they are not one cluster")]
    NotOneCluster {
        /// How many were started.
        count: usize,
        /// How many are known.
        active: usize,
    },
    /// The cluster did not do what was asked.
    #[error("{source}{}", advice(.source))]
    Client {
        /// What went wrong.
        #[from]
        source: client::Error,
    },
    /// A name that is not there, and one like it that is.
    #[error("{source}; did you mean {meant}?")]
    Misspelt {
        /// What went wrong.
        source: client::Error,
        /// The name that was probably meant.
        meant: String,
    },
    /// A group is in use.
    #[error(
        "group {group} is {state}: its members' offsets are theirs until they have left; stop \
             them, then try again"
    )]
    GroupHasMembers {
        /// The group.
        group: String,
        /// Its state.
        state: String,
    },
    /// A partition without a committed offset cannot be shifted.
    #[error(
        "group {group} has no offset for {place} that could be shifted; use --to-offset, \
             --to-earliest or --to-latest"
    )]
    NothingToShift {
        /// The group.
        group: String,
        /// The partition.
        place: String,
    },
    /// A key that the resource does not have.
    #[error("there is no setting {key} here{}", meant_or_all(.meant.as_deref()))]
    NoSetting {
        /// The key.
        key: String,
        /// The key that was probably meant.
        meant: Option<String>,
    },
    /// Files are damaged; where, was printed.
    #[error("{problems} places are corrupt; the lines that begin with \"corrupt\" name them")]
    Corrupt {
        /// How many.
        problems: usize,
    },
    /// The person asked said no.
    #[error("nothing was done")]
    Declined,
    /// An argument that only the command itself can judge: wrong usage.
    #[error("{0}")]
    Usage(String),
    /// A path that is not usable.
    #[error("{path}: {source}")]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Input ended in the middle, or is not as announced.
    #[error("{place}: {what}")]
    Input {
        /// Which input, which line.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The answer could not be printed.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Usage(_) => 2,
            Self::Client { source: client::Error::BadAddress { .. } } => 2,
            // Whoever read the output has what they wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => 1,
        }
    }

    /// Whether there is nothing to say about it.
    pub(crate) fn is_silent(&self) -> bool {
        self.code() == 0
    }
}

fn meant_or_all(meant: Option<&str>) -> String {
    meant.map_or_else(
        || "; `tidelog config describe --all` shows what there is".to_owned(),
        |meant| format!("; did you mean {meant}?"),
    )
}

/// What to do about an error, where that is not plain.
fn advice(error: &client::Error) -> &'static str {
    match error {
        client::Error::Connect { .. } => {
            "; is a broker running there? Start one with `tidelog dev`, or name another with \
             --bootstrap-server"
        }
        client::Error::NoTopic { .. } => "; `tidelog topic list` shows what there is",
        client::Error::NoGroup { .. } => "; `tidelog group list` shows what there is",
        client::Error::Unsupported { .. } => {
            "; this cluster is too old for the command, or does not have what it is about"
        }
        client::Error::TimedOut { last: Some(last), .. } => advice(last),
        client::Error::RecordTooLarge { .. } => "; split it, or see --max-record-bytes",
        _ => match error.code() {
            Some(ErrorCode::TopicAlreadyExists) => "; `tidelog topic describe` shows it",
            Some(ErrorCode::OffsetOutOfRange) => "; `tidelog topic offsets` shows what there is",
            Some(ErrorCode::InvalidReplicationFactor) => "; give a smaller --replication-factor",
            Some(ErrorCode::CoordinatorNotAvailable) => {
                "; if it stays so, the brokers' logs say why __consumer_offsets cannot be made"
            }
            Some(ErrorCode::NonEmptyGroup) => "; it has members, stop them first",
            Some(ErrorCode::GroupSubscribedToTopic) => {
                "; its members use the topic, stop them first"
            }
            _ => "",
        },
    }
}
