//! `tidelog dev --brokers N`: a cluster on one machine, each broker a process of its own.
//!
//! This process starts the others, prints what they say with their ids before it, passes signals
//! on, and ends when they have. One that dies ends all. Should this process die, the system ends
//! them.

mod plan;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use client::{Client, ClientConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::failure::Failure;
pub(super) use plan::Wanted;
use plan::{Member, controller_ports, members};

/// How the line begins by which a broker says that it takes clients; its address follows.
pub(super) const READY: &str = "tidelog is ready: ";
/// Lies beside the brokers' folders.
const CONTROLLERS: &str = "controller-ports";
/// How long the brokers may take to know each other once each of them is ready.
const FORMATION_TIME_MAX: Duration = Duration::from_secs(30);
const FORMATION_PAUSE: Duration = Duration::from_millis(100);
/// A second signal sooner than this is the first one, come by two ways.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// What is heard of the brokers.
enum Event {
    /// It takes clients at this address.
    Ready { id: u16, address: String },
    /// It has ended.
    Ended { id: u16, how: Result<ExitStatus, std::io::Error> },
    /// All of them know each other, or do not in time.
    Formed(Result<(), Failure>),
}

/// The brokers, as far as known.
struct Fleet {
    /// The processes that run, by the id of their broker.
    running: BTreeMap<u16, u32>,
    ready: BTreeMap<u16, String>,
    events: mpsc::UnboundedReceiver<Event>,
    heard: mpsc::UnboundedSender<Event>,
    /// Why all of them are to end.
    ending: Option<Result<(), Failure>>,
    /// When they were asked to.
    asked: Instant,
}

/// Runs brokers until a signal comes or one of them ends.
pub(super) fn run(wanted: &Wanted) -> Result<(), Failure> {
    if wanted.brokers > plan::BROKERS_MAX {
        let most = plan::BROKERS_MAX;
        return Err(Failure::Usage(format!("--brokers: at most {most}")));
    }
    let kept = kept_ports(&wanted.dir)?;
    let is_new = kept.is_none();
    let controllers = match controller_ports(wanted, kept).map_err(Failure::Usage)? {
        Some(ports) => ports,
        None => free_ports(wanted.brokers).map_err(Failure::Start)?,
    };
    if is_new {
        keep_ports(&wanted.dir, &controllers)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::Start)?;
    // Processes are started by this thread: they are to end when it does, not another one.
    runtime.block_on(async {
        let mut signals = Signals::catch().map_err(Failure::Start)?;
        let mut fleet = Fleet::new();
        let started = fleet.start(&members(wanted, &controllers));
        if let Err(failure) = started {
            fleet.end(Err(failure));
        }
        fleet.watch(wanted, &mut signals).await
    })
}

/// How many brokers a folder holds the data of, if of several.
pub(super) fn held(dir: &Path) -> Result<Option<usize>, Failure> {
    Ok(kept_ports(dir)?.map(|ports| ports.len()))
}

/// The ports of the controllers when the cluster was first started.
fn kept_ports(dir: &Path) -> Result<Option<Vec<u16>>, Failure> {
    let path = dir.join(CONTROLLERS);
    let failed = |source| Failure::Path { path: path.clone(), source };
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(failed)?,
    };
    let ports: Option<Vec<u16>> = text.split_whitespace().map(|port| port.parse().ok()).collect();
    let damaged = || failed(std::io::ErrorKind::InvalidData.into());
    ports.filter(|ports| !ports.is_empty()).map(Some).ok_or_else(damaged)
}

fn keep_ports(dir: &Path, ports: &[u16]) -> Result<(), Failure> {
    let path = dir.join(CONTROLLERS);
    let failed = |source| Failure::Path { path: path.clone(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    std::fs::write(&path, format!("{}\n", ports.join(" "))).map_err(failed)
}

/// Ports that are free now. They are held until all are known, so that no two are the same.
fn free_ports(count: u16) -> std::io::Result<Vec<u16>> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    held.iter().map(|one| Ok(one.local_addr()?.port())).collect()
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Fleet {
    fn new() -> Self {
        let (heard, events) = mpsc::unbounded_channel();
        let (running, ready) = (BTreeMap::new(), BTreeMap::new());
        Self { running, ready, events, heard, ending: None, asked: Instant::now() }
    }

    fn start(&mut self, members: &[Member]) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(Failure::Start)?;
        for Member { id, arguments } in members {
            let child = Command::new(&program)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                // A terminal's signals come here alone, and are passed on once.
                .process_group(0)
                .spawn()
                .map_err(Failure::Start)?;
            self.running.insert(*id, child.id());
            let heard = self.heard.clone();
            let id = *id;
            std::thread::spawn(move || listen(id, child, &heard));
        }
        Ok(())
    }

    /// Asks those that still run to end.
    fn end(&mut self, why: Result<(), Failure>) {
        self.ending.get_or_insert(why);
        self.asked = Instant::now();
        for process in self.running.values() {
            // One that has just ended is heard of next.
            let _ = server::process::terminate(*process);
        }
    }

    async fn watch(mut self, wanted: &Wanted, signals: &mut Signals) -> Result<(), Failure> {
        loop {
            if self.running.is_empty()
                && let Some(why) = self.ending.take()
            {
                return why;
            }
            tokio::select! {
                biased;
                event = self.events.recv() => match event {
                    Some(event) => self.take(event, wanted),
                    None => return Ok(()),
                },
                () = signals.next() => self.signalled(),
            }
        }
    }

    fn signalled(&mut self) {
        if self.ending.is_none() {
            self.end(Ok(()));
        } else if self.asked.elapsed() > SAME_SIGNAL {
            // Asked for again: no more waiting for clean ends.
            for process in self.running.values() {
                let _ = server::process::kill(*process);
            }
        }
    }

    fn take(&mut self, event: Event, wanted: &Wanted) {
        match event {
            Event::Ready { id, address } => {
                self.ready.insert(id, address);
                if self.ready.len() == usize::from(wanted.brokers) {
                    let heard = self.heard.clone();
                    let formed = formed(self.bootstrap(), self.ready.len());
                    tokio::spawn(async move { drop(heard.send(Event::Formed(formed.await))) });
                }
            }
            Event::Formed(Ok(())) if self.ending.is_none() => {
                let (count, bootstrap) = (wanted.brokers, self.bootstrap());
                println!("{READY}{count} brokers at {bootstrap}, data in {}", wanted.dir.display());
                println!("try: tidelog produce --bootstrap-server {bootstrap} --topic hello");
            }
            Event::Formed(Ok(())) => {}
            Event::Formed(Err(failure)) => self.end(Err(failure)),
            Event::Ended { id, how } => {
                self.running.remove(&id);
                let clean = how.as_ref().is_ok_and(ExitStatus::success);
                if self.ending.is_none() || !clean {
                    let how = ended(&how);
                    eprintln!("broker {id} has ended: {how}");
                    let failure = Err(Failure::BrokerEnded { id, how });
                    match &mut self.ending {
                        Some(why) if why.is_ok() => *why = failure,
                        Some(_) => {}
                        None => self.end(failure),
                    }
                }
            }
        }
    }

    /// `HOST:PORT` of all that are ready.
    fn bootstrap(&self) -> String {
        self.ready.values().cloned().collect::<Vec<_>>().join(",")
    }
}

fn ended(how: &Result<ExitStatus, std::io::Error>) -> String {
    match how {
        Ok(status) => match status.code() {
            Some(code) => format!("exit code {code}"),
            // It names the signal.
            None => status.to_string(),
        },
        Err(error) => error.to_string(),
    }
}

/// Waits until the brokers are one cluster.
async fn formed(bootstrap: String, count: usize) -> Result<(), Failure> {
    let config = ClientConfig { bootstrap, timeout: FORMATION_TIME_MAX, ..ClientConfig::default() };
    let client = Client::new(config)?;
    let deadline = client.deadline();
    loop {
        let known = client.describe_cluster().await?.brokers;
        let active = known.iter().filter(|broker| broker.fenced != Some(true)).count();
        if active >= count {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::NotOneCluster { count, active });
        }
        tokio::time::sleep(FORMATION_PAUSE).await;
    }
}

/// Passes on what a broker says, and tells when it has ended. On a thread of its own.
fn listen(id: u16, mut child: Child, heard: &mpsc::UnboundedSender<Event>) {
    let errors = child.stderr.take().map(|stderr| {
        std::thread::spawn(move || {
            let write = |line: &str| writeln!(std::io::stderr().lock(), "[{id}] {line}");
            each_line(stderr, |line| drop(write(line)));
        })
    });
    if let Some(stdout) = child.stdout.take() {
        each_line(stdout, |line| match line.strip_prefix(READY) {
            Some(rest) => {
                let address = rest.split(',').next().unwrap_or_default().to_owned();
                drop(heard.send(Event::Ready { id, address }));
            }
            None => drop(writeln!(std::io::stdout().lock(), "[{id}] {line}")),
        });
    }
    if let Some(errors) = errors {
        drop(errors.join());
    }
    drop(heard.send(Event::Ended { id, how: child.wait() }));
}

fn each_line(from: impl Read, mut take: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        take(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}
