//! `tidelog dev` and `tidelog serve`: a configuration, and a broker that runs until it is told to
//! stop.

use std::path::{Path, PathBuf};

use server::config::{Layers, Loaded, load};

use super::failure::Failure;
use super::{SetArgs, default_data_dir};

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
        let (layers, dir) = self.layers()?;
        let loaded = load(&layers)?;
        serve(&loaded, Some(&dir))
    }

    /// The configuration of a lone broker whose data and bucket lie in one folder.
    fn layers(self) -> Result<(Layers, PathBuf), Failure> {
        let failed = |source| Failure::Path { path: self.data_dir.clone(), source };
        let dir = std::path::absolute(&self.data_dir).map_err(failed)?;
        let dev = vec![
            ("log.dirs", dir.join("logs").display().to_string()),
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

fn serve(loaded: &Loaded, dev: Option<&Path>) -> Result<(), Failure> {
    let logging = &loaded.settings.logging;
    server::logging::init(logging.json, &logging.filter)?;
    for note in &loaded.notes {
        eprintln!("note: {note}");
    }
    server::run(loaded.settings.serve_config(), |running| {
        let Some(dir) = dev else { return };
        let Some((_, address)) = running.listeners().first() else { return };
        println!("tidelog is ready: {address}, data in {}", dir.display());
        println!("try: tidelog produce --bootstrap-server {address} --topic hello");
    })?;
    Ok(())
}
