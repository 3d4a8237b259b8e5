//! Kafka client options, and the checks made before work begins.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Args;
use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::FromClientConfigAndContext,
    error::KafkaError as ClientError,
    producer::{BaseProducer, DeliveryResult, Producer, ProducerContext},
    types::RDKafkaErrorCode,
};

/// Long enough for a broker that is just starting, short enough for a person who waits.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the controller may take to create topics.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for the log line that says why no broker answered.
const REASON_POLL: Duration = Duration::from_millis(50);
/// How often the metadata is asked for topics that were just created.
const CREATED_POLL: Duration = Duration::from_millis(100);

/// Where Kafka is, and what its topics are called.
#[derive(Args, Clone, Debug)]
pub struct KafkaOptions {
    /// Kafka's brokers to begin with, as host:port, separated by commas
    #[arg(
        long = "kafka",
        env = "RIBSTREAM_KAFKA",
        value_name = "BROKERS",
        default_value = "localhost:9092"
    )]
    pub brokers: String,
    /// A librdkafka property, such as security.protocol=ssl; repeat, or separate by commas
    #[arg(
        long = "kafka-property",
        env = "RIBSTREAM_KAFKA_PROPERTY",
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        value_parser = property,
        hide_env_values = true
    )]
    pub properties: Vec<(String, String)>,
    /// A librdkafka property whose value is what a file holds, such as sasl.password=/run/secrets/kafka; repeat, or separate by commas
    #[arg(
        long = "kafka-property-file",
        env = "RIBSTREAM_KAFKA_PROPERTY_FILE",
        value_name = "KEY=FILE",
        value_delimiter = ',',
        value_parser = property_in_file
    )]
    pub properties_in_files: Vec<(String, String)>,
    /// The topic of the events
    #[arg(
        long,
        env = "RIBSTREAM_TOPIC_EVENTS",
        value_name = "TOPIC",
        default_value = "ribstream.events"
    )]
    pub topic_events: String,
    /// The topic of what could not be decoded or stored
    #[arg(
        long,
        env = "RIBSTREAM_TOPIC_DEAD_LETTER",
        value_name = "TOPIC",
        default_value = "ribstream.dead-letter"
    )]
    pub topic_dead_letter: String,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("a property is KEY=VALUE".to_owned()),
    }
}

/// The file's content without the end of its last line.
fn property_in_file(text: &str) -> Result<(String, String), String> {
    let (key, path) = property(text).map_err(|_| "a property in a file is KEY=FILE".to_owned())?;
    let value =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let value = value.strip_suffix('\n').unwrap_or(&value);
    Ok((key, value.strip_suffix('\r').unwrap_or(value).to_owned()))
}

/// Whether a property's value is for nobody's eyes.
fn is_secret(key: &str) -> bool {
    ["password", "secret", "jaas", "key.pem", "oauthbearer"].iter().any(|part| key.contains(part))
}

/// Why Kafka cannot be used; each reads as one line.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// librdkafka refuses the configuration.
    #[error("Kafka property {key}={value}: {reason}; check --kafka-property")]
    Property {
        /// The property.
        key: String,
        /// Its value, or dots where it is a secret.
        value: String,
        /// What librdkafka said.
        reason: String,
    },
    /// A client could not be made, or a request failed for another reason.
    #[error("Kafka at {brokers}: {reason}")]
    Client {
        /// The brokers.
        brokers: String,
        /// What librdkafka said.
        reason: String,
    },
    /// No broker answered.
    #[error(
        "cannot reach Kafka at {brokers} ({reason}); start it, or name its brokers by --kafka or \
         RIBSTREAM_KAFKA"
    )]
    Unreachable {
        /// The brokers.
        brokers: String,
        /// What librdkafka said last.
        reason: String,
    },
    /// A topic is missing and may not be created.
    #[error(
        "topic {topic} does not exist at {brokers} and this client may not create it; create it \
         with {partitions} partitions, or allow the client to"
    )]
    NotAllowed {
        /// The brokers.
        brokers: String,
        /// The topic.
        topic: String,
        /// As many as it was to have.
        partitions: i32,
    },
    /// A topic is missing and cannot be created as asked.
    #[error("cannot create topic {topic} at {brokers}: {reason}")]
    NotCreated {
        /// The brokers.
        brokers: String,
        /// The topic.
        topic: String,
        /// What the broker said.
        reason: String,
    },
}

/// A topic as it is to be.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// The number of its partitions.
    pub partitions: i32,
    /// The number of copies of each partition, -1 for the brokers' own default.
    pub replication: i32,
    /// Topic properties such as `max.message.bytes`.
    pub config: Vec<(String, String)>,
}

impl KafkaOptions {
    /// The configuration of a client: `defaults`, then the brokers, then the
    /// user's own properties, which win.
    #[must_use]
    pub fn client_config(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "ribstream");
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        config.set("bootstrap.servers", &self.brokers);
        for (key, value) in self.properties.iter().chain(&self.properties_in_files) {
            config.set(key, value);
        }
        config
    }

    /// What went wrong when a client was made or used, in the terms of these options.
    #[must_use]
    pub fn explain(&self, error: &ClientError) -> KafkaError {
        if let ClientError::ClientConfig(_, reason, key, value) = error {
            let in_file = self.properties_in_files.iter().any(|(name, _)| name == key);
            let secret = in_file || is_secret(key);
            return KafkaError::Property {
                key: key.clone(),
                value: if secret { "...".to_owned() } else { value.clone() },
                reason: reason.clone(),
            };
        }
        KafkaError::Client { brokers: self.brokers.clone(), reason: error.to_string() }
    }
}

/// Remembers why no broker can be reached: the metadata request itself only
/// says that it timed out.
#[derive(Clone, Default)]
struct LastError(Arc<Mutex<Option<String>>>);

impl ClientContext for LastError {
    fn error(&self, error: ClientError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
        // "All brokers are down" comes after the reason and says less.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }

    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }
}

impl ProducerContext for LastError {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// A client that only asks for metadata. Of rdkafka's clients the producer is
/// the one that can be asked and then polled for what went wrong.
struct Probe {
    client: BaseProducer<LastError>,
    last_error: LastError,
    brokers: String,
}

impl Probe {
    fn new(options: &KafkaOptions) -> Result<Self, KafkaError> {
        let last_error = LastError::default();
        let config = options.client_config(&[]);
        let client = BaseProducer::from_config_and_context(&config, last_error.clone())
            .map_err(|error| options.explain(&error))?;
        Ok(Self { client, last_error, brokers: options.brokers.clone() })
    }

    /// The topics that exist and that this client may see. Blocks.
    fn topics(&self, timeout: Duration) -> Result<Vec<String>, KafkaError> {
        // All topics, since a request for one by name may create it with the broker's defaults.
        let metadata = self.client.client().fetch_metadata(None, timeout).map_err(|error| {
            self.client.poll(REASON_POLL);
            let last = self.last_error.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            KafkaError::Unreachable {
                brokers: self.brokers.clone(),
                reason: last.unwrap_or_else(|| error.to_string()),
            }
        })?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }
}

/// Fails unless a broker answers within `timeout`.
pub async fn check_broker(options: &KafkaOptions, timeout: Duration) -> Result<(), KafkaError> {
    let options = options.clone();
    blocking(&options.clone(), move || Probe::new(&options)?.topics(timeout)).await.map(drop)
}

/// Creates those of `topics` that are missing and waits until the brokers know
/// them. One that exists is taken as it is.
pub async fn ensure_topics(options: &KafkaOptions, topics: &[TopicSpec]) -> Result<(), KafkaError> {
    let probe = Arc::new(Probe::new(options)?);
    let existing = existing(options, &probe).await?;
    let missing: Vec<&TopicSpec> =
        topics.iter().filter(|topic| !existing.contains(&topic.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let new = missing.iter().map(|topic| {
        let replication = TopicReplication::Fixed(topic.replication);
        let new = NewTopic::new(&topic.name, topic.partitions, replication);
        topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
    });
    let new: Vec<NewTopic<'_>> = new.collect();
    let admin_options = AdminOptions::new()
        .request_timeout(Some(CREATE_TIMEOUT))
        .operation_timeout(Some(CREATE_TIMEOUT));
    let admin: AdminClient<_> =
        options.client_config(&[]).create().map_err(|error| options.explain(&error))?;
    let results =
        admin.create_topics(&new, &admin_options).await.map_err(|error| options.explain(&error))?;
    for (topic, result) in missing.iter().zip(results) {
        match result {
            Ok(_) => {
                tracing::info!(topic = topic.name, partitions = topic.partitions, "topic created");
            }
            // Somebody else's start was quicker.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(not_created(options, topic, code)),
        }
    }
    wait_for(options, &probe, &missing).await
}

fn not_created(options: &KafkaOptions, topic: &TopicSpec, code: RDKafkaErrorCode) -> KafkaError {
    let brokers = options.brokers.clone();
    let topic_name = topic.name.clone();
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            KafkaError::NotAllowed { brokers, topic: topic_name, partitions: topic.partitions }
        }
        RDKafkaErrorCode::InvalidReplicationFactor => KafkaError::NotCreated {
            brokers,
            topic: topic_name,
            reason: format!(
                "replication {} is more than there are brokers; set --replication",
                topic.replication
            ),
        },
        code => KafkaError::NotCreated { brokers, topic: topic_name, reason: code.to_string() },
    }
}

async fn existing(options: &KafkaOptions, probe: &Arc<Probe>) -> Result<Vec<String>, KafkaError> {
    let probe = Arc::clone(probe);
    blocking(options, move || probe.topics(METADATA_TIMEOUT)).await
}

/// The controller answers before every broker has heard of the topic.
async fn wait_for(
    options: &KafkaOptions,
    probe: &Arc<Probe>,
    topics: &[&TopicSpec],
) -> Result<(), KafkaError> {
    let waited = tokio::time::timeout(CREATE_TIMEOUT, async {
        loop {
            let existing = existing(options, probe).await?;
            if topics.iter().all(|topic| existing.contains(&topic.name)) {
                return Ok(());
            }
            tokio::time::sleep(CREATED_POLL).await;
        }
    });
    waited.await.unwrap_or_else(|_| {
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        Err(KafkaError::NotCreated {
            brokers: options.brokers.clone(),
            topic: names.join(", "),
            reason: format!("not seen within {CREATE_TIMEOUT:?} of its creation"),
        })
    })
}

async fn blocking<T: Send + 'static>(
    options: &KafkaOptions,
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(KafkaError::Client { brokers: options.brokers.clone(), reason: error.to_string() })
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        kafka: KafkaOptions,
    }

    #[test]
    fn the_users_properties_win_over_the_callers() {
        let args = ["x", "--kafka", "b:1", "--kafka-property", "linger.ms=7,acks=1"];
        let options = Cli::parse_from(args).kafka;
        let config = options.client_config(&[("linger.ms", "5"), ("acks", "all"), ("a", "b")]);
        assert_eq!(config.get("linger.ms"), Some("7"));
        assert_eq!(config.get("acks"), Some("1"));
        assert_eq!(config.get("a"), Some("b"));
        assert_eq!(config.get("bootstrap.servers"), Some("b:1"));
    }

    #[test]
    fn a_property_without_a_value_is_refused() {
        assert!(Cli::try_parse_from(["x", "--kafka-property", "acks"]).is_err());
    }

    #[test]
    fn a_property_may_be_in_a_file_with_any_comma() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "se,cret= \r\n").unwrap();
        let property = format!("sasl.password={}", file.path().display());
        let options = Cli::parse_from(["x", "--kafka-property-file", &property]).kafka;
        let config = options.client_config(&[]);
        assert_eq!(config.get("sasl.password"), Some("se,cret= "));
        let missing = ["x", "--kafka-property-file", "sasl.password=/no/such/file"];
        let error = Cli::try_parse_from(missing).err().unwrap().to_string();
        assert!(error.contains("cannot read /no/such/file"), "{error}");
    }

    #[test]
    fn an_error_shows_no_secret() {
        let shown = |args: &[&str], key: &str| {
            let options = Cli::parse_from(["x"].iter().chain(args)).kafka;
            let error = ClientError::ClientConfig(
                rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
                "is wrong".to_owned(),
                key.to_owned(),
                "hidden".to_owned(),
            );
            options.explain(&error).to_string()
        };
        for key in ["sasl.password", "ssl.key.password", "ssl.key.pem"] {
            let error = shown(&[], key);
            assert!(error.starts_with(&format!("Kafka property {key}=...: is wrong")), "{error}");
        }
        assert!(shown(&[], "acks").contains("acks=hidden"));
        assert!(shown(&["--kafka-property-file", "acks=/dev/null"], "acks").contains("acks=..."));
    }

    #[tokio::test]
    async fn an_unreachable_broker_is_named_with_what_to_do() {
        let options = Cli::parse_from(["x", "--kafka", "127.0.0.1:1"]).kafka;
        let error = check_broker(&options, Duration::from_secs(2)).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot reach Kafka at 127.0.0.1:1 ("), "{error}");
        assert!(error.contains("Connection refused"), "{error}");
        assert!(error.ends_with("or name its brokers by --kafka or RIBSTREAM_KAFKA"), "{error}");
    }

    #[tokio::test]
    async fn a_wrong_property_is_named() {
        let args = ["x", "--kafka-property", "no.such.thing=1"];
        let options = Cli::parse_from(args).kafka;
        let error = check_broker(&options, Duration::from_secs(2)).await.unwrap_err().to_string();
        assert!(error.starts_with("Kafka property no.such.thing=1: "), "{error}");
    }
}
