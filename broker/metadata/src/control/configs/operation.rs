//! What a request does to one key: set it, delete it, append to its list, subtract from it.

use wire::ErrorCode;
use wire::messages::alter_configs_request as replace;
use wire::messages::incremental_alter_configs_request as incremental;

use super::Configs;
use crate::control::Refusal;

/// An operation; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Sets the value.
    Set,
    /// Takes the value away.
    Delete,
    /// Adds to a list.
    Append,
    /// Takes out of a list.
    Subtract,
}

/// What a request does to one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) name: &'a str,
    /// `None` for a number that is no operation.
    pub(super) operation: Option<Operation>,
    /// The operation's number as it was sent.
    code: i8,
    pub(super) value: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// Of IncrementalAlterConfigs.
    pub(super) fn incremental(config: &'a incremental::AlterableConfig) -> Self {
        let operation = match config.config_operation {
            0 => Some(Operation::Set),
            1 => Some(Operation::Delete),
            2 => Some(Operation::Append),
            3 => Some(Operation::Subtract),
            _ => None,
        };
        let code = config.config_operation;
        Self { name: &config.name, operation, code, value: config.value.as_deref() }
    }

    /// Of AlterConfigs, which only sets.
    pub(super) fn set(config: &'a replace::AlterableConfig) -> Self {
        let operation = Some(Operation::Set);
        Self { name: &config.name, operation, code: 0, value: config.value.as_deref() }
    }

    /// Changes what is set. `default` gives the list from which one grows or shrinks that is not
    /// set, or says that the key is no list.
    pub(super) fn apply(
        &self,
        configs: &mut Configs,
        default: impl Fn(&str) -> Result<String, Refusal>,
    ) -> Result<(), Refusal> {
        let value = self.value.unwrap_or_default();
        let Some(operation) = self.operation else {
            let message = format!("Unknown operations type {}", self.code);
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        };
        let (grows, current) = match operation {
            Operation::Set => {
                configs.insert(self.name.to_owned(), value.to_owned());
                return Ok(());
            }
            Operation::Delete => {
                configs.remove(self.name);
                return Ok(());
            }
            Operation::Append => (true, default(self.name)?),
            Operation::Subtract => (false, default(self.name)?),
        };
        let current = configs.get(self.name).unwrap_or(&current);
        let mut items: Vec<&str> = current.split(',').filter(|item| !item.is_empty()).collect();
        for item in value.split(',') {
            let known = items.iter().position(|known| *known == item);
            match known {
                Some(at) if !grows => drop(items.remove(at)),
                None if grows => items.push(item),
                _ => {}
            }
        }
        let joined = items.join(",");
        configs.insert(self.name.to_owned(), joined);
        Ok(())
    }
}
