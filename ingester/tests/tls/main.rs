//! Kafka and PostgreSQL over TLS, with passwords in files.

mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod kafka;
mod postgres;
#[path = "../common/replay.rs"]
mod replay;
