//! What can go wrong between a client and its brokers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use wire::codec::{DecodeError, EncodeError};
use wire::records::BatchError;
use wire::{ApiKey, ErrorCode};

/// Why a call did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address is not `HOST:PORT`.
    #[error("{address:?} is not HOST:PORT")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// No connection could be made.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The broker's address.
        address: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The connection ended before the answer came.
    #[error("{address} closed the connection")]
    Disconnected {
        /// The broker's address.
        address: String,
    },
    /// The peer takes connections and does not even say what it serves.
    #[error(
        "{address} takes connections and answers nothing: a broker does so until a cluster has \
         taken it in, which a majority of its controllers must be up for (on empty disks all of \
         them). What is missing says /readyz at its tidelog.admin.port, and its log"
    )]
    Silent {
        /// The broker's address.
        address: String,
    },
    /// The time for the call ran out.
    #[error("{what}: no success within {}{}", readable(*.after), last_words(.last.as_deref()))]
    TimedOut {
        /// What was tried.
        what: String,
        /// The time that was allowed.
        after: Duration,
        /// What went wrong the last time.
        last: Option<Box<Error>>,
    },
    /// The broker and this client have no version of the API in common.
    #[error("{address} does not serve {api} in a version that this client speaks")]
    Unsupported {
        /// The broker's address.
        address: String,
        /// The API.
        api: ApiKey,
    },
    /// The broker sent what is no answer.
    #[error("{address} sent a malformed {api} response: {source}")]
    Malformed {
        /// The broker's address.
        address: String,
        /// The API.
        api: ApiKey,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The broker announced an answer beyond the limit.
    #[error("{address} announced a response of {bytes} bytes, more than the {limit} allowed")]
    ResponseTooLarge {
        /// The broker's address.
        address: String,
        /// What it announced.
        bytes: i64,
        /// The limit.
        limit: usize,
    },
    /// The request cannot be written.
    #[error("cannot write the request: {0}")]
    Encode(#[from] EncodeError),
    /// The broker answered with an error code.
    #[error("{about}: {} ({}){}", .code.message(), .code.name(), detail(.message.as_deref()))]
    Broker {
        /// What the answer is about.
        about: String,
        /// The code.
        code: ErrorCode,
        /// The broker's own words.
        message: Option<String>,
    },
    /// The broker answered with a code that this client does not know.
    #[error("{about}: unknown error code {code}")]
    UnknownCode {
        /// What the answer is about.
        about: String,
        /// The code.
        code: i16,
    },
    /// The answer lacks what was asked for.
    #[error("the answer says nothing about {about}")]
    Missing {
        /// What was asked for.
        about: String,
    },
    /// A batch cannot be made or read.
    #[error("{about}: {source}")]
    Batch {
        /// Which one.
        about: String,
        /// What is wrong.
        source: Arc<BatchError>,
    },
    /// A record that no batch may hold.
    #[error("a record of {bytes} bytes is larger than the {limit} that a request may have")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The topic does not exist.
    #[error("there is no topic {topic}")]
    NoTopic {
        /// Its name.
        topic: String,
    },
    /// The group does not exist.
    #[error("there is no group {group}")]
    NoGroup {
        /// Its name.
        group: String,
    },
    /// The broker does not exist.
    #[error("there is no broker {id}; the cluster has {known:?}")]
    NoBroker {
        /// Its id.
        id: i32,
        /// Those there are.
        known: Vec<i32>,
    },
    /// A partition that the topic does not have.
    #[error("topic {topic} has no partition {partition}: it has {count}")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How many it has.
        count: usize,
    },
    /// The producer is closed, or failed before.
    #[error("the producer is closed{}", last_words(.why.as_deref()))]
    ProducerClosed {
        /// The failure, if it was one.
        why: Option<Box<Error>>,
    },
}

/// `30s`, `1.5s`, `250ms`: a time to the precision at which people ask for one.
fn readable(time: Duration) -> String {
    let ms = time.as_micros().div_ceil(1_000);
    match ms {
        0..1_000 => format!("{ms}ms"),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
    }
}

fn last_words(last: Option<&Error>) -> String {
    last.map(|error| format!("; last: {error}")).unwrap_or_default()
}

fn detail(message: Option<&str>) -> String {
    message.filter(|text| !text.is_empty()).map(|text| format!(": {text}")).unwrap_or_default()
}

impl Error {
    /// Turns an error code of an answer into a result.
    ///
    /// # Errors
    /// For every code but `NONE`.
    pub fn check(code: i16, message: Option<&str>, about: impl Into<String>) -> Result<(), Self> {
        match ErrorCode::from_i16(code) {
            Some(ErrorCode::None) => Ok(()),
            Some(code) => {
                Err(Self::Broker { about: about.into(), code, message: message.map(str::to_owned) })
            }
            None => Err(Self::UnknownCode { about: about.into(), code }),
        }
    }

    /// The broker's error code, when the error is an answer.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Disconnected { .. }
            | Self::Silent { .. }
            | Self::Missing { .. } => true,
            Self::Broker { code, .. } => code.is_retriable(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable() {
        for (micros, expected) in [
            (1_000_000, "1s"),
            (999_981, "1s"),
            (755_389, "756ms"),
            (1_540_000, "1.5s"),
            (66_000_000, "66s"),
            (0, "0ms"),
        ] {
            assert_eq!(readable(Duration::from_micros(micros)), expected);
        }
    }
}
