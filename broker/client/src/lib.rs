//! An async Kafka client on `wire`: connections, metadata, producing, consuming, groups, admin.
//!
//! ```text
//! Producer, Consumer, Member, Admin calls
//!        |  (leaders, coordinators, retries until a deadline)
//!     Client: metadata cache, one Connection to each broker
//!        |  (pipelined requests, matched by correlation id)
//!   Connection: one task writes, one task reads
//! ```
//!
//! It speaks to Tidelog and to Apache Kafka alike: versions are negotiated for each connection.
//! Everything is bounded: requests in flight, bytes buffered, the size of a response, the time a
//! call may take.
#![forbid(unsafe_code)]

mod admin;
mod client;
mod connection;
mod consumer;
mod coordinator;
mod error;
mod group;
mod metadata;
mod offsets;
mod producer;
mod versions;

pub use admin::{
    BrokerDescription, ClusterDescription, ConfigChange, ConfigEntry, ConfigResource, ConfigSource,
    ConfigSynonym, CreatedTopic, GroupDescription, GroupMember, ListedGroup, NewTopic,
    PartitionDescription, QuorumDescription, QuorumReplica, TopicDescription,
};
pub use client::{Client, ClientConfig};
pub use connection::{Connection, Pending};
pub use consumer::{Assignment, Consumer, ConsumerConfig, Fetched, FetchedBatch, FetchedRecord};
pub use error::Error;
pub use group::{CommittedOffset, Joined, Member, MemberConfig};
pub use metadata::{Broker, Metadata, Partition, Topic};
pub use offsets::OffsetSpec;
pub use producer::{Acks, Delivered, Delivery, Producer, ProducerConfig, Record, murmur2};
pub use versions::Versions;
