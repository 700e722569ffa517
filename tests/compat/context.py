"""What a scenario gets: a running broker, clients, tools and scratch space."""

import itertools
import pathlib
import shutil
import tempfile

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ..harness import corpus, procs, tools
from ..harness.kafka_tools import KafkaTools

CORPUS_BYTES = 100_000_000


class Context:
    """One broker shared by the scenarios of a run; scenarios use topics of their own."""

    def __init__(self, kind, corpus_bytes=CORPUS_BYTES):
        self.kind = kind
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="tidelog-compat-"))
        self.tools = KafkaTools()
        self.kcat_path = tools.kcat()
        self.corpus_bytes = corpus_bytes
        self.broker = kind()
        # How often the broker looks for old segments is in its settings.
        self.retention_seconds = 60
        self._corpus = None
        self._admin = None
        self._names = itertools.count()

    def before(self, _scenario):
        """A scenario finds a running broker, whatever the one before left."""
        if self.broker.alive():
            return
        if self.broker.child is not None:  # it died by itself
            self.broker.child = None
        try:
            self.broker.start()
        except AssertionError:
            self.broker.close(keep=True)
            self.broker = self.kind()
            self.broker.start()
            self._admin = None

    def after(self, _scenario):
        """The broker outlives every scenario."""
        if self.broker.child is not None:
            assert self.broker.alive(), f"the broker died\n{self.broker.tail()}"

    def failed(self, _scenario):
        """Shows what the broker said last, and lets the next scenario find it restarted."""
        print(self.broker.tail(1500), flush=True)
        if self.broker.alive():
            self.broker.kill()

    def close(self):
        """Ends everything."""
        self.tools.close()
        self.broker.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    # -- names and files

    def name(self, stem="t"):
        """A name that no other scenario uses."""
        return f"{stem}-{next(self._names)}"

    def file(self, content=b""):
        """A new scratch file."""
        path = self.scratch / f"file-{next(self._names)}"
        path.write_bytes(content)
        return path

    def corpus(self):
        """The large text file and its number of lines."""
        if self._corpus is None:
            path = self.scratch / "corpus.txt"
            self._corpus = (path, corpus.make(path, self.corpus_bytes))
        return self._corpus

    # -- clients

    def admin(self):
        """librdkafka's admin client."""
        if self._admin is None:
            self._admin = AdminClient(self.client_config())
        return self._admin

    def client_config(self, **more):
        """Settings of a Python client; dots are written as underscores."""
        config = {"bootstrap.servers": self.broker.address, "log_level": 0}
        config.update({key if key == "log_level" else key.replace("_", "."): value
                       for key, value in more.items()})
        return config

    def topic(self, stem="t", partitions=1, **config):
        """Creates a topic and returns its name."""
        name = self.name(stem)
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config)
        self.admin().create_topics([new], operation_timeout=20)[name].result(30)
        self.wait_for_topic(name)
        return name

    def wait_for_topic(self, name):
        """Kafka answers a creation before the broker itself knows of it."""
        def known():
            found = self.admin().list_topics(name, timeout=20).topics[name]
            return found.error is None and all(
                part.leader > 0 for part in found.partitions.values())
        procs.wait_until(known, f"{name} has leaders", 20)
        procs.wait_until(lambda: self._served(name), f"{name} is served", 20)

    def _served(self, name):
        try:
            return self.watermarks(name) is not None
        except KafkaException:
            return False

    def producer(self, **config):
        """A Python producer."""
        return Producer(self.client_config(**config))

    def consumer(self, **config):
        """A Python consumer; its group exists only when it commits or subscribes."""
        config.setdefault("group_id", self.name("group"))
        config.setdefault("enable_auto_commit", False)
        return Consumer(self.client_config(**config))

    def produce(self, topic, values, partition=0, **config):
        """Produces values in order; returns the acknowledged offsets in that order."""
        producer = self.producer(**{"acks": "all", "linger_ms": 5, **config})
        offsets = [None] * len(values)
        errors = []

        def note(index):
            def delivered(error, message):
                if error is not None:
                    errors.append(error)
                else:
                    offsets[index] = message.offset()
            return delivered

        for index, value in enumerate(values):
            while True:
                try:
                    producer.produce(topic, value, partition=partition,
                                     on_delivery=note(index))
                    break
                except BufferError:
                    producer.poll(0.05)
            producer.poll(0)
        left = producer.flush(60)
        assert left == 0, f"{left} records not answered"
        if errors:
            raise KafkaException(errors[0])
        return offsets

    def read(self, topic, count, partition=0, offset=0, timeout=30, **config):
        """Reads `count` records of a partition from an offset."""
        consumer = self.consumer(**config)
        try:
            consumer.assign([TopicPartition(topic, partition, offset)])
            found = []

            def more():
                for message in consumer.consume(min(count - len(found), 10_000), 0.2):
                    if message.error():
                        raise KafkaException(message.error())
                    found.append(message)
                return len(found) >= count
            procs.wait_until(more, f"{count} records of {topic}-{partition}", timeout, 0)
            return found
        finally:
            consumer.close()

    def watermarks(self, topic, partition=0):
        """(first, next) offset of a partition."""
        consumer = self.consumer()
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
        finally:
            consumer.close()

    def kcat(self, *arguments, timeout=60, check=True, **options):
        """Runs kcat against the broker."""
        return procs.run([self.kcat_path, "-b", self.broker.address, *arguments],
                         timeout=timeout, check=check, **options)

    def tool(self, name, *arguments, timeout=120, stdin="/dev/null"):
        """Runs one of Kafka's tools against the broker."""
        return self.tools(name, "--bootstrap-server", self.broker.address, *arguments,
                          timeout=timeout, stdin=stdin)


def code_of(call):
    """Runs a call that must fail; returns the name of its Kafka error."""
    try:
        value = call()
    except KafkaException as error:
        return error.args[0].name()
    except KafkaError as error:
        return error.name()
    raise AssertionError(f"expected an error, got {value!r}")
