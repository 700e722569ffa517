//! The messages as a whole: every one of them at every version, there and back, against damaged
//! bytes, and against two other implementations of the protocol.
#![expect(clippy::disallowed_methods, reason = "tests read their settings from the environment")]

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod oracle_java;
#[cfg(test)]
mod oracle_kafka_protocol;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod slices;
#[cfg(test)]
mod support;
