//! The ingester between a Kafka and a database that fail it at a chosen moment.
//!
//! Kafka is librdkafka's mock cluster, whose errors are told beforehand; the database is the
//! real one, held up by locks and, on its way, by a proxy. Whatever happens, the tables have
//! each event once and the offsets are where the events end; and a metric or the log says what
//! it was.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod bench;
mod brokers;
mod fence;
mod member;
mod proxy;
mod rebalance;
mod topics;
