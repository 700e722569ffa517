//! The control plane of one process: its part in the metadata quorum, the active controller when
//! it leads, this broker's registration, and what its own handlers ask of the controller.
//!
//! ```text
//! server, one thread ── Node::control(now, ControlEvent) -> Vec<ControlEffect>
//!                         |  quorum, metadata log, controller, registration
//! server, one thread ── Node::apply(now, ApplyBatch): image published, partitions started
//! ```
//!
//! One thread brings events and carries out the effects in their order; the simulator does the same
//! with virtual time. The metadata log's disk is waited for in [`Node::control`], nothing else is.

mod absent;
mod asking;
mod claims;
mod cordons;
mod decisions;
mod driving;
mod enrolment;
mod event;
mod forwarding;
mod heartbeats;
mod held_up;
mod leading;
mod lifecycle;
mod neighbours;
mod plane;
mod raft_messages;
mod refusals;
mod registration;
mod requests;
mod room;
mod showing;
mod status;

pub(crate) use driving::Applying;
pub(crate) use enrolment::Enrolment;
pub use event::{Applied, ApplyBatch, Asker, ControlEffect, ControlEvent, ListenerKind, Token};
pub(crate) use lifecycle::Lifecycle;
pub(crate) use plane::{Plane, PlaneArgs};
pub(crate) use registration::Registrar;
pub use requests::{ControlRequest, ControlResponse};
pub use status::ControlStatus;

#[cfg(doc)]
use crate::Node;
