//! One configuration key; the types are `metadata`'s, which decides about keys changed while the
//! broker runs.

pub use metadata::broker_config::{Check, Def, Kind, Role, Update, Value};
pub(super) use metadata::broker_config::{
    boolean, class, double, int, list, long, short, text, unset,
};
