//! A broker as its controller sees it: it registers, beats, and follows the metadata log without
//! reading what is in it.

use metadata::control::brokers::Registration;
use node::{ControlRequest, ControlResponse, Endpoint};
use wire::ErrorCode;
use wire::ids::{BrokerId, Uuid};
use wire::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};
use wire::messages::fetch_response::FetchResponse;
use wire::records::BatchIter;

const FETCH_BYTES: i32 = 1 << 20;
const FETCH_WAIT_MS: i32 = 500;
/// The pause after a controller did not answer, or was not the active one.
const RETRY_MS: i64 = 50;

/// One broker.
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) rack: usize,
    pub(super) up: bool,
    pub(super) life: u64,
    /// The controller it believes to be the active one.
    pub(super) leader: usize,
    leader_epoch: i32,
    /// Where it goes on to fetch.
    pub(super) offset: i64,
    last_epoch: i32,
    high_watermark: i64,
    /// Its registration's; -1 before that.
    pub(super) epoch: i64,
    pub(super) fenced: bool,
    /// When a controller answered its heartbeat last, and which one.
    pub(super) beaten: Option<(i64, usize)>,
}

/// What a broker asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    /// Registration or heartbeat.
    Beat,
    Fetch,
}

impl Broker {
    pub(super) fn new(id: i32, rack: usize) -> Self {
        Self {
            id,
            rack,
            up: false,
            life: 0,
            leader: 0,
            leader_epoch: 0,
            offset: 0,
            last_epoch: 0,
            high_watermark: 0,
            epoch: -1,
            fenced: true,
            beaten: None,
        }
    }

    /// A new run of its process, with the log that the last one had.
    pub(super) fn start(&mut self) {
        (self.up, self.epoch, self.fenced) = (true, -1, true);
        self.life += 1;
    }

    fn directory(&self) -> Uuid {
        Uuid::from_random(0xd1_0000_0000 + self.id as u128)
    }

    pub(super) fn request(&self, errand: Errand, cluster: &str) -> ControlRequest {
        match errand {
            Errand::Fetch => self.fetch(cluster).into(),
            Errand::Beat if self.epoch < 0 => self.registration(cluster),
            Errand::Beat => BrokerHeartbeatRequest {
                broker_id: self.id,
                broker_epoch: self.epoch,
                current_metadata_offset: self.offset.min(self.high_watermark) - 1,
                ..Default::default()
            }
            .into(),
        }
    }

    fn registration(&self, cluster: &str) -> ControlRequest {
        let endpoint = Endpoint {
            listener: "PLAINTEXT".to_owned(),
            host: format!("broker-{}.brokers.example", self.id),
            port: 9092,
            security_protocol: 0,
        };
        let registration = Registration {
            id: BrokerId(self.id),
            incarnation: Uuid::from_random(u128::from(self.life) << 64 | self.id as u128),
            cluster_id: Some(cluster.to_owned()),
            endpoints: vec![endpoint],
            features: Registration::own_features(),
            rack: Some(format!("rack-{}", self.rack)),
            log_dirs: vec![self.directory()],
            previous_epoch: -1,
        };
        registration.to_request().into()
    }

    fn fetch(&self, cluster: &str) -> FetchRequest {
        let partition = FetchPartition {
            partition: 0,
            current_leader_epoch: self.leader_epoch,
            fetch_offset: self.offset,
            last_fetched_epoch: self.last_epoch,
            log_start_offset: -1,
            partition_max_bytes: FETCH_BYTES,
            replica_directory_id: self.directory(),
            high_watermark: self.high_watermark,
        };
        let topic = FetchTopic {
            topic: "__cluster_metadata".to_owned(),
            topic_id: Uuid::METADATA_TOPIC,
            partitions: vec![partition],
        };
        FetchRequest {
            cluster_id: Some(cluster.to_owned()),
            replica_state: ReplicaState { replica_id: self.id, replica_epoch: -1 },
            max_wait_ms: FETCH_WAIT_MS,
            max_bytes: FETCH_BYTES,
            topics: vec![topic],
            ..Default::default()
        }
    }

    /// Takes an answer, or `None` for the lack of one. Gives the pause before it asks again;
    /// `None` is the usual pause of a heartbeat.
    pub(super) fn answered(
        &mut self,
        now: i64,
        from: usize,
        controllers: usize,
        answer: Option<ControlResponse>,
    ) -> Option<i64> {
        match answer {
            None => {
                self.leader = (from + 1) % controllers;
                Some(RETRY_MS)
            }
            Some(ControlResponse::Fetch(answer)) => self.fetched(controllers, answer),
            Some(ControlResponse::BrokerRegistration(answer)) => {
                if answer.error_code != 0 {
                    return Some(RETRY_MS);
                }
                self.epoch = answer.broker_epoch;
                Some(0)
            }
            Some(ControlResponse::BrokerHeartbeat(answer)) => {
                if answer.error_code == ErrorCode::StaleBrokerEpoch.code() {
                    self.epoch = -1;
                    return Some(0);
                }
                if answer.error_code != 0 {
                    return Some(RETRY_MS);
                }
                self.fenced = answer.is_fenced;
                self.beaten = Some((now, from));
                answer.is_fenced.then_some(RETRY_MS)
            }
            Some(other) => panic!("{other:?}"),
        }
    }

    fn fetched(&mut self, controllers: usize, answer: FetchResponse) -> Option<i64> {
        assert_eq!(answer.error_code, 0);
        let said = &answer.responses[0].partitions[0];
        let (leader, epoch) = (said.current_leader.leader_id, said.current_leader.leader_epoch);
        self.leader_epoch = self.leader_epoch.max(epoch);
        if said.error_code != 0 {
            match usize::try_from(leader) {
                Ok(leader) if epoch >= self.leader_epoch => self.leader = leader,
                _ => self.leader = (self.leader + 1) % controllers,
            }
            return Some(RETRY_MS);
        }
        if said.diverging_epoch.epoch >= 0 {
            self.offset = self.offset.min(said.diverging_epoch.end_offset);
            self.last_epoch = said.diverging_epoch.epoch;
            return Some(0);
        }
        if said.snapshot_id.epoch >= 0 {
            // Its bytes are not fetched: that is the brokers' own time mostly.
            self.offset = said.snapshot_id.end_offset;
            self.last_epoch = said.snapshot_id.epoch;
            return Some(0);
        }
        self.high_watermark = said.high_watermark;
        let records = said.records.clone().map(wire::records_slot::Records::into_bytes);
        for batch in BatchIter::new(records.unwrap_or_default()) {
            // The last batch may be cut.
            let Ok(batch) = batch else { break };
            self.offset = batch.header().last_offset() + 1;
            self.last_epoch = batch.header().partition_leader_epoch;
        }
        Some(0)
    }
}
