//! Records that cannot be stored, parked in the dead-letter topic.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message as _;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    types::RDKafkaErrorCode,
    util::Timeout,
};
use ribstream_proto::{
    record::{self, CONTENT_TYPE_DEAD_LETTER, HEADER_CONTENT_TYPE, HEADER_ROUTER},
    v1::{DeadLetter, Event},
};
use ribstream_runtime::kafka::KafkaOptions;

/// How long a record may take to be read again; it was there a moment ago.
const REREAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A letter about a record of the events or the raw topic.
#[must_use]
pub fn letter(
    reason: &str,
    detail: String,
    topic: &str,
    partition: i32,
    offset: i64,
    payload: Option<&[u8]>,
) -> DeadLetter {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut letter = DeadLetter {
        stage: "ingester".to_owned(),
        reason: reason.to_owned(),
        detail,
        time: u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
        topic: topic.to_owned(),
        partition,
        offset,
        ..DeadLetter::default()
    };
    if let Some(payload) = payload {
        letter.record = bytes::Bytes::copy_from_slice(payload);
        if let Ok(event) = Event::decode(payload) {
            letter.collector = event.collector;
            letter.router = event.router;
            letter.router_address = event.router_address;
            letter.session = event.session;
            letter.sequence = event.sequence;
        }
    }
    letter
}

/// Publishes letters, and reads again the records that they are about.
#[derive(Clone)]
pub struct Letters {
    kafka: KafkaOptions,
    producer: FutureProducer,
}

impl Letters {
    /// A publisher to the dead-letter topic of `kafka`.
    ///
    /// # Errors
    /// librdkafka refuses the configuration.
    pub fn new(kafka: KafkaOptions) -> Result<Self, KafkaError> {
        let producer = kafka
            .client_config(&[
                ("client.id", "ribstream-ingester"),
                ("enable.idempotence", "true"),
                ("compression.codec", "zstd"),
                ("message.timeout.ms", "30000"),
            ])
            .create()?;
        Ok(Self { kafka, producer })
    }

    /// Publishes a letter and waits until Kafka has it. A letter that is larger
    /// than Kafka takes goes without its record, which its place still names.
    ///
    /// # Errors
    /// Kafka's; asking again may help.
    pub async fn publish(&self, letter: &DeadLetter) -> Result<(), KafkaError> {
        match self.send(letter).await {
            Err(KafkaError::MessageProduction(
                RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize,
            )) if !letter.record.is_empty() => {
                let mut short = letter.clone();
                short.record.clear();
                short.detail.push_str("; the record is too large for a letter");
                self.send(&short).await
            }
            sent => sent,
        }
    }

    async fn send(&self, letter: &DeadLetter) -> Result<(), KafkaError> {
        let key = record::dead_letter_key(letter);
        let value = letter.encode_to_vec();
        let headers = OwnedHeaders::new()
            .insert(Header { key: HEADER_CONTENT_TYPE, value: Some(CONTENT_TYPE_DEAD_LETTER) })
            .insert(Header { key: HEADER_ROUTER, value: Some(&letter.router) });
        let record = FutureRecord::to(&self.kafka.topic_dead_letter)
            .key(&key)
            .payload(&value)
            .headers(headers);
        match self.producer.send(record, Timeout::Never).await {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error),
        }
    }

    /// Reads one record again, `None` where Kafka no longer has it.
    pub async fn reread(&self, topic: &str, partition: i32, offset: i64) -> Option<Vec<u8>> {
        let (kafka, topic) = (self.kafka.clone(), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || reread(&kafka, &topic, partition, offset));
        match read.await {
            Ok(Ok(payload)) => payload,
            Ok(Err(error)) => {
                tracing::warn!(partition, offset, %error, "cannot read a record again");
                None
            }
            Err(_) => None,
        }
    }
}

fn reread(
    kafka: &KafkaOptions,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<Vec<u8>>, KafkaError> {
    let consumer: BaseConsumer = kafka
        .client_config(&[
            ("client.id", "ribstream-ingester"),
            // librdkafka wants a name to assign by; no group of it ever comes to be.
            ("group.id", "ribstream-reread"),
            ("enable.auto.commit", "false"),
            ("queued.min.messages", "1"),
            ("queued.max.messages.kbytes", "2048"),
        ])
        .create()?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    consumer.assign(&place)?;
    let deadline = std::time::Instant::now() + REREAD_TIMEOUT;
    while std::time::Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.offset() == offset => {
                return Ok(message.payload().map(<[u8]>::to_vec));
            }
            Some(Ok(_)) => return Ok(None),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Ok(None)
}
