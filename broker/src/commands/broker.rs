//! `tidelog dev` and `tidelog serve`: a configuration, and a broker that runs until it is told to
//! stop.

use std::path::PathBuf;

use server::config::{Layers, Loaded, load};

use super::failure::Failure;
use super::fleet::{self, READY, Wanted};
use super::{SetArgs, default_data_dir};

/// Where a lone broker's logs lie in the folder of `dev`.
const ALONE_LOGS: &str = "logs";

/// Arguments of `tidelog dev`.
#[derive(Debug, clap::Args)]
pub(super) struct Dev {
    /// The folder for all data; made when it is not there.
    #[arg(long, value_name = "D", default_value_os_t = default_data_dir())]
    data_dir: PathBuf,
    /// The port for Kafka clients on 127.0.0.1; 0 is any free one.
    #[arg(long, value_name = "P", default_value_t = 9092)]
    port: u16,
    /// The port for health and metrics on 127.0.0.1; 0 is any free one.
    #[arg(long, value_name = "A", default_value_t = 9644)]
    admin_port: u16,
    /// How many brokers: each a process of its own, on ports P, P+1, ... with data in D/broker-0,
    /// D/broker-1, ...; their controllers take ports P+100, P+101, ...
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    brokers: u16,
    /// Started by the process that watches over several.
    #[arg(long, hide = true, conflicts_with = "brokers")]
    one_of_several: bool,
    #[command(flatten)]
    set: SetArgs,
}

/// Arguments of `tidelog serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// The configuration: a flat .yaml or a .properties file of Kafka's keys.
    #[arg(long, value_name = "F")]
    config: PathBuf,
    #[command(flatten)]
    set: SetArgs,
}

impl Dev {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.brokers > 1 {
            if self.data_dir.join(ALONE_LOGS).exists() {
                let dir = self.data_dir.display();
                let why = "holds the data of one broker; give --brokers 1 or another --data-dir";
                return Err(Failure::Usage(format!("{dir} {why}")));
            }
            return fleet::run(&self.fleet()?);
        }
        if let Some(held) = fleet::held(&self.data_dir)? {
            let dir = self.data_dir.display();
            let why = format!("{dir} holds a cluster of {held} brokers; give --brokers {held}");
            return Err(Failure::Usage(why));
        }
        if self.one_of_several {
            server::process::end_with_parent().map_err(Failure::Start)?;
        }
        let alone = !self.one_of_several;
        let (layers, dir) = self.layers()?;
        let loaded = load(&layers)?;
        serve(&loaded, Some(Told { dir, alone }))
    }

    fn fleet(self) -> Result<Wanted, Failure> {
        let failed = |source| Failure::Path { path: self.data_dir.clone(), source };
        let dir = std::path::absolute(&self.data_dir).map_err(failed)?;
        let (brokers, port, admin_port) = (self.brokers, self.port, self.admin_port);
        Ok(Wanted { brokers, port, admin_port, dir, set: self.set.set })
    }

    /// The configuration of a lone broker whose data and bucket lie in one folder.
    fn layers(self) -> Result<(Layers, PathBuf), Failure> {
        let failed = |source| Failure::Path { path: self.data_dir.clone(), source };
        let dir = std::path::absolute(&self.data_dir).map_err(failed)?;
        let dev = vec![
            ("log.dirs", dir.join(ALONE_LOGS).display().to_string()),
            ("listeners", format!("PLAINTEXT://127.0.0.1:{}", self.port)),
            ("tidelog.admin.host", "127.0.0.1".to_owned()),
            ("tidelog.admin.port", self.admin_port.to_string()),
            ("tidelog.remote.url", format!("file://{}", dir.join("bucket").display())),
            ("offsets.topic.replication.factor", "1".to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ];
        let environment = std::env::vars_os().collect();
        Ok((Layers { dev, file: None, environment, set: self.set.set }, dir))
    }
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let environment = std::env::vars_os().collect();
        let file = Some(self.config);
        let layers = Layers { dev: Vec::new(), file, environment, set: self.set.set };
        serve(&load(&layers)?, None)
    }
}

/// What the developer is told once the broker is ready.
struct Told {
    dir: PathBuf,
    /// Whether nobody else tells what to try.
    alone: bool,
}

fn serve(loaded: &Loaded, dev: Option<Told>) -> Result<(), Failure> {
    let logging = &loaded.settings.logging;
    server::logging::init(logging.json, &logging.filter)?;
    for note in &loaded.notes {
        eprintln!("note: {note}");
    }
    server::run(loaded.settings.serve_config(), |running| {
        let Some(Told { dir, alone }) = dev else { return };
        let Some((_, address)) = running.listeners().first() else { return };
        println!("{READY}{address}, data in {}", dir.display());
        if alone {
            println!("try: tidelog produce --bootstrap-server {address} --topic hello");
        }
    })?;
    Ok(())
}
