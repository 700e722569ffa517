//! Which brokers `tidelog dev --brokers N` starts, and what each is told: the decision, without
//! starting anything.

use std::path::{Path, PathBuf};

/// The most brokers of one fleet.
pub(super) const BROKERS_MAX: u16 = 32;
/// How far behind the clients' ports those of the controllers are.
const CONTROLLER_PORTS_BEHIND: u16 = 100;

/// What is asked for.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Wanted {
    pub(in crate::commands) brokers: u16,
    /// The first client port; 0 is any free one for each.
    pub(in crate::commands) port: u16,
    /// The first admin port; 0 is any free one for each.
    pub(in crate::commands) admin_port: u16,
    pub(in crate::commands) dir: PathBuf,
    /// `KEY=VALUE` for all of them, with the last word.
    pub(in crate::commands) set: Vec<String>,
}

/// One broker of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: u16,
    /// The arguments of its process.
    pub(super) arguments: Vec<String>,
}

/// The ports of the controllers: those `kept` from the cluster's first start, for its voters know
/// each other by them, or else some behind the clients'; none where any free ones will do.
pub(super) fn controller_ports(
    wanted: &Wanted,
    kept: Option<Vec<u16>>,
) -> Result<Option<Vec<u16>>, String> {
    let count = usize::from(wanted.brokers);
    let row = |first: u16, what: &str| -> Result<Vec<u16>, String> {
        let ports: Vec<u16> = (first..=u16::MAX).take(count).collect();
        let enough = ports.len() == count;
        enough
            .then_some(ports)
            .ok_or_else(|| format!("there are no {count} {what} from {first} on"))
    };
    let controllers = match kept {
        Some(ports) if ports.len() != count => {
            let (dir, held) = (wanted.dir.display(), ports.len());
            return Err(format!("{dir} holds a cluster of {held} brokers; give --brokers {held}"));
        }
        Some(ports) => Some(ports),
        None if wanted.port == 0 => None,
        None => {
            Some(row(wanted.port.saturating_add(CONTROLLER_PORTS_BEHIND), "ports for controllers")?)
        }
    };
    let mut taken = controllers.clone().unwrap_or_default();
    for (first, what) in [(wanted.port, "ports"), (wanted.admin_port, "admin ports")] {
        if first == 0 {
            continue;
        }
        for port in row(first, what)? {
            if taken.contains(&port) {
                return Err(format!(
                    "port {port} would be used twice: each broker has one from --port on, one \
                     from --admin-port on, and one for its controller"
                ));
            }
            taken.push(port);
        }
    }
    Ok(controllers)
}

/// The brokers, with their controllers on these ports.
pub(super) fn members(wanted: &Wanted, controllers: &[u16]) -> Vec<Member> {
    let voters: Vec<String> =
        (0u16..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
    let voters = voters.join(",");
    let bucket = wanted.dir.join("bucket");
    (0u16..)
        .zip(controllers)
        .map(|(id, controller)| member(wanted, id, *controller, &voters, &bucket))
        .collect()
}

fn member(wanted: &Wanted, id: u16, controller: u16, voters: &str, bucket: &Path) -> Member {
    let of = |first: u16| if first == 0 { 0 } else { first.saturating_add(id) };
    let port = of(wanted.port);
    let keys = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", id.to_string()),
        ("listeners", format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("controller.quorum.voters", voters.to_owned()),
        ("controller.quorum.auto.join.enable", "true".to_owned()),
        ("tidelog.remote.url", format!("file://{}", bucket.display())),
    ];
    let dir = wanted.dir.join(format!("broker-{id}"));
    let mut arguments = vec![
        "dev".to_owned(),
        "--one-of-several".to_owned(),
        "--data-dir".to_owned(),
        dir.display().to_string(),
        "--port".to_owned(),
        port.to_string(),
        "--admin-port".to_owned(),
        of(wanted.admin_port).to_string(),
    ];
    let keys = keys.into_iter().map(|(key, value)| format!("{key}={value}"));
    for set in keys.chain(wanted.set.iter().cloned()) {
        arguments.extend(["--set".to_owned(), set]);
    }
    Member { id, arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(brokers: u16, port: u16, admin_port: u16) -> Wanted {
        let set = vec!["num.partitions=3".to_owned()];
        Wanted { brokers, port, admin_port, dir: "/d".into(), set }
    }

    #[test]
    fn every_broker_has_ports_and_a_folder_of_its_own() {
        let wanted = wanted(3, 9092, 9644);
        let controllers = controller_ports(&wanted, None).unwrap().unwrap();
        assert_eq!(controllers, [9192, 9193, 9194]);
        let members = members(&wanted, &controllers);
        assert_eq!(members.len(), 3);
        let line = members[2].arguments.join(" ");
        for part in [
            "dev --one-of-several --data-dir /d/broker-2 --port 9094 --admin-port 9646",
            "--set node.id=2",
            "--set listeners=PLAINTEXT://127.0.0.1:9094,CONTROLLER://127.0.0.1:9194",
            "--set controller.quorum.voters=0@127.0.0.1:9192,1@127.0.0.1:9193,2@127.0.0.1:9194",
            "--set tidelog.remote.url=file:///d/bucket",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(line.ends_with("--set num.partitions=3"), "the last word is the user's: {line}");
    }

    #[test]
    fn any_free_ports() {
        let wanted = wanted(2, 0, 0);
        assert_eq!(controller_ports(&wanted, None), Ok(None));
        let kept = vec![50_000, 50_001];
        assert_eq!(controller_ports(&wanted, Some(kept.clone())), Ok(Some(kept)));
        let line = members(&wanted, &[50_000, 50_001])[1].arguments.join(" ");
        assert!(line.contains("--port 0 --admin-port 0"), "{line}");
        assert!(line.contains("PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:50001"), "{line}");
    }

    #[test]
    fn ports_that_collide_or_end_are_refused() {
        for (brokers, port, admin) in
            [(3, 9092, 9094), (3, 9092, 9190), (101, 9092, 0), (2, 65_535, 1), (2, 1, 65_535)]
        {
            let wanted = wanted(brokers, port, admin);
            assert!(controller_ports(&wanted, None).is_err(), "{port} {admin}");
        }
        let kept = Some(vec![9093, 5000]);
        assert!(controller_ports(&wanted(2, 9092, 0), kept.clone()).is_err());
        let refused = controller_ports(&wanted(3, 0, 0), kept).unwrap_err();
        assert!(refused.contains("a cluster of 2 brokers"), "{refused}");
    }
}
