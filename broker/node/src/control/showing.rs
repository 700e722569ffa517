//! Answers of the active controller to what this broker has passed on: they wait until this
//! broker's own image holds what they tell of, so that a client finds what it has just made.
//!
//! An answer says nothing of where in the log it stands. So once it is here the controller is asked
//! where its log ends, one question for all that wait: what was decided stands before that.

use wire::ErrorCode;
use wire::ids::{BrokerId, Offset};
use wire::messages::describe_quorum_request::{DescribeQuorumRequest, PartitionData, TopicData};

use super::forwarding::Sent;
use super::plane::Plane;
use super::{ControlRequest, ControlResponse, Token, raft_messages};

/// Answers that wait for this broker's image.
#[derive(Debug, Default)]
pub(super) struct Showing {
    pub(super) answers: Vec<Unshown>,
    /// When the controller may be asked (again) where its log ends.
    ask_at: i64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Unshown {
    pub(super) token: Token,
    response: ControlResponse,
    /// It leaves then, whatever the image shows: what it tells has happened.
    until: i64,
    end: End,
}

/// What is known of where it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Unknown,
    /// The question of this name will tell.
    Asked(u64),
    /// Before this offset, in the log of this controller.
    Before(Offset, BrokerId),
}

impl Plane {
    /// Gives an answer to one of this broker's clients once the image shows what it tells of.
    pub(super) fn answer_when_shown(
        &mut self,
        token: Token,
        request: &ControlRequest,
        response: ControlResponse,
        until: i64,
    ) {
        match changes(request) {
            true => {
                self.showing.answers.push(Unshown { token, response, until, end: End::Unknown })
            }
            false => self.answer_when_applied(token, response),
        }
    }

    /// Lets go what is shown, and asks about what it is not known of.
    pub(super) fn show_answers(&mut self) {
        if self.showing.answers.is_empty() {
            return;
        }
        let (now, shown) = (self.clock.now(), self.log.image_end());
        // The state of an active controller is whole.
        let whole = self.leads_ready();
        let leader = self.log.quorum.leader();
        for one in &mut self.showing.answers {
            if let End::Before(_, of) = one.end
                && leader.is_some_and(|leader| leader != of)
            {
                // The end of that controller's log may be cut.
                one.end = End::Unknown;
            }
        }
        let known = |one: &Unshown| matches!(one.end, End::Before(end, _) if end <= shown);
        let due = |one: &mut Unshown| whole || one.until <= now || known(one);
        let due: Vec<Unshown> = self.showing.answers.extract_if(.., due).collect();
        for one in due {
            self.answer_when_applied(one.token, one.response);
        }
        self.ask_for_end();
    }

    fn ask_for_end(&mut self) {
        let unknown = self.showing.answers.iter().any(|one| one.end == End::Unknown);
        let asking = self.sent.values().any(|sent| matches!(sent, Sent::End(_)));
        if !unknown || asking || self.clock.now() < self.showing.ask_at {
            return;
        }
        let Some((leader, to)) = self.controller() else { return };
        let partition = PartitionData { partition_index: 0 };
        let topic = raft_messages::TOPIC.to_owned();
        let topics = vec![TopicData { topic_name: topic, partitions: vec![partition] }];
        let name = self.send(Sent::End(leader), to, DescribeQuorumRequest { topics }.into());
        for one in self.showing.answers.iter_mut().filter(|one| one.end == End::Unknown) {
            one.end = End::Asked(name);
        }
    }

    /// The controller has said where its log ends.
    pub(super) fn end_answered(&mut self, name: u64, of: BrokerId, response: &ControlResponse) {
        match end_of(response) {
            Some(end) => self.know_end(name, End::Before(end, of)),
            None => self.end_failed(name),
        }
    }

    /// It has not; somebody else leads, most likely.
    pub(super) fn end_failed(&mut self, name: u64) {
        self.showing.ask_at = self.clock.now().saturating_add(self.config.retry_backoff_ms);
        self.know_end(name, End::Unknown);
    }

    fn know_end(&mut self, name: u64, end: End) {
        for one in self.showing.answers.iter_mut().filter(|one| one.end == End::Asked(name)) {
            one.end = end;
        }
    }
}

/// Where the leader's log ends: all that it has ever committed stands before. Its high watermark
/// may be lower for a moment after its election.
fn end_of(response: &ControlResponse) -> Option<Offset> {
    let ControlResponse::DescribeQuorum(described) = response else { return None };
    let partition = described.topics.first()?.partitions.first()?;
    let fine = [described.error_code, partition.error_code] == [ErrorCode::None.code(); 2];
    let leads = |replica_id: i32| replica_id == partition.leader_id;
    let leader = partition.current_voters.iter().find(|one| leads(one.replica_id));
    leader.filter(|_| fine).map(|leader| Offset(leader.log_end_offset))
}

/// Whether what is asked changes what this broker shows its clients.
fn changes(request: &ControlRequest) -> bool {
    matches!(
        request,
        ControlRequest::CreateTopics(_)
            | ControlRequest::AutoCreateTopics(_)
            | ControlRequest::CreatePartitions(_)
            | ControlRequest::DeleteTopics(_)
            | ControlRequest::AlterConfigs(_)
            | ControlRequest::IncrementalAlterConfigs(_)
            | ControlRequest::UpdateFeatures(_)
            | ControlRequest::UnregisterBroker(_)
    )
}
