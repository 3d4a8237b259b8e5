//! What both Ribstream daemons need beside the events.
//!
//! - [`config`]: command line, environment and TOML file, in one precedence
//! - [`log`]: structured logs to standard error
//! - [`http`]: `/metrics`, `/healthz`, `/readyz` and `/status`; [`health`] asks the third
//! - [`metrics`]: registers metrics and describes them
//! - [`status`]: what `/status` shows
//! - [`kafka`]: client options, and the checks made before work begins
//! - [`shutdown`]: from a signal to a cancellation token
//! - [`units`]: durations and sizes as flags take them

pub mod config;
pub mod health;
pub mod http;
pub mod kafka;
pub mod log;
pub mod metrics;
pub mod shutdown;
pub mod status;
pub mod units;
