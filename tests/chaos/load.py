"""A steady idempotent acks=all load that remembers every answer."""

import threading
import time

from confluent_kafka import KafkaException, Producer


class Load:
    """One producing thread over some partitions; a fatal error makes a new producer."""

    IN_FLIGHT_MAX = 20_000

    def __init__(self, address, topic, partitions, random_source):
        self.address, self.topic, self.partitions = address, topic, partitions
        self.random = random_source
        self.acknowledged = {partition: [] for partition in range(partitions)}
        self.pending = {partition: set() for partition in range(partitions)}
        self.failed = {}
        self.count = 0
        self.gap_max = 0.0
        self.last_ack = time.monotonic()
        self.producers = 0
        self.broken = None
        self.stopping = threading.Event()
        self.renew = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Begins to produce."""
        self.thread.start()

    def stop(self):
        """Stops producing and waits until every record is answered."""
        self.stopping.set()
        self.thread.join(150)
        assert not self.thread.is_alive(), "the load does not end"
        if self.broken is not None:
            raise self.broken

    def answered(self):
        """How many records were acknowledged."""
        return self.count

    def indeterminate(self):
        """Records that were sent and neither acknowledged nor answered for certain."""
        return self.pending

    def _delivered(self, error, message):
        partition, value = message.partition(), message.value()
        if error is not None:
            self.failed[error.name()] = self.failed.get(error.name(), 0) + 1
            return  # stays pending: it may or may not be in the log
        now = time.monotonic()
        self.gap_max = max(self.gap_max, now - self.last_ack)
        self.last_ack = now
        self.pending[partition].discard(value)
        self.acknowledged[partition].append((message.offset(), value))
        self.count += 1

    def _run(self):
        try:
            while not self.stopping.is_set():
                self._one_producer()
        except BaseException as error:  # shown by stop()
            self.broken = error

    def _one_producer(self):
        codec = self.random.choice(["none", "gzip", "snappy", "lz4", "zstd"])
        producer = Producer({
            "bootstrap.servers": self.address, "enable.idempotence": True, "acks": "all",
            "compression.type": codec, "linger.ms": self.random.choice([0, 1, 5]),
            "message.timeout.ms": 120_000, "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "log_level": 0,
        })
        name = self.producers
        self.producers += 1
        self.renew.clear()
        fatal = False
        numbers = [0] * self.partitions
        while not (self.stopping.is_set() or self.renew.is_set() or fatal):
            for partition in range(self.partitions):
                for _ in range(25):
                    value = b"%d:%d:%d:" % (name, partition, numbers[partition])
                    value += b"." * (numbers[partition] * 31 % 400)
                    self.pending[partition].add(value)
                    try:
                        producer.produce(self.topic, value, partition=partition,
                                         on_delivery=self._delivered)
                    except BufferError:
                        self.pending[partition].discard(value)
                        break
                    except KafkaException as error:
                        self.pending[partition].discard(value)
                        fatal = error.args[0].fatal()
                        if not fatal:
                            raise
                        break
                    numbers[partition] += 1
            producer.poll(0 if len(producer) < self.IN_FLIGHT_MAX else 0.01)
            while len(producer) > self.IN_FLIGHT_MAX and not self.stopping.is_set():
                producer.poll(0.05)
        producer.flush(120)
