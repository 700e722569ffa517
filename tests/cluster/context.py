"""What a scenario gets: a cluster of three, clients and tools."""

import itertools

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from ..harness import net, procs, tools
from ..harness.cluster import Cluster, Member
from ..harness.kafka_tools import KafkaTools


class Context:
    """One cluster shared by the scenarios that leave it whole."""

    def __init__(self, seed, topics, seconds, long=False, kind=Member):
        self.seed, self.topics, self.seconds, self.long = seed, topics, seconds, long
        # Whose processes they are.
        self.kind = kind
        self.tools = KafkaTools()
        self.kcat_path = tools.kcat()
        self._cluster = None
        self._own = []
        self._networks = []
        self._names = itertools.count()
        self._admins = {}

    @property
    def cluster(self):
        """Three brokers that serve."""
        if self._cluster is None:
            self._cluster = Cluster(kind=self.kind)
            self._cluster.start()
        return self._cluster

    def own(self, **options):
        """A cluster for one scenario, not started."""
        cluster = Cluster(kind=self.kind, **options)
        self._own.append(cluster)
        return cluster

    def keep(self, cluster):
        """Ends this cluster with the scenario."""
        self._own.append(cluster)
        return cluster

    def apart(self, size):
        """A cluster for one scenario, not started, each member in a namespace of its own."""
        self._networks.append(net.Net(size))
        return self.own(size=size, network=self._networks[-1])

    def before(self, _scenario):
        """Nothing: the cluster is made when it is asked for."""

    def after(self, _scenario):
        """Ends what the scenario had for itself."""
        self._end_own()
        if self._cluster is not None:
            for member in self._cluster.members:
                assert member.alive(), member.tail()

    def failed(self, _scenario):
        """Shows what the processes said last; the next scenario gets fresh ones."""
        for cluster in [*self._own, *([self._cluster] if self._cluster else [])]:
            print(cluster.tail(2500), flush=True)
        self._end_own()
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def _end_own(self):
        self._admins = {}
        for cluster in self._own:
            cluster.close()
        for network in self._networks:
            network.close()
        self._own, self._networks = [], []

    def close(self):
        """Ends everything."""
        self.tools.close()
        self._end_own()
        if self._cluster is not None:
            self._cluster.close()

    def name(self, stem="t"):
        """A name that no other scenario uses."""
        return f"{stem}-{next(self._names)}"

    def admin(self, address):
        """librdkafka's admin client at this address; it must outlive what it is asked."""
        if address not in self._admins:
            self._admins[address] = AdminClient({"bootstrap.servers": address, "log_level": 0})
        return self._admins[address]

    def topic(self, address, stem="t", partitions=6):
        """Makes a topic by way of this address; returns its name."""
        name = self.name(stem)
        new = NewTopic(name, num_partitions=partitions, replication_factor=1)
        self.admin(address).create_topics([new], operation_timeout=20)[name].result(30)
        return name

    @staticmethod
    def producer(address, **more):
        """A Python producer."""
        return Producer({"bootstrap.servers": address, "log_level": 0, "acks": "all", **more})

    @staticmethod
    def consumer(address, group, **more):
        """A Python consumer."""
        return Consumer({"bootstrap.servers": address, "log_level": 0, "group.id": group,
                         "auto.offset.reset": "earliest", "enable.auto.commit": False, **more})

    def kcat(self, address, *arguments, **options):
        """Runs kcat against this address."""
        return procs.run([self.kcat_path, "-b", address, *arguments], **options)
