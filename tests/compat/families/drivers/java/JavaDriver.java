// The driver around Apache Kafka's own Java client; ../../README.md describes its protocol.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class JavaDriver {
    static final ObjectMapper JSON = new ObjectMapper();
    static final ExecutorService POOL = Executors.newCachedThreadPool(JavaDriver::daemon);
    static final Map<String, Class<?>> ASSIGNORS = Map.of(
        "range", RangeAssignor.class, "roundrobin", RoundRobinAssignor.class,
        "sticky", StickyAssignor.class, "cooperative", CooperativeStickyAssignor.class,
        "custom", Backwards.class);
    static final Duration POLL = Duration.ofMillis(50);

    final String address;
    final PrintStream out;
    final Admin admin;
    final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
    final Map<String, Member> members = new ConcurrentHashMap<>();

    JavaDriver(String address, PrintStream out) {
        this.address = address;
        this.out = out;
        this.admin = Admin.create(base());
    }

    static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err); // a stray print does not disturb the protocol
        JavaDriver driver = new JavaDriver(args[0], out);
        driver.say(JSON.createObjectNode().put("ready", true)
            .put("client", "kafka-clients " + AppInfoParser.getVersion()));
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String line;
        while ((line = in.readLine()) != null) {
            JsonNode request = JSON.readTree(line);
            // Enqueued here, in the order they came in; waited for elsewhere.
            Future<ObjectNode> begun = driver.begin(request);
            POOL.submit(() -> driver.answer(request.get("id"), begun));
        }
        Runtime.getRuntime().halt(0);
    }

    synchronized void say(ObjectNode value) {
        out.println(value);
        out.flush();
    }

    void answer(JsonNode id, Future<ObjectNode> begun) {
        ObjectNode said = JSON.createObjectNode();
        said.set("id", id);
        try {
            said.set("ok", begun.get());
        } catch (Throwable error) {
            said.set("error", failure(error));
        }
        say(said);
    }

    static ObjectNode failure(Throwable error) {
        Throwable cause = error;
        while (cause instanceof ExecutionException && cause.getCause() != null) {
            cause = cause.getCause();
        }
        ObjectNode node = JSON.createObjectNode();
        int code = code(cause);
        if (code >= 0) node.put("code", code); else node.putNull("code");
        return node.put("text", cause.toString());
    }

    /** Kafka's code; -1 when the exception stands for none. */
    static int code(Throwable cause) {
        // Two exceptions of the consumer's own stand for a broker's answer.
        if (cause instanceof org.apache.kafka.clients.consumer.OffsetOutOfRangeException) {
            return Errors.OFFSET_OUT_OF_RANGE.code();
        }
        if (cause instanceof org.apache.kafka.clients.consumer.CommitFailedException) {
            return Errors.UNKNOWN_MEMBER_ID.code();
        }
        return Errors.forException(cause).code();
    }

    // -- routing

    Future<ObjectNode> begin(JsonNode r) {
        String op = r.get("op").asText();
        if (op.equals("join") || op.equals("assign")) {
            return POOL.submit(() -> start(op, r));
        }
        if (r.has("member")) {
            Member member = members.get(r.get("member").asText());
            if (member == null) {
                return CompletableFuture.failedFuture(new IllegalStateException("no member"));
            }
            return member.begin(op, r);
        }
        return POOL.submit(() -> switch (op) {
            case "produce" -> produce(r);
            case "consume" -> consume(r);
            case "offset" -> offset(r);
            default -> administer(op, r);
        });
    }

    ObjectNode administer(String op, JsonNode r) throws Exception {
        return switch (op) {
            case "create_topic" -> createTopic(r);
            case "delete_topic" -> done(admin.deleteTopics(List.of(topic(r))).all());
            case "create_partitions" -> done(admin.createPartitions(
                Map.of(topic(r), NewPartitions.increaseTo(r.get("count").asInt()))).all());
            case "topic" -> describeTopic(r);
            case "configs" -> configs(r);
            case "alter_config" -> alterConfig(r);
            case "delete_records" -> deleteRecords(r);
            case "groups" -> groups();
            case "group" -> group(r);
            case "group_offsets" -> groupOffsets(r);
            case "delete_offsets" -> done(admin.deleteConsumerGroupOffsets(
                r.get("group").asText(),
                Set.of(new TopicPartition(topic(r), r.get("partition").asInt()))).all());
            case "delete_group" ->
                done(admin.deleteConsumerGroups(List.of(r.get("group").asText())).all());
            default -> throw new IllegalArgumentException("no operation " + op);
        };
    }

    static ObjectNode done(Future<?> future) throws Exception {
        future.get();
        return JSON.createObjectNode();
    }

    // -- fields

    Map<String, Object> base() {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", address);
        return config;
    }

    static String topic(JsonNode r) {
        return r.get("topic").asText();
    }

    static String text(JsonNode r, String name, String otherwise) {
        return r.hasNonNull(name) ? r.get(name).asText() : otherwise;
    }

    static int number(JsonNode r, String name, int otherwise) {
        return r.hasNonNull(name) ? r.get(name).asInt() : otherwise;
    }

    static byte[] bytes(JsonNode value) {
        return value == null || value.isNull() ? null : Base64.getDecoder().decode(value.asText());
    }

    static String base64(byte[] value) {
        return value == null ? null : Base64.getEncoder().encodeToString(value);
    }

    static List<TopicPartition> partitions(JsonNode list) {
        List<TopicPartition> found = new ArrayList<>();
        list.forEach(p -> found.add(new TopicPartition(p.get(0).asText(), p.get(1).asInt())));
        return found;
    }

    static ArrayNode list(Collection<TopicPartition> partitions) {
        TreeSet<TopicPartition> sorted = new TreeSet<>(
            Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition));
        sorted.addAll(partitions);
        ArrayNode out = JSON.createArrayNode();
        sorted.forEach(p -> out.addArray().add(p.topic()).add(p.partition()));
        return out;
    }

    static ObjectNode record(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode node = JSON.createObjectNode()
            .put("topic", record.topic()).put("partition", record.partition())
            .put("offset", record.offset()).put("timestamp", record.timestamp())
            .put("key", base64(record.key())).put("value", base64(record.value()));
        ArrayNode headers = node.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(base64(header.value()));
        }
        return node;
    }

    // -- producing and reading

    KafkaProducer<byte[], byte[]> producer(JsonNode r) {
        Map<String, Object> config = base();
        config.put("acks", text(r, "acks", "all"));
        config.put("compression.type", text(r, "codec", "none"));
        config.put("enable.idempotence", r.path("idempotent").asBoolean(false));
        config.put("metadata.max.age.ms", 1000);
        config.put("linger.ms", number(r, "linger_ms", 5));
        if (r.hasNonNull("max_bytes")) config.put("max.request.size", r.get("max_bytes").asInt());
        synchronized (producers) {
            return producers.computeIfAbsent(new TreeMap<>(config).toString(), key ->
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()));
        }
    }

    ObjectNode produce(JsonNode r) throws Exception {
        KafkaProducer<byte[], byte[]> producer = producer(r);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode each : r.get("records")) {
            Integer partition = each.hasNonNull("partition") ? each.get("partition").asInt() : null;
            Long timestamp = each.hasNonNull("timestamp") ? each.get("timestamp").asLong() : null;
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic(r), partition,
                timestamp, bytes(each.get("key")), bytes(each.get("value")));
            for (JsonNode header : each.path("headers")) {
                record.headers().add(header.get(0).asText(), bytes(header.get(1)));
            }
            sent.add(producer.send(record));
        }
        ObjectNode ok = JSON.createObjectNode();
        ArrayNode acks = ok.putArray("acks");
        for (Future<RecordMetadata> each : sent) {
            RecordMetadata found = each.get();
            acks.addArray().add(found.partition()).add(found.offset());
        }
        return ok;
    }

    ObjectNode consume(JsonNode r) {
        Map<String, Object> config = base();
        config.put("auto.offset.reset", text(r, "reset", "none"));
        config.put("enable.auto.commit", false);
        if (r.hasNonNull("max_bytes")) {
            config.put("max.partition.fetch.bytes", r.get("max_bytes").asInt());
            config.put("fetch.max.bytes", r.get("max_bytes").asInt());
        }
        int count = r.get("count").asInt();
        long deadline = System.nanoTime() + number(r, "timeout_ms", 10_000) * 1_000_000L;
        ObjectNode ok = JSON.createObjectNode();
        ArrayNode records = ok.putArray("records");
        TopicPartition part = new TopicPartition(topic(r), r.get("partition").asInt());
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(part));
            JsonNode from = r.get("from");
            if (from.isNumber()) consumer.seek(part, from.asLong());
            else if (from.asText().equals("earliest")) consumer.seekToBeginning(List.of(part));
            else consumer.seekToEnd(List.of(part));
            while (records.size() < count && System.nanoTime() < deadline) {
                for (ConsumerRecord<byte[], byte[]> each : consumer.poll(POLL)) {
                    if (records.size() < count) records.add(record(each));
                }
            }
        }
        return ok;
    }

    ObjectNode offset(JsonNode r) throws Exception {
        TopicPartition part = new TopicPartition(topic(r), r.get("partition").asInt());
        JsonNode at = r.get("at");
        OffsetSpec spec = at.isNumber() ? OffsetSpec.forTimestamp(at.asLong())
            : at.asText().equals("earliest") ? OffsetSpec.earliest() : OffsetSpec.latest();
        long found = admin.listOffsets(Map.of(part, spec)).partitionResult(part).get().offset();
        return JSON.createObjectNode().put("offset", found);
    }

    // -- members

    ObjectNode start(String op, JsonNode r) {
        Map<String, Object> config = base();
        config.put("group.id", r.get("group").asText());
        config.put("auto.offset.reset", text(r, "reset", "earliest"));
        config.put("session.timeout.ms", number(r, "session_ms", 6000));
        config.put("heartbeat.interval.ms", number(r, "heartbeat_ms", 300));
        config.put("max.poll.interval.ms", number(r, "rebalance_ms", 30_000));
        config.put("metadata.max.age.ms", number(r, "metadata_ms", 1000));
        config.put("partition.assignment.strategy",
            List.of(ASSIGNORS.get(text(r, "assignor", "range"))));
        int auto = number(r, "auto_commit_ms", 0);
        config.put("enable.auto.commit", auto > 0);
        if (auto > 0) config.put("auto.commit.interval.ms", auto);
        if (r.hasNonNull("instance")) config.put("group.instance.id", r.get("instance").asText());
        Member member = new Member(config, r.path("commit_on_revoke").asBoolean(false));
        if (op.equals("join")) member.subscribe(r.get("topics"));
        else member.consumer.assign(partitions(r.get("partitions")));
        members.put(r.get("member").asText(), member);
        daemon(member).start();
        return JSON.createObjectNode();
    }

    /** A consumer with the thread that polls it. */
    final class Member implements Runnable, ConsumerRebalanceListener {
        final KafkaConsumer<byte[], byte[]> consumer;
        final boolean commitOnRevoke;
        final List<Runnable> commands = new ArrayList<>();
        final Map<TopicPartition, OffsetAndMetadata> delivered = new HashMap<>();
        ArrayNode records = JSON.createArrayNode();
        final ArrayNode events = JSON.createArrayNode();
        ObjectNode error;
        long stalledUntil;
        boolean closed;

        Member(Map<String, Object> config, boolean commitOnRevoke) {
            this.commitOnRevoke = commitOnRevoke;
            consumer = new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        void subscribe(JsonNode topics) {
            List<String> names = new ArrayList<>();
            topics.forEach(name -> names.add(name.asText()));
            consumer.subscribe(names, this);
        }

        /** Hands an operation to the polling thread. */
        CompletableFuture<ObjectNode> begin(String op, JsonNode r) {
            CompletableFuture<ObjectNode> result = new CompletableFuture<>();
            synchronized (commands) {
                commands.add(() -> {
                    try {
                        carryOut(op, r, result);
                    } catch (Throwable failed) {
                        result.completeExceptionally(failed);
                    }
                });
            }
            return result;
        }

        @Override
        public void run() {
            boolean over = false;
            while (!closed) {
                List<Runnable> now;
                synchronized (commands) {
                    now = new ArrayList<>(commands);
                    commands.clear();
                }
                now.forEach(Runnable::run);
                if (closed) return;
                if (over || System.nanoTime() < stalledUntil) {
                    pause();
                    continue;
                }
                try {
                    for (ConsumerRecord<byte[], byte[]> each : consumer.poll(POLL)) {
                        records.add(record(each));
                        delivered.put(new TopicPartition(each.topic(), each.partition()),
                            new OffsetAndMetadata(each.offset() + 1));
                    }
                } catch (Throwable failed) {
                    error = failure(failed);
                    over = failed instanceof FencedInstanceIdException;
                    pause();
                }
            }
        }

        void pause() {
            try {
                Thread.sleep(20);
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
        }

        void carryOut(String op, JsonNode r, CompletableFuture<ObjectNode> result) {
            ObjectNode ok = JSON.createObjectNode();
            switch (op) {
                case "state" -> {
                    ok.set("assigned", list(consumer.assignment()));
                    ok.set("events", events.deepCopy());
                    ok.set("error", error);
                }
                case "take" -> {
                    ok.set("records", records);
                    records = JSON.createArrayNode();
                }
                case "commit" -> {
                    commit(r, result);
                    return;
                }
                case "committed" -> committed(r, ok);
                case "subscribe" -> subscribe(r.get("topics"));
                case "seek" -> consumer.seek(
                    new TopicPartition(topic(r), r.get("partition").asInt()),
                    r.get("offset").asLong());
                case "stall" ->
                    stalledUntil = System.nanoTime() + r.get("ms").asLong() * 1_000_000;
                case "leave" -> {
                    closed = true;
                    members.values().remove(this);
                    consumer.close();
                }
                default -> throw new IllegalArgumentException("no operation " + op);
            }
            result.complete(ok);
        }

        void commit(JsonNode r, CompletableFuture<ObjectNode> result) {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            if (r.hasNonNull("offsets")) {
                for (JsonNode each : r.get("offsets")) {
                    offsets.put(new TopicPartition(each.get(0).asText(), each.get(1).asInt()),
                        new OffsetAndMetadata(each.get(2).asLong(), each.path(3).asText("")));
                }
            } else {
                offsets.putAll(delivered);
                offsets.keySet().retainAll(consumer.assignment());
            }
            if (text(r, "how", "sync").equals("async")) {
                consumer.commitAsync(offsets, (done, failed) -> {
                    if (failed == null) result.complete(JSON.createObjectNode());
                    else result.completeExceptionally(failed);
                });
                return;
            }
            consumer.commitSync(offsets);
            result.complete(JSON.createObjectNode());
        }

        void committed(JsonNode r, ObjectNode ok) {
            List<TopicPartition> wanted = partitions(r.get("partitions"));
            ok.set("offsets", offsets(wanted, consumer.committed(new HashSet<>(wanted))));
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            note("assigned", partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (commitOnRevoke) {
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>(delivered);
                offsets.keySet().retainAll(partitions);
                consumer.commitSync(offsets);
            }
            note("revoked", partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            note("lost", partitions);
        }

        void note(String what, Collection<TopicPartition> partitions) {
            events.addArray().add(what).add(list(partitions));
        }
    }

    static ArrayNode offsets(
            List<TopicPartition> wanted, Map<TopicPartition, OffsetAndMetadata> found) {
        ArrayNode out = JSON.createArrayNode();
        for (TopicPartition part : wanted) {
            OffsetAndMetadata at = found.get(part);
            out.addArray().add(part.topic()).add(part.partition())
                .add(at == null ? -1 : at.offset()).add(at == null ? "" : at.metadata());
        }
        return out;
    }

    /** The custom assignor of README: partitions dealt round, members from last to first. */
    public static final class Backwards implements ConsumerPartitionAssignor {
        @Override
        public String name() {
            return "backwards";
        }

        @Override
        public ByteBuffer subscriptionUserData(Set<String> topics) {
            return ByteBuffer.wrap("hello".getBytes(StandardCharsets.UTF_8));
        }

        @Override
        public GroupAssignment assign(Cluster cluster, GroupSubscription group) {
            List<String> order = new ArrayList<>(new TreeSet<>(group.groupSubscription().keySet())
                .descendingSet());
            TreeSet<String> topics = new TreeSet<>();
            group.groupSubscription().values().forEach(each -> topics.addAll(each.topics()));
            Map<String, List<TopicPartition>> dealt = new HashMap<>();
            order.forEach(member -> dealt.put(member, new ArrayList<>()));
            int next = 0;
            for (String topic : topics) {
                Integer count = cluster.partitionCountForTopic(topic);
                for (int part = 0; count != null && part < count; part++) {
                    String member = order.get(next++ % order.size());
                    dealt.get(member).add(new TopicPartition(topic, part));
                }
            }
            Map<String, Assignment> assignments = new HashMap<>();
            dealt.forEach((member, mine) -> assignments.put(member, new Assignment(mine)));
            return new GroupAssignment(assignments);
        }
    }

    // -- administration

    ObjectNode createTopic(JsonNode r) throws Exception {
        Map<String, String> configs = new HashMap<>();
        r.path("configs").properties().forEach(
            each -> configs.put(each.getKey(), each.getValue().asText()));
        NewTopic topic = new NewTopic(topic(r), r.get("partitions").asInt(),
            (short) number(r, "replication", 1)).configs(configs);
        return done(admin.createTopics(List.of(topic)).all());
    }

    ObjectNode describeTopic(JsonNode r) throws Exception {
        ObjectNode ok = JSON.createObjectNode();
        ArrayNode parts = ok.putArray("partitions");
        admin.describeTopics(List.of(topic(r))).allTopicNames().get().get(topic(r)).partitions()
            .forEach(part -> {
                ArrayNode row = parts.addArray().add(part.partition())
                    .add(part.leader() == null ? -1 : part.leader().id());
                ids(row.addArray(), part.replicas());
                ids(row.addArray(), part.isr());
            });
        return ok;
    }

    static void ids(ArrayNode out, List<Node> nodes) {
        nodes.forEach(node -> out.add(node.id()));
    }

    static ConfigResource resource(JsonNode r) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic(r));
    }

    ObjectNode configs(JsonNode r) throws Exception {
        ObjectNode ok = JSON.createObjectNode();
        ObjectNode configs = ok.putObject("configs");
        admin.describeConfigs(List.of(resource(r))).all().get().get(resource(r)).entries()
            .forEach(entry -> configs.put(entry.name(), entry.value()));
        return ok;
    }

    ObjectNode alterConfig(JsonNode r) throws Exception {
        String value = text(r, "value", null);
        AlterConfigOp op = new AlterConfigOp(new ConfigEntry(r.get("name").asText(), value),
            value == null ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET);
        return done(admin.incrementalAlterConfigs(Map.of(resource(r), List.of(op))).all());
    }

    ObjectNode deleteRecords(JsonNode r) throws Exception {
        TopicPartition part = new TopicPartition(topic(r), r.get("partition").asInt());
        RecordsToDelete before = RecordsToDelete.beforeOffset(r.get("before").asLong());
        long low = admin.deleteRecords(Map.of(part, before)).lowWatermarks().get(part).get()
            .lowWatermark();
        return JSON.createObjectNode().put("low", low);
    }

    ObjectNode groups() throws Exception {
        ObjectNode ok = JSON.createObjectNode();
        ArrayNode names = ok.putArray("groups");
        admin.listGroups().all().get().stream().map(GroupListing::groupId).sorted()
            .forEach(names::add);
        return ok;
    }

    ObjectNode group(JsonNode r) throws Exception {
        String name = r.get("group").asText();
        ConsumerGroupDescription found =
            admin.describeConsumerGroups(List.of(name)).all().get().get(name);
        return JSON.createObjectNode().put("state", found.groupState().toString())
            .put("protocol", found.partitionAssignor()).put("members", found.members().size());
    }

    ObjectNode groupOffsets(JsonNode r) throws Exception {
        ObjectNode ok = JSON.createObjectNode();
        ok.set("offsets", offsets(partitions(r.get("partitions")),
            admin.listConsumerGroupOffsets(r.get("group").asText())
                .partitionsToOffsetAndMetadata().get()));
        return ok;
    }
}
