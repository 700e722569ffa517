//! The APIs of consumer groups and their offsets: each is a request to the node's coordinator,
//! whose answer comes at once or when other members have done their part.

use std::sync::Arc;

use coordinator::{Request, Response};
use node::{ClientContext, GroupTicket};
use tokio::sync::oneshot;
use wire::ErrorCode;

pub(crate) mod delete_groups;
pub(crate) mod describe_groups;
pub(crate) mod heartbeat;
pub(crate) mod join_group;
pub(crate) mod leave_group;
pub(crate) mod list_groups;
pub(crate) mod offset_commit;
pub(crate) mod offset_delete;
pub(crate) mod offset_fetch;
pub(crate) mod sync_group;

use crate::broker::Broker;
use crate::connection::{Close, told_to_stop};
use crate::dispatch::{Answer, Call};

/// Asks the coordinator; `pick` takes the answer out of the coordinator's own kind.
fn ask<M: Send + 'static>(
    call: &Call,
    request: Request,
    pick: impl FnOnce(Response) -> Option<M> + Send + 'static,
) -> Answer<M> {
    ask_all(call, vec![request], move |answers| answers.into_iter().next().and_then(pick))
}

/// Asks the coordinator of several groups and answers when all have.
fn ask_all<M: Send + 'static>(
    call: &Call,
    requests: Vec<Request>,
    pick: impl FnOnce(Vec<Response>) -> Option<M> + Send + 'static,
) -> Answer<M> {
    let mut answers: Vec<Asked> = requests.into_iter().map(|r| Asked::begin(call, r)).collect();
    if answers.iter_mut().all(Asked::is_answered) {
        let answers = answers.into_iter().filter_map(|mut asked| asked.answer.take()).collect();
        return match pick(answers) {
            Some(answer) => Answer::Now(answer),
            None => Answer::Close(mismatch()),
        };
    }
    Answer::Later(Box::pin(async move {
        let mut responses = Vec::with_capacity(answers.len());
        for asked in answers {
            responses.push(asked.wait().await);
        }
        pick(responses).ok_or_else(mismatch)
    }))
}

fn mismatch() -> Close {
    Close::Internal("the coordinator answered another request".to_owned())
}

/// A request that the coordinator has. Dropping it takes it back: the client is gone.
struct Asked {
    broker: Arc<Broker>,
    version: i16,
    request: Request,
    ticket: Option<GroupTicket>,
    waiting: oneshot::Receiver<Response>,
    answer: Option<Response>,
}

impl Asked {
    fn begin(call: &Call, request: Request) -> Self {
        let broker = Arc::clone(&call.broker);
        let host = format!("/{}", call.peer.address.ip().to_canonical());
        let client = ClientContext {
            version: call.version,
            client_id: call.client_id.as_deref().unwrap_or_default(),
            client_host: &host,
        };
        let (reply, waiting) = oneshot::channel();
        let reply = Box::new(move |response| {
            // The client may be gone; then nobody wants to know.
            let _ = reply.send(response);
        });
        let ticket = broker.node.group_request(broker.now_ms(), &client, &request, reply);
        Self { broker, version: call.version, request, ticket, waiting, answer: None }
    }

    fn is_answered(&mut self) -> bool {
        if self.answer.is_none() {
            self.answer = self.waiting.try_recv().ok();
        }
        self.answer.is_some()
    }

    /// The answer when it comes, or a refusal when the broker drains meanwhile.
    async fn wait(mut self) -> Response {
        if let Some(answer) = self.answer.take() {
            return answer;
        }
        let mut stopping = self.broker.stopping.clone();
        let answer = tokio::select! {
            biased;
            answer = &mut self.waiting => answer.ok(),
            () = told_to_stop(&mut stopping) => None,
        };
        let refuse = || self.request.refuse(self.version, ErrorCode::CoordinatorNotAvailable);
        answer.unwrap_or_else(refuse)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.broker.node.cancel_group_request(self.broker.now_ms(), &ticket);
        }
    }
}
