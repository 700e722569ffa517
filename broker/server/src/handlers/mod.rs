//! One file per API: ask the node, fill the response. Decisions live in the node and below it.

pub(crate) mod alter_configs;
pub(crate) mod api_versions;
mod authorized;
pub(crate) mod control;
pub(crate) mod delete_records;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_producers;
pub(crate) mod describe_topic_partitions;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod groups;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod list_config_resources;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offset_for_leader_epoch;
mod own_configs;
pub(crate) mod produce;
mod replicas;
mod wake;
