//! The levels of the broker's loggers, changed while it runs.
//!
//! Kafka's loggers are classes; ours are `root` and the modules that write lines. What is changed
//! lasts until the process ends, as in Kafka. The state is the process's, as the log is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing_subscriber::EnvFilter;
use wire::ErrorCode;

/// The logger that all others inherit from.
pub(crate) const ROOT: &str = "root";
/// The modules that write lines, and their parent.
const MODULES: &[&str] = &[
    "tidelog_server",
    "tidelog_server::admin_http",
    "tidelog_server::connection",
    "tidelog_server::handlers",
    "tidelog_server::listener",
    "tidelog_server::maintenance",
    "tidelog_server::start",
];
/// Levels by Kafka's names, with ours. There is nothing worse than an error here.
const LEVELS: &[(&str, &str)] = &[
    ("FATAL", "error"),
    ("ERROR", "error"),
    ("WARN", "warn"),
    ("INFO", "info"),
    ("DEBUG", "debug"),
    ("TRACE", "trace"),
];

static STATE: Mutex<State> =
    Mutex::new(State { base: String::new(), changed: BTreeMap::new(), reload: None });

/// Puts a filter in force.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send>;

struct State {
    /// `tidelog.log.level`.
    base: String,
    /// What was changed since the start: our level by logger.
    changed: BTreeMap<String, &'static str>,
    reload: Option<Reload>,
}

/// A change of one logger: its new level, or `None` for that of its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) logger: String,
    pub(crate) level: Option<String>,
}

/// What the process logs by from now on.
pub(super) fn begin(filter: &str, reload: Reload) {
    start_over(filter);
    lock().reload = Some(reload);
}

/// Another filter is in force; what was changed before does not count any more.
pub(super) fn start_over(filter: &str) {
    let mut state = lock();
    state.base = filter.to_owned();
    state.changed.clear();
}

/// Every logger with its level, by Kafka's name.
pub(crate) fn levels() -> BTreeMap<String, String> {
    lock().levels()
}

/// Changes levels, all or none; `validate_only` changes none and says the same.
pub(crate) fn change(changes: &[Change], validate_only: bool) -> Result<(), (ErrorCode, String)> {
    lock().change(changes, validate_only)
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A module's name as clients see it: Kafka's own tool takes no colons.
fn told(target: &str) -> String {
    target.replace("::", ".")
}

/// The module of such a name.
fn target(logger: &str) -> String {
    told(logger).replace('.', "::")
}

impl State {
    fn levels(&self) -> BTreeMap<String, String> {
        let mut levels = BTreeMap::new();
        let in_base = self.base.split(',').filter_map(|one| one.split_once('='));
        let in_base = in_base.map(|(target, _)| target.trim()).filter(|t| !t.contains('['));
        let names = in_base.chain(MODULES.iter().copied()).chain([ROOT]);
        for name in names {
            let ours = self.level(name);
            let known = LEVELS.iter().rev().find(|(_, level)| *level == ours);
            let level = known.map_or_else(|| ours.to_ascii_uppercase(), |(name, _)| (*name).into());
            levels.insert(told(name), level);
        }
        levels
    }

    /// The level that holds for a logger: its own, or that of the nearest above it.
    fn level(&self, name: &str) -> String {
        let mut name = name;
        loop {
            if let Some(level) = self.changed.get(name) {
                return (*level).to_owned();
            }
            let directives = self.base.split(',').map(str::trim);
            let of_base = |one: &str| match one.split_once('=') {
                Some((target, level)) if target == name => Some(level.to_ascii_lowercase()),
                None if name == ROOT && !one.is_empty() => Some(one.to_ascii_lowercase()),
                _ => None,
            };
            if let Some(level) = directives.filter_map(of_base).next_back() {
                return level;
            }
            name = match name.rsplit_once("::") {
                Some((parent, _)) => parent,
                None if name == ROOT => return "error".to_owned(),
                None => ROOT,
            };
        }
    }

    fn change(
        &mut self,
        changes: &[Change],
        validate_only: bool,
    ) -> Result<(), (ErrorCode, String)> {
        let known = self.levels();
        let mut changed = self.changed.clone();
        for Change { logger, level } in changes {
            if !known.contains_key(&told(logger)) {
                let why = format!("Logger {logger} does not exist!");
                return Err((ErrorCode::InvalidConfig, why));
            }
            let Some(level) = level else {
                if logger == ROOT {
                    let why = "Removing the log level of the root logger is not allowed";
                    return Err((ErrorCode::InvalidRequest, why.to_owned()));
                }
                changed.remove(&target(logger));
                continue;
            };
            let Some((_, ours)) = LEVELS.iter().find(|(name, _)| name == level) else {
                let why = format!(
                    "Cannot set the log level of {logger} to {level} as it is not a supported log \
                     level. Valid log levels are FATAL, ERROR, WARN, INFO, DEBUG, TRACE"
                );
                return Err((ErrorCode::InvalidConfig, why));
            };
            changed.insert(target(logger), ours);
        }
        if !validate_only {
            self.changed = changed;
            self.put_in_force().map_err(|why| (ErrorCode::UnknownServerError, why))?;
        }
        Ok(())
    }

    fn put_in_force(&self) -> Result<(), String> {
        let Some(reload) = &self.reload else { return Ok(()) };
        // Of two directives for one target the later one holds.
        let changed = self.changed.iter().map(|(name, level)| match name.as_str() {
            ROOT => (*level).to_owned(),
            name => format!("{name}={level}"),
        });
        let filter: Vec<String> = std::iter::once(self.base.clone()).chain(changed).collect();
        let filter = EnvFilter::try_new(filter.join(",")).map_err(|error| error.to_string())?;
        reload(filter)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn state(base: &str) -> (State, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let reload: Reload = Box::new(move |filter| {
            heard.lock().unwrap().push(filter.to_string());
            Ok(())
        });
        let state = State { base: base.to_owned(), changed: BTreeMap::new(), reload: Some(reload) };
        (state, said)
    }

    fn set(logger: &str, level: &str) -> Change {
        Change { logger: logger.to_owned(), level: Some(level.to_owned()) }
    }

    #[test]
    fn loggers_inherit_from_the_nearest_above() {
        let (mut state, said) = state("warn,tidelog_server::listener=debug,other=off");
        let levels = state.levels();
        assert_eq!(levels["root"], "WARN");
        assert_eq!(levels["tidelog_server.connection"], "WARN");
        assert_eq!(levels["tidelog_server.listener"], "DEBUG");
        assert_eq!(levels["other"], "OFF");
        state.change(&[set("tidelog_server", "TRACE"), set("root", "FATAL")], false).unwrap();
        let levels = state.levels();
        assert_eq!(levels["root"], "ERROR");
        assert_eq!(levels["tidelog_server.connection"], "TRACE");
        assert_eq!(levels["tidelog_server.listener"], "DEBUG");
        for name in ["tidelog_server.listener", "tidelog_server::connection"] {
            state.change(&[set(name, "WARN")], false).unwrap();
            assert_eq!(state.levels()[&told(name)], "WARN");
            let filter = said.lock().unwrap().last().unwrap().clone();
            assert!(filter.contains(&format!("{}=warn", target(name))), "{filter}");
            state.change(&[Change { logger: name.to_owned(), level: None }], false).unwrap();
        }
        let filter = said.lock().unwrap().pop().unwrap();
        assert!(filter.contains("tidelog_server=trace") && filter.contains("error"), "{filter}");
        assert!(!filter.contains("warn"), "{filter}");
        let back = Change { logger: "tidelog_server".to_owned(), level: None };
        state.change(&[back], false).unwrap();
        assert_eq!(state.levels()["tidelog_server"], "ERROR");
    }

    #[test]
    fn a_wrong_change_changes_nothing() {
        let (mut state, said) = state("info");
        let before = state.levels();
        let good = set("tidelog_server", "DEBUG");
        let unset = |logger: &str| Change { logger: logger.to_owned(), level: None };
        for (bad, code) in [
            (set("kafka.server.KafkaApis", "INFO"), ErrorCode::InvalidConfig),
            (set("root", "LOUD"), ErrorCode::InvalidConfig),
            (set("root", "info"), ErrorCode::InvalidConfig),
            (unset("root"), ErrorCode::InvalidRequest),
            (unset("nobody"), ErrorCode::InvalidConfig),
        ] {
            assert_eq!(state.change(&[good.clone(), bad], false).unwrap_err().0, code);
        }
        state.change(&[good], true).unwrap();
        assert_eq!(state.levels(), before);
        assert!(said.lock().unwrap().is_empty());
    }
}
