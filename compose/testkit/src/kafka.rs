//! The broker that the tests share, and a reader of whole topics.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message, Timestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::OnceCell;

use crate::container::{self, Container};
use crate::unique;

/// How long a broker may take to answer; a loaded machine may be slow, a dead one is dead.
const ANSWER: Duration = Duration::from_secs(30);

/// How long reading a topic may go without a record.
const SILENCE: Duration = Duration::from_secs(30);

static SHARED: OnceCell<Container> = OnceCell::const_new();

/// A topic name that no other test has: `prefix-…`.
#[must_use]
pub fn topic(prefix: &str) -> String {
    format!("{prefix}-{}", unique())
}

/// A broker.
#[derive(Debug, Clone)]
pub struct Kafka {
    brokers: String,
}

/// A Kafka record as it lies in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The partition that it is in.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its key; empty where it has none.
    pub key: Vec<u8>,
    /// Its headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its value; empty where it has none.
    pub payload: Vec<u8>,
    /// When the broker took it, in milliseconds since 1970; none where the topic keeps the
    /// sender's time.
    pub appended: Option<i64>,
}

impl Record {
    /// The first header of this name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }
}

impl Kafka {
    /// The broker that all tests share: never stop it.
    pub async fn shared() -> Result<Self> {
        if let Ok(brokers) = std::env::var("RIBSTREAM_TEST_KAFKA") {
            return Ok(Self { brokers });
        }
        let container = SHARED.get_or_try_init(container::kafka).await?;
        Ok(Self::at(format!("127.0.0.1:{}", container.port)))
    }

    /// The broker at an address, such as one that a test made itself.
    #[must_use]
    pub fn at(brokers: String) -> Self {
        Self { brokers }
    }

    /// What `bootstrap.servers` takes.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// Creates a topic, and waits until the broker knows its partitions.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(name, partitions, &[]).await
    }

    /// The same, with properties of the topic such as `max.message.bytes`.
    pub async fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        properties: &[(&str, &str)],
    ) -> Result<()> {
        let admin: AdminClient<_> = self.config().create()?;
        let new = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let new = properties.iter().fold(new, |new, (key, value)| new.set(key, value));
        let options =
            AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        for result in admin.create_topics([&new], &options).await? {
            if let Err((topic, code)) = result {
                bail!("cannot create topic {topic} at {}: {code}", self.brokers);
            }
        }
        Ok(())
    }

    /// How many records lie in each partition of a topic.
    pub async fn lengths(&self, topic: &str) -> Result<Vec<i64>> {
        let (config, topic) = (self.config(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.create()?;
            let ends = watermarks(&consumer, &topic)?;
            Ok(ends.into_iter().map(|(low, high)| high - low).collect())
        })
        .await?
    }

    /// Every record of a topic, from its beginning to where it ends now, ordered by
    /// partition and offset.
    pub async fn consume(&self, topic: &str) -> Result<Vec<Record>> {
        let (config, topic) = (self.config(), topic.to_owned());
        tokio::task::spawn_blocking(move || consume(config, &topic)).await?
    }
}

/// First and next offset of each partition.
fn watermarks(consumer: &BaseConsumer, topic: &str) -> Result<Vec<(i64, i64)>> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let found = metadata.topics().first().with_context(|| format!("no topic {topic}"))?;
    if let Some(error) = found.error() {
        bail!("no topic {topic}: {}", RDKafkaErrorCode::from(error));
    }
    (0_i32..)
        .take(found.partitions().len())
        .map(|partition| bounds(consumer, topic, partition))
        .collect()
}

/// First and next offset of a partition; one that was just made has no leader for a moment.
fn bounds(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<(i64, i64)> {
    let begun = Instant::now();
    loop {
        match consumer.fetch_watermarks(topic, partition, ANSWER) {
            Err(error)
                if matches!(
                    error.rdkafka_error_code(),
                    Some(
                        RDKafkaErrorCode::NotLeaderForPartition
                            | RDKafkaErrorCode::LeaderNotAvailable
                    )
                ) && begun.elapsed() < ANSWER =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            bounds => return Ok(bounds?),
        }
    }
}

fn consume(mut config: ClientConfig, topic: &str) -> Result<Vec<Record>> {
    config
        .set("group.id", unique())
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    let mut unread = BTreeSet::new();
    let ends = watermarks(&consumer, topic)?;
    for (partition, (low, high)) in (0..).zip(&ends) {
        if low < high {
            unread.insert(partition);
            assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
    }
    consumer.assign(&assignment)?;

    let mut records = Vec::new();
    let mut last = Instant::now();
    while !unread.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            None if last.elapsed() > SILENCE => {
                bail!("partitions {unread:?} of {topic} said nothing for {SILENCE:?}")
            }
            None => continue,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unread.remove(&partition);
            }
            Some(Err(error)) => return Err(error).with_context(|| format!("cannot read {topic}")),
            Some(Ok(message)) => {
                let partition = message.partition();
                let (_, high) = ends[usize::try_from(partition)?];
                if message.offset() + 1 >= high {
                    unread.remove(&partition);
                }
                if message.offset() < high {
                    records.push(record(&message));
                }
            }
        }
        last = Instant::now();
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

fn record(message: &impl Message) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default().to_vec(),
        headers,
        payload: message.payload().unwrap_or_default().to_vec(),
        appended: match message.timestamp() {
            Timestamp::LogAppendTime(millis) => Some(millis),
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
        },
    }
}
