"""Runs scenarios one after another and counts them."""

import sys
import time
import traceback


class Suite:
    """A list of scenarios: functions of one argument that fail by raising."""

    def __init__(self, name):
        self.name = name
        self.scenarios = []
        self.passed = self.failed = 0

    def scenario(self, function):
        """Decorator: adds a scenario. Its first docstring line is its title."""
        self.scenarios.append(function)
        return function

    def ours(self, function):
        """Decorator: a scenario that makes sense, or is safe, only with our broker."""
        function.ours_only = True
        return self.scenario(function)

    @staticmethod
    def one_broker(function):
        """Decorator: a scenario that takes the broker it asks for the leader of all there is, or
        its files for all files; not for a cluster."""
        function.one_broker = True
        return function

    def run(self, context, only=()):
        """Runs them, prints a line each and the count; returns the number of failures."""
        passed = failed = 0
        began = time.monotonic()
        for function in self.scenarios:
            name = f"{function.__module__.rsplit('.', 1)[-1]}::{function.__name__}"
            if only and not any(part in name for part in only):
                continue
            if getattr(function, "ours_only", False) and context.kind.name != "tidelog":
                print(f"skip {name}: ours only", flush=True)
                continue
            if getattr(function, "one_broker", False) and context.kind.size > 1:
                print(f"skip {name}: of one broker", flush=True)
                continue
            started = time.monotonic()
            try:
                context.before(function)
                note = function(context)
                context.after(function)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a scenario's SystemExit is a failure too
                failed += 1
                print(f"FAIL {name} ({time.monotonic() - started:.1f} s)", flush=True)
                traceback.print_exception(error, file=sys.stdout)
                context.failed(function)
            else:
                passed += 1
                tail = f": {note}" if note else ""
                print(f"ok   {name} ({time.monotonic() - started:.1f} s){tail}", flush=True)
        self.passed, self.failed = passed, failed
        took = time.monotonic() - began
        print(f"{self.name}: {took:.0f} s\n{self.name}: {passed} passed, {failed} failed",
              flush=True)
        return failed if passed + failed else 1
