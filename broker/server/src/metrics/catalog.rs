//! Every metric there is: name, type, labels, meaning. The scrape is written from here, and
//! `broker/docs/metrics.md` lists the same.
//!
//! What Kafka has too is named as Strimzi's rules for its exporter name it; everything else begins
//! with `tidelog_`, the process's own figures with `process_` as everywhere.

/// What a metric counts like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Summary,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Def {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The labels that its series may have.
    pub(crate) labels: &'static [&'static str],
    /// One sentence, without quotes, backslashes and line ends.
    pub(crate) help: &'static str,
}

/// A part of the page.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) metrics: &'static [Def],
}

macro_rules! section {
    ($list:ident, $title:literal:
     $($def:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(crate) const $def: Def = Def {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*
        #[cfg(test)]
        const $list: Section = Section { title: $title, metrics: &[$($def),*] };
    };
}

section! { QUORUM, "Metadata quorum":
    QUORUM_ROLE = Gauge "kafka_server_raftmetrics_current_state" ["current_state"]
        "1 for what this node is in the quorum: leader, candidate, follower and the like.";
    QUORUM_LEADER = Gauge "kafka_server_raftmetrics_current_leader" []
        "The leader; -1 when none is known.";
    QUORUM_EPOCH = Gauge "kafka_server_raftmetrics_current_epoch" []
        "The latest epoch.";
    QUORUM_HIGH_WATERMARK = Gauge "kafka_server_raftmetrics_high_watermark" []
        "Metadata records below this offset are committed.";
    QUORUM_LOG_END = Gauge "kafka_server_raftmetrics_log_end_offset" []
        "The offset that the next metadata record gets.";
    QUORUM_VOTERS = Gauge "kafka_server_raftmetrics_number_of_voters" []
        "Voters of the quorum.";
    QUORUM_OBSERVERS = Gauge "kafka_server_raftmetrics_number_of_observers" []
        "Who else fetches the metadata log, as its leader knows; 0 elsewhere.";
    ELECTION_LATENCY_AVG = Gauge "kafka_server_raftmetrics_election_latency_avg" []
        "Milliseconds from a bid for votes until there is a leader, on average in a minute.";
    ELECTION_LATENCY_MAX = Gauge "kafka_server_raftmetrics_election_latency_max" []
        "The longest of them.";
    COMMIT_LATENCY_AVG = Gauge "kafka_server_raftmetrics_commit_latency_avg" []
        "Milliseconds until what this node appended as the leader was committed, on average.";
    COMMIT_LATENCY_MAX = Gauge "kafka_server_raftmetrics_commit_latency_max" []
        "The longest of them in the last minute.";
    APPEND_RATE = Gauge "kafka_server_raftmetrics_append_records_rate" []
        "Records appended as the leader, in a second.";
    FETCH_RATE = Gauge "kafka_server_raftmetrics_fetch_records_rate" []
        "Records fetched from the leader, in a second.";
}

section! { REQUESTS, "Requests":
    REQUEST_COUNT = Counter "kafka_network_requestmetrics_requests_total" ["request", "version"]
        "Requests answered, by API and its version.";
    REQUEST_ERRORS = Counter "kafka_network_requestmetrics_errors_total" ["request", "error"]
        "Error codes in answers, one for each place that has one; NONE is no error.";
    REQUEST_QUEUE = Summary "kafka_network_requestmetrics_requestqueuetimems" ["request"]
        "Milliseconds from a request's arrival until work on it began.";
    REQUEST_LOCAL = Summary "kafka_network_requestmetrics_localtimems" ["request"]
        "Milliseconds of work on the connection's thread.";
    REQUEST_REMOTE = Summary "kafka_network_requestmetrics_remotetimems" ["request"]
        "Milliseconds of waiting: for records, other members, a flush, a thread that may block.";
    RESPONSE_QUEUE = Summary "kafka_network_requestmetrics_responsequeuetimems" ["request"]
        "Milliseconds that an answer waited for the answers before it.";
    RESPONSE_SEND = Summary "kafka_network_requestmetrics_responsesendtimems" ["request"]
        "Milliseconds until the socket had taken the whole answer.";
    REQUEST_TOTAL = Summary "kafka_network_requestmetrics_totaltimems" ["request"]
        "Milliseconds from a request's arrival until its answer was sent.";
}

section! { CONNECTIONS, "Connections":
    CONNECTION_COUNT = Gauge "kafka_server_socket_server_metrics_connection_count"
        ["listener", "networkProcessor"]
        "Open connections of a listener; networkProcessor is always 0.";
    CONNECTIONS_ACCEPTED = Counter "tidelog_connections_accepted_total" []
        "Connections accepted.";
    CONNECTIONS_REFUSED = Counter "tidelog_connections_refused_total" []
        "Connections refused because their address had its share.";
    CONNECTIONS_DELAYED = Counter "tidelog_connections_delayed_total" []
        "Connections that waited because too many came at once; max.connection.creation.rate.";
    NETWORK_BYTES_IN = Counter "tidelog_network_bytes_in_total" []
        "Bytes received from clients, with all headers.";
    NETWORK_BYTES_OUT = Counter "tidelog_network_bytes_out_total" []
        "Bytes sent to clients, with all headers.";
}

section! { TRAFFIC, "Traffic":
    BYTES_IN = Counter "kafka_server_brokertopicmetrics_bytesin_total" ["topic"]
        "Bytes of record batches appended; without a topic, to all.";
    BYTES_OUT = Counter "kafka_server_brokertopicmetrics_bytesout_total" ["topic"]
        "Bytes of record batches handed to fetches.";
    BYTES_REJECTED = Counter "kafka_server_brokertopicmetrics_bytesrejected_total" ["topic"]
        "Bytes refused because a batch was larger than allowed.";
    RECORDS_IN = Counter "kafka_server_brokertopicmetrics_messagesin_total" ["topic"]
        "Records appended.";
    PRODUCES = Counter "kafka_server_brokertopicmetrics_totalproducerequests_total" ["topic"]
        "Appends asked for, one for each partition of a request.";
    PRODUCES_FAILED = Counter "kafka_server_brokertopicmetrics_failedproducerequests_total"
        ["topic"] "Appends refused for what they held.";
    FETCHES = Counter "kafka_server_brokertopicmetrics_totalfetchrequests_total" ["topic"]
        "Reads answered, one for each partition of a request.";
    FETCHES_FAILED = Counter "kafka_server_brokertopicmetrics_failedfetchrequests_total" ["topic"]
        "Reads that met a corrupt batch.";
    PURGATORY_SIZE = Gauge "kafka_server_delayedoperationpurgatory_purgatorysize"
        ["delayedOperation"]
        "Who waits at a partition: produces for the high watermark, fetches for records.";
    FETCH_SESSIONS = Gauge "kafka_server_fetchsessioncache_numincrementalfetchsessions" []
        "Fetch sessions held.";
}

section! { STORAGE, "Logs and disks":
    LOG_SIZE = Gauge "kafka_log_log_size" ["topic", "partition"]
        "Bytes of the log.";
    LOG_SEGMENTS = Gauge "kafka_log_log_numlogsegments" ["topic", "partition"]
        "Segments of the log.";
    LOG_START = Gauge "kafka_log_log_logstartoffset" ["topic", "partition"]
        "The first offset there is.";
    LOG_END = Gauge "kafka_log_log_logendoffset" ["topic", "partition"]
        "The offset that the next record gets.";
    HIGH_WATERMARK = Gauge "tidelog_partition_high_watermark" ["topic", "partition"]
        "Consumers see what lies below this offset.";
    PRODUCER_IDS = Gauge "kafka_server_replicamanager_produceridcount" []
        "Producers that the logs remember, added up over the partitions.";
    CORRUPT_BATCHES = Counter "tidelog_corrupt_batches_total" []
        "Bad batches that reads have met; each is counted once and never served.";
    LOG_DIRS_OFFLINE = Gauge "kafka_log_logmanager_offlinelogdirectorycount" []
        "Log directories out of service.";
    LOG_DIR_OFFLINE = Gauge "kafka_log_logmanager_logdirectoryoffline" ["logDirectory"]
        "1 when the log directory is out of service.";
    LOG_DIR_BYTES = Gauge "tidelog_log_directory_size_bytes" ["log_directory"]
        "Bytes of the file system that holds the log directory.";
    LOG_DIR_FREE = Gauge "tidelog_log_directory_free_bytes" ["log_directory"]
        "Bytes that may still be written to it.";
}

section! { CLUSTER, "Broker and cluster":
    BROKER_STATE = Gauge "kafka_server_kafkaserver_brokerstate" []
        "1 while the cluster has not taken it in, 3 while the broker serves, 6 while it stops.";
    ACTIVE_CONTROLLER = Gauge "kafka_controller_kafkacontroller_activecontrollercount" []
        "1 when this node is the active controller.";
    ACTIVE_BROKERS = Gauge "kafka_controller_kafkacontroller_activebrokercount" []
        "Registered brokers that are not fenced.";
    FENCED_BROKERS = Gauge "kafka_controller_kafkacontroller_fencedbrokercount" []
        "Registered brokers that are fenced.";
    GLOBAL_TOPICS = Gauge "kafka_controller_kafkacontroller_globaltopiccount" []
        "Topics of the cluster.";
    GLOBAL_PARTITIONS = Gauge "kafka_controller_kafkacontroller_globalpartitioncount" []
        "Partitions of the cluster.";
    OFFLINE_PARTITIONS = Gauge "kafka_controller_kafkacontroller_offlinepartitionscount" []
        "Partitions of the cluster without a leader.";
    NOT_PREFERRED = Gauge "kafka_controller_kafkacontroller_preferredreplicaimbalancecount" []
        "Partitions led by another than the first of their replicas.";
    PARTITIONS = Gauge "kafka_server_replicamanager_partitioncount" []
        "Partitions with a replica on this broker.";
    LEADERS = Gauge "kafka_server_replicamanager_leadercount" []
        "Partitions that this broker leads.";
    OFFLINE_REPLICAS = Gauge "kafka_server_replicamanager_offlinereplicacount" []
        "Replicas of this broker that are not served, or closed for writing by corruption.";
    UNDER_REPLICATED = Gauge "kafka_server_replicamanager_underreplicatedpartitions" []
        "Partitions with a replica that is not in sync.";
    UNDER_MIN_ISR = Gauge "kafka_server_replicamanager_underminisrpartitioncount" []
        "Partitions with fewer replicas in sync than min.insync.replicas.";
    AT_MIN_ISR = Gauge "kafka_server_replicamanager_atminisrpartitioncount" []
        "Partitions with exactly as many replicas in sync as min.insync.replicas.";
    ISR_SHRINKS = Counter "kafka_server_replicamanager_isrshrinks_total" []
        "How often replicas left those in sync, of partitions that this broker leads.";
    ISR_EXPANDS = Counter "kafka_server_replicamanager_isrexpands_total" []
        "How often replicas joined those in sync, of partitions that this broker leads.";
}

section! { OF_GROUPS, "Consumer groups":
    GROUPS = Gauge "tidelog_groups" ["state"]
        "Groups that this broker coordinates, by state.";
    GROUP_MEMBERS_ALL = Gauge "tidelog_group_members" []
        "Members of all groups.";
    OFFSETS = Gauge "tidelog_committed_offsets" []
        "Committed offsets that are kept.";
    GROUP_MEMBERS = Gauge "kafka_consumergroup_members" ["consumergroup"]
        "Members of a group.";
    GROUP_OFFSET = Gauge "kafka_consumergroup_current_offset"
        ["consumergroup", "topic", "partition"]
        "The offset that the group has committed.";
    GROUP_LAG = Gauge "kafka_consumergroup_lag" ["consumergroup", "topic", "partition"]
        "Records between the committed offset and the high watermark.";
    SERIES_LEFT_OUT = Gauge "tidelog_metrics_series_left_out" []
        "Groups beyond 20,000 and committed offsets beyond 50,000, which a scrape leaves out.";
}

section! { PROCESS, "Process":
    BUILD_INFO = Gauge "tidelog_build_info" ["version"]
        "Always 1.";
    REQUEST_MEMORY = Gauge "tidelog_request_memory_bytes" []
        "Memory taken by requests that arrive.";
    REQUEST_MEMORY_MAX = Gauge "tidelog_request_memory_max_bytes" []
        "The most that they may take; queued.max.request.bytes.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "Processor time of all threads.";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" []
        "Memory in use.";
    PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" []
        "Address space.";
    PROCESS_FDS = Gauge "process_open_fds" []
        "Open descriptors.";
    PROCESS_FDS_MAX = Gauge "process_max_fds" []
        "The most descriptors there may be.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Threads.";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the process began, in seconds since 1970.";
}

/// Everything, in the order of the page.
#[cfg(test)]
pub(crate) const SECTIONS: &[Section] =
    &[CLUSTER, QUORUM, REQUESTS, TRAFFIC, STORAGE, OF_GROUPS, CONNECTIONS, PROCESS];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    /// The tables of broker/docs/metrics.md.
    fn documented() -> String {
        let mut text = String::new();
        for Section { title, metrics } in SECTIONS {
            let _ = write!(text, "\n### {title}\n\n| metric | type | labels | meaning |\n");
            text.push_str("|---|---|---|---|\n");
            for Def { name, kind, labels, help } in *metrics {
                let labels: Vec<String> = labels.iter().map(|l| format!("`{l}`")).collect();
                let (kind, labels) = (kind.name(), labels.join(" "));
                let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
            }
        }
        text.push('\n');
        text
    }

    #[test]
    fn the_page_lists_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, rest) = page.split_once("<!-- metrics: begin -->\n").unwrap();
        let (listed, _) = rest.split_once("<!-- metrics: end -->").unwrap();
        let expected = documented();
        assert!(listed == expected, "put this between the marks:\n{expected}");
    }

    #[test]
    fn names_are_well_formed_and_unique() {
        let plain = |text: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !text.starts_with(|c: char| c.is_ascii_digit())
        };
        let mut seen = BTreeSet::new();
        for def in SECTIONS.iter().flat_map(|section| section.metrics) {
            assert!(seen.insert(def.name), "{} is there twice", def.name);
            assert!(plain(def.name) && def.name == def.name.to_lowercase(), "{}", def.name);
            assert!(def.labels.iter().all(|label| plain(label)), "{}", def.name);
            assert!(
                def.help.ends_with('.') && !def.help.contains(['\\', '\n', '|']),
                "{}",
                def.name
            );
            let is_total = def.name.ends_with("_total");
            assert_eq!(is_total, def.kind == Kind::Counter, "{}", def.name);
            let prefix = def.name.split('_').next();
            assert!(matches!(prefix, Some("kafka" | "tidelog" | "process")), "{}", def.name);
        }
    }
}
