//! Raw frames against the dispatcher.
