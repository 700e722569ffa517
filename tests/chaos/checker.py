"""What must hold of a log: every acknowledged record once, in order, at its offset.

Values are `producer:partition:number`; numbers of one producer and partition count up from 0.
A record that was neither acknowledged nor known to be refused may be there once or not at all.
"""


class Verdict:
    """The counts of one check; `wrong` holds the first examples."""

    EXAMPLES_MAX = 10

    def __init__(self):
        self.acknowledged = self.indeterminate = self.found = 0
        self.lost = self.misplaced = self.doubled = self.disordered = self.foreign = 0
        self.holes = 0
        self.wrong = []

    def note(self, kind, text):
        """Counts a fault."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.wrong) < self.EXAMPLES_MAX:
            self.wrong.append(f"{kind}: {text}")

    @property
    def faults(self):
        """How many rules were broken."""
        return (self.lost + self.misplaced + self.doubled + self.disordered + self.foreign
                + self.holes)

    def __str__(self):
        return (f"{self.lost} lost of {self.acknowledged} acknowledged, "
                f"{self.misplaced} misplaced, {self.doubled} doubled, "
                f"{self.disordered} out of order, {self.foreign} foreign, {self.holes} holes, "
                f"{self.found} found, {self.indeterminate} never answered")


def check(acknowledged, indeterminate, logs):
    """Compares what was acknowledged with what is there.

    acknowledged: {partition: [(offset, value)]}; indeterminate: {partition: {value}};
    logs: {partition: [(offset, value)]} as read from the start to the end.
    """
    verdict = Verdict()
    for partition, log in logs.items():
        acks = acknowledged.get(partition, [])
        unknown = indeterminate.get(partition, set())
        verdict.acknowledged += len(acks)
        verdict.indeterminate += len(unknown)
        verdict.found += len(log)
        by_value = {}
        last = {}
        for index, (offset, value) in enumerate(log):
            if offset != index:
                verdict.note("holes", f"{partition}: offset {offset} at position {index}")
            if value in by_value:
                verdict.note("doubled", f"{partition}: {value!r} at {by_value[value]}, {offset}")
            by_value.setdefault(value, offset)
            producer, number = value.split(b":")[0], int(value.split(b":")[2])
            if number <= last.get(producer, -1):
                verdict.note("disordered", f"{partition}: {value!r} at {offset}")
            last[producer] = number
        values = set(unknown)
        for offset, value in acks:
            values.add(value)
            if value not in by_value:
                verdict.note("lost", f"{partition}: {value!r} acknowledged at {offset}")
            elif by_value[value] != offset:
                verdict.note("misplaced", f"{partition}: {value!r} acknowledged at {offset}, "
                                          f"found at {by_value[value]}")
        for value in by_value:
            if value not in values:
                verdict.note("foreign", f"{partition}: {value!r} was never sent")
    return verdict
