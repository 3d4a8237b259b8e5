//! Registers metrics, and says of them what the documentation says.

use std::fmt::Write as _;

use prometheus::{
    Counter, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

/// Registers the metrics of one daemon, which all have its name before their own.
#[derive(Debug)]
pub struct Registrar<'r> {
    registry: &'r Registry,
    daemon: &'static str,
    metrics: Vec<Described>,
}

/// What the documentation says of a metric.
#[derive(Debug)]
struct Described {
    name: String,
    kind: &'static str,
    labels: Vec<String>,
    help: String,
}

impl<'r> Registrar<'r> {
    /// One for `ribstream_daemon_…`.
    #[must_use]
    pub const fn new(registry: &'r Registry, daemon: &'static str) -> Self {
        Self { registry, daemon, metrics: Vec::new() }
    }

    /// A counter.
    ///
    /// # Errors
    /// As of all here: the name is no name, or registered already.
    pub fn counter(&mut self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.register("counter", IntCounter::with_opts(self.opts(name, help))?)
    }

    /// A counter of seconds.
    pub fn seconds(&mut self, name: &str, help: &str) -> prometheus::Result<Counter> {
        self.register("counter", Counter::with_opts(self.opts(name, help))?)
    }

    /// A counter for each value of a label.
    pub fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
    ) -> prometheus::Result<IntCounterVec> {
        self.register("counter", IntCounterVec::new(self.opts(name, help), &[label])?)
    }

    /// A gauge.
    pub fn gauge(&mut self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.register("gauge", IntGauge::with_opts(self.opts(name, help))?)
    }

    /// A gauge for each combination of labels.
    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        self.register("gauge", IntGaugeVec::new(self.opts(name, help), labels)?)
    }

    /// A histogram.
    pub fn histogram(
        &mut self,
        name: &str,
        help: &str,
        buckets: Vec<f64>,
    ) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts { common_opts: self.opts(name, help), buckets };
        self.register("histogram", Histogram::with_opts(opts)?)
    }

    /// All that were registered, as a table in Markdown.
    #[must_use]
    pub fn reference(&self) -> String {
        let mut text = "| metric | type | labels | |\n|---|---|---|---|\n".to_owned();
        for Described { name, kind, labels, help } in &self.metrics {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
        }
        text
    }

    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace("ribstream").subsystem(self.daemon)
    }

    fn register<M: Collector + Clone + 'static>(
        &mut self,
        kind: &'static str,
        metric: M,
    ) -> prometheus::Result<M> {
        for desc in metric.desc() {
            self.metrics.push(Described {
                name: desc.fq_name.clone(),
                kind,
                labels: desc.variable_labels.clone(),
                help: desc.help.clone(),
            });
        }
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_is_described() {
        let registry = Registry::new();
        let mut registrar = Registrar::new(&registry, "test");
        registrar.counter("seen_total", "Things seen.").unwrap().inc();
        registrar.gauges("lag", "Things to see.", &["topic", "partition"]).unwrap();
        assert!(registrar.counter("seen_total", "Again.").is_err());
        assert_eq!(registry.gather()[0].name(), "ribstream_test_seen_total");
        let reference = registrar.reference();
        let lines: Vec<&str> = reference.lines().skip(2).take(2).collect();
        assert_eq!(
            lines,
            [
                "| `ribstream_test_seen_total` | counter |  | Things seen. |",
                "| `ribstream_test_lag` | gauge | `topic`, `partition` | Things to see. |",
            ]
        );
    }
}
