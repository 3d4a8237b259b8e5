//! What the ingester tells at `/status`.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use prometheus::{IntGaugeVec, core::Collector as _};
use ribstream_runtime::{
    http::{Health, Teller},
    status::{Status, Troubles, time},
};
use serde_json::{Value, json};

use crate::{config::RunOptions, metrics::Metrics, rows::Table};

/// The columns of the partitions.
const COLUMNS: [&str; 5] = ["topic", "partition", "lag_records", "lag_seconds", "halted"];

/// Tells it whenever it is asked.
pub(crate) fn teller(
    options: &RunOptions,
    health: &Health,
    metrics: &Metrics,
    troubles: &Troubles,
) -> Teller {
    let (health, metrics, troubles) = (health.clone(), metrics.clone(), troubles.clone());
    let group = options.group.clone();
    let started = SystemTime::now();
    Arc::new(move || {
        let daemon = vec![
            ("group", json!(group)),
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("started", time(started)),
            ("records", json!(metrics.records.get())),
            ("transactions", json!(metrics.commits.get())),
            ("retries", json!(metrics.retries.get())),
            ("fenced", json!(metrics.fenced.get())),
            ("duplicates", json!(metrics.duplicates.get())),
            ("missing", json!(metrics.missing.get())),
            ("echoes", json!(metrics.echoes.get())),
        ];
        let rows = Table::ALL
            .iter()
            .map(|table| {
                let rows = metrics.rows.with_label_values(&[table.name()]).get();
                vec![json!(table.name()), json!(rows)]
            })
            .collect();
        Status::default()
            .fields("daemon", daemon)
            .fields("checks", health.fields())
            .table("partitions", &COLUMNS, partitions(&metrics))
            .table("rows_committed", &["table", "rows"], rows)
            .table("troubles", &Troubles::COLUMNS, troubles.rows())
    })
}

/// A row for each partition that is assigned.
fn partitions(metrics: &Metrics) -> Vec<Vec<Value>> {
    let gauges = [&metrics.lag, &metrics.lag_seconds, &metrics.halted];
    let mut rows: BTreeMap<(String, i64), [Value; 3]> = BTreeMap::new();
    for (column, gauge) in gauges.into_iter().enumerate() {
        for (place, value) in values(gauge) {
            rows.entry(place).or_default()[column] = value;
        }
    }
    rows.into_iter()
        .map(|((topic, partition), [lag, age, halted])| {
            let halted = json!(halted == json!(1));
            vec![json!(topic), json!(partition), lag, age, halted]
        })
        .collect()
}

/// The values of a gauge by topic and partition.
fn values(gauge: &IntGaugeVec) -> Vec<((String, i64), Value)> {
    let label = |metric: &prometheus::proto::Metric, name: &str| {
        metric
            .get_label()
            .iter()
            .find(|pair| pair.name() == name)
            .map(|pair| pair.value().to_owned())
    };
    gauge
        .collect()
        .iter()
        .flat_map(|family| family.get_metric().iter())
        .filter_map(|metric| {
            let topic = label(metric, "topic")?;
            let partition = label(metric, "partition")?.parse().ok()?;
            // Whole numbers, far below 2^53.
            #[allow(clippy::cast_possible_truncation, reason = "a gauge of whole numbers")]
            let value = metric.get_gauge().get_value() as i64;
            Some(((topic, partition), json!(value)))
        })
        .collect()
}
