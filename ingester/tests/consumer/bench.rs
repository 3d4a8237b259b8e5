//! A mock Kafka, a real database, and what keeps one waiting for the other.

use std::thread;

use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use ribstream_testkit::{Database, Kafka, topic};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::common::{self, Bed, Speaker};

/// A scenario and its name.
pub(crate) type Scenario = (&'static str, fn());

/// The name of an async function and a way to run it.
macro_rules! scenario {
    ($name:ident) => {
        (stringify!($name), || crate::bench::block_on($name()))
    };
}
pub(crate) use scenario;

pub(crate) fn block_on(scenario: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(scenario);
}

/// Runs scenarios at once, each on a thread that bears its name: most of their time they wait
/// for Kafka's timers.
pub(crate) fn at_once(scenarios: &[Scenario]) {
    let threads: Vec<_> = scenarios
        .iter()
        .map(|(name, run)| thread::Builder::new().name((*name).to_owned()).spawn(*run).unwrap())
        .collect();
    let failed: Vec<_> = threads
        .into_iter()
        .zip(scenarios)
        .filter_map(|(thread, (name, _))| thread.join().is_err().then_some(*name))
        .collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// Speakers that publish, so that every partition has some.
const SPEAKERS: u8 = 8;

/// A topic in a cluster of its own, and a database.
pub(crate) struct Bench {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(crate) bed: Bed,
    speakers: Vec<Speaker>,
    /// Routes that were published, and so the rows that there must be.
    pub(crate) routes: i64,
}

impl Bench {
    pub(crate) async fn new(partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let (topic, dead_letter) = (topic("events"), topic("dead-letter"));
        cluster.create_topic(&topic, partitions, 1).unwrap();
        cluster.create_topic(&dead_letter, 1, 1).unwrap();
        let bed = Bed {
            kafka: Kafka::at(cluster.bootstrap_servers()),
            database: Database::fresh().await.unwrap(),
            group: topic.clone(),
            topic,
            dead_letter,
            partitions,
        };
        bed.migrate();
        let speakers = (1..=SPEAKERS).map(|number| Speaker::new(number, number)).collect();
        Self { cluster, bed, speakers, routes: 0 }
    }

    /// Each speaker publishes so many messages of a route each.
    pub(crate) fn publish(&mut self, messages: u32) {
        let producer = self.bed.producer();
        for message in 0..messages {
            for speaker in &mut self.speakers {
                producer.send(&speaker.announce([message % 100]));
                self.routes += 1;
            }
        }
        producer.flush();
    }

    /// All is in the database, once, and the offsets say so.
    pub(crate) async fn assert_exact(&self) {
        self.bed.wait_until_stored().await;
        assert_exact(&self.bed, self.routes).await;
    }

    /// Ends the connections of ingesters that wait for a [`Hold`].
    pub(crate) async fn end_blocked(&self) {
        let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                     where datname = current_database() and wait_event_type = 'Lock' \
                     and application_name = 'ribstream-ingester'";
        assert!(self.bed.number(ended).await > 0);
    }

    /// Waits until so many of the ingesters' transactions wait for a [`Hold`].
    pub(crate) async fn wait_for_blocked(&self, transactions: i64) {
        wait_for_blocked(&self.bed, transactions).await;
    }
}

/// Waits until so many batches of ingesters wait for a lock.
pub(crate) async fn wait_for_blocked(bed: &Bed, transactions: i64) {
    let blocked = "select count(*) from pg_stat_activity where datname = current_database() \
                   and application_name = 'ribstream-ingester' and wait_event_type = 'Lock' \
                   and query not like 'select drop_history%'";
    common::wait_for("a transaction that waits", async || {
        bed.number(blocked).await >= transactions
    })
    .await;
}

/// The history has each of so many routes once, and the offsets are the topic's ends.
pub(crate) async fn assert_exact(bed: &Bed, routes: i64) {
    let rows = "select count(*) from route_events";
    let different = "select count(distinct (peer_id, session, sequence, ordinal)) \
                     from route_events";
    assert_eq!(bed.number(rows).await, routes);
    assert_eq!(bed.number(different).await, routes);
    let ends: i64 = bed.kafka.lengths(&bed.topic).await.unwrap().iter().sum();
    assert_eq!(bed.stored().await, ends);
}

/// A lock in the database, which ingesters wait for.
pub(crate) struct Hold(PgConnection);

impl Hold {
    /// Nobody moves an offset.
    pub(crate) const OFFSETS: &str = "select * from ingest_offsets for update";
    /// Nobody writes history: a transaction that waits has moved its offsets already.
    pub(crate) const HISTORY: &str = "lock table route_events in access exclusive mode";

    pub(crate) async fn take(bed: &Bed, sql: &str) -> Self {
        let mut connection = bed.database.connect().await.unwrap();
        let sql = AssertSqlSafe(format!("begin; {sql}"));
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        Self(connection)
    }

    pub(crate) async fn release(mut self) {
        sqlx::raw_sql("rollback").execute(&mut self.0).await.unwrap();
    }
}
