//! What both Ribstream daemons need beside the events.
//!
//! - [`config`]: command line, environment and TOML file, in one precedence
//! - [`log`]: structured logs to standard error
//! - [`http`]: `/metrics`, `/healthz` and `/readyz`; [`health`] asks the last
//! - [`kafka`]: client options, and the checks made before work begins
//! - [`shutdown`]: from a signal to a cancellation token
//! - [`units`]: durations and sizes as flags take them

pub mod config;
pub mod health;
pub mod http;
pub mod kafka;
pub mod log;
pub mod shutdown;
pub mod units;
