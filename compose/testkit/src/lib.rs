//! Real servers and real captures for the tests.
//!
//! Kafka and TimescaleDB are found by `RIBSTREAM_TEST_KAFKA` and
//! `RIBSTREAM_TEST_DATABASE_URL`, as `make test` sets them; where they are not set,
//! testcontainers starts each once in a test process. Every test takes its own topics
//! ([`topic`]) and its own database ([`Database::fresh`]) and so can run beside the others.
//! A test that stops or kills a server takes one of its own: [`OwnKafka`], [`OwnPostgres`].
//!
//! Real routers' streams are in [`captures`].

pub mod captures;
mod container;
mod database;
pub mod documentation;
mod kafka;
mod own;
mod reaper;

pub use database::Database;
pub use kafka::{Kafka, Record, topic};
pub use own::{OwnKafka, OwnPostgres, SecureKafka};

/// A word that no other test, process or run of today has used: for names.
fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let micros = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_micros() % 86_400_000_000);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{micros}-{number}", std::process::id())
}
