//! What becomes of connections before they are sessions, and what they depend on.

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use ribstream_runtime::metrics::Registrar;

/// What becomes of connections before they are sessions.
pub struct Connections {
    /// Connections refused, by reason.
    pub refused: IntCounterVec,
    /// Connections closed before their first message, by reason.
    pub without_message: IntCounterVec,
    /// Balancers that looked whether we are there.
    pub health_checks: IntCounter,
    /// Attempts to connect to a router that failed.
    pub connect_errors: IntCounter,
    /// Addresses behind which routers have different names.
    pub shared_addresses: IntGauge,
    /// When the certificate ends, seconds since the epoch; 0 without TLS.
    pub certificate_expires: IntGauge,
    /// New certificates, by whether they could be used.
    pub certificate_reloads: IntCounterVec,
    /// Log lines about connections that were left out.
    pub log_lines_left_out: IntCounter,
    /// Errors of accept.
    pub accept_errors: IntCounter,
}

impl Connections {
    /// The metrics, registered.
    pub(super) fn register(on: &mut Registrar<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            refused: on.counters(
                "connections_refused_total",
                "Connections closed before they were sessions, by reason.",
                "reason",
            )?,
            without_message: on.counters(
                "connections_without_message_total",
                "Connections that ended before their first whole BMP message, by reason.",
                "reason",
            )?,
            health_checks: on.counter(
                "balancer_checks_total",
                "Connections of balancers that only looked whether the port is open.",
            )?,
            connect_errors: on.counter(
                "connect_errors_total",
                "Attempts to connect to a router (--connect) that failed.",
            )?,
            shared_addresses: on.gauge(
                "shared_addresses",
                "Addresses from which routers with different sysNames have sessions now.",
            )?,
            certificate_expires: on.gauge(
                "certificate_expires_timestamp_seconds",
                "When the certificate of --tls-listen ends, in seconds since 1970; 0 without one.",
            )?,
            certificate_reloads: on.counters(
                "certificate_reloads_total",
                "Certificates read anew, by result; after a failure the one before is used.",
                "result",
            )?,
            log_lines_left_out: on.counter(
                "log_lines_left_out_total",
                "Log lines about connections left out because the same was said a moment before.",
            )?,
            accept_errors: on.counter(
                "accept_errors_total",
                "Errors of accepting a connection, such as too many open files.",
            )?,
        })
    }
}
