//! What goes into a node's control plane and what comes out of it.

use metadata::{Delta, Image};
use quorum::Destination;
use wire::ids::{BrokerId, Offset};

use super::{ControlRequest, ControlResponse};

/// The caller's name of a question; unique in the life of a process.
pub type Token = u64;

/// Something that happened.
#[derive(Debug)]
pub enum ControlEvent {
    /// Time has passed. Every 10 ms or so when there are several voters, every second when alone.
    Tick,
    /// A question. Exactly one answer follows, now or later, in `Respond` or in `Applied::then`,
    /// unless `Gone` comes before.
    Ask {
        /// The caller's name of it.
        token: Token,
        /// Who asks.
        asker: Asker,
        /// What.
        request: ControlRequest,
    },
    /// Whoever asked has gone: no answer is wanted. What was decided may still happen.
    Gone {
        /// Of which question.
        token: Token,
    },
    /// The answer to a `Send`.
    Answer {
        /// As in the effect.
        id: u64,
        /// The answer, decoded at the version that it was asked in.
        response: ControlResponse,
    },
    /// A `Send` will have no answer; or a `Probe` is over.
    Failed {
        /// As in the effect.
        id: u64,
        /// The connection was refused or reset at connect: the process is gone.
        refused: bool,
    },
    /// What [`Node::apply`] returned; its `then` are sent by the caller.
    ///
    /// [`Node::apply`]: crate::Node::apply
    Applied {
        /// As `Applied::upto`.
        upto: Offset,
    },
    /// [`Node::load_logs`] is done.
    ///
    /// [`Node::load_logs`]: crate::Node::load_logs
    LogsLoaded,
    /// The process shall stop: the controlled shutdown begins. `MayStop` follows.
    Shutdown,
}

/// Where a question came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// A controller listener: other nodes and tools. Only the active controller answers what
    /// concerns the controller; others say NOT_CONTROLLER.
    Controller,
    /// This broker's own handlers, for its clients or for itself: what is not decided here is
    /// passed on to the active controller, once there is one.
    Client,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Where the question came in.
    pub listener: ListenerKind,
    /// The version of the request, which is also that of the answer.
    pub version: i16,
    /// What the client calls itself.
    pub client_id: String,
    /// The octets of the client's address (4 or 16), for the envelope.
    pub client_address: Vec<u8>,
}

impl Asker {
    /// The broker itself, at this version.
    #[must_use]
    pub fn own(version: i16) -> Self {
        Self {
            listener: ListenerKind::Client,
            version,
            client_id: String::new(),
            client_address: vec![127, 0, 0, 1],
        }
    }
}

/// Something to do. Effects are carried out in order.
#[derive(Debug)]
pub enum ControlEffect {
    /// Ask another process. Sooner or later `Answer` or `Failed`. Fetches wait at the other end, so
    /// they have a connection of their own: nothing else may queue behind them.
    Send {
        /// The name of the question.
        id: u64,
        /// Whom.
        to: Destination,
        /// The version to ask in, unless the other speaks only lower ones.
        version: i16,
        /// The question.
        request: ControlRequest,
        /// How long to wait for the answer.
        timeout_ms: i64,
    },
    /// Connect to a broker that has fallen silent, say nothing, and tell by `Failed` whether it
    /// refused; `refused: false` when it did not, or when nothing came back.
    Probe {
        /// The name of it.
        id: u64,
        /// Whom.
        broker: BrokerId,
        /// Where it says that clients reach it.
        host: String,
        /// Likewise.
        port: u16,
        /// How long to wait.
        timeout_ms: i64,
    },
    /// Answer an `Ask`.
    Respond {
        /// As in the event.
        token: Token,
        /// The answer.
        response: ControlResponse,
    },
    /// Call [`Node::apply`] with it, never on the control thread and never two at a time: batches
    /// are applied in the order in which they come. Then send `Applied`, then the answers.
    ///
    /// [`Node::apply`]: crate::Node::apply
    Apply(ApplyBatch),
    /// The broker is registered and its image is current: call [`Node::load_logs`] where `Apply` is
    /// called, then send `LogsLoaded`.
    ///
    /// [`Node::load_logs`]: crate::Node::load_logs
    LoadLogs,
    /// The broker may take clients: the controller has unfenced it.
    Ready,
    /// The process may stop: the controlled shutdown is agreed on, or there is nobody to ask.
    MayStop,
    /// The node cannot go on; the process should end.
    Fatal {
        /// For people.
        why: String,
    },
}

/// Committed changes on their way to the broker's image.
#[derive(Debug)]
pub struct ApplyBatch {
    pub(crate) upto: Offset,
    pub(crate) next: Image,
    pub(crate) delta: Delta,
    pub(crate) then: Vec<(Token, ControlResponse)>,
}

/// What [`Node::apply`] has done.
///
/// [`Node::apply`]: crate::Node::apply
#[derive(Debug)]
pub struct Applied {
    /// For `ControlEvent::Applied`.
    pub upto: Offset,
    /// Answers that waited for it.
    pub then: Vec<(Token, ControlResponse)>,
}
