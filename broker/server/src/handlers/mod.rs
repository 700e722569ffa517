//! One file per API: ask the node, fill the response. Decisions live in the node and below it.

pub(crate) mod api_versions;
