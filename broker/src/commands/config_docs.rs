//! `tidelog config docs`: every key, from the definitions that the broker reads.

use super::failure::Failure;

/// Arguments of `tidelog config docs`.
#[derive(Debug, clap::Args)]
pub(super) struct Docs {}

impl Docs {
    pub(super) fn run(self) -> Result<(), Failure> {
        super::common::print(&server::config::reference::markdown())
    }
}
