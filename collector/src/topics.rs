//! The topics as they are to be.

use ribstream_runtime::kafka::{KafkaError, TopicSpec, ensure_topics};

use crate::config::RunOptions;

/// The longest record. An event is at most some times as long as its message,
/// which is 1 MB unless configured; a dead letter holds a whole message.
pub const MAX_RECORD: usize = 16 << 20;

/// Each record has the time of the broker that takes it: one clock for the events of all
/// collectors, whose own may be wrong. By theirs the broker would refuse what is ahead and
/// delete at once what is behind.
const TIMESTAMPS: &str = "LogAppendTime";

/// Dead letters are few, and no order between them matters.
const DEAD_LETTER_PARTITIONS: i32 = 1;

/// Creates the topics that are missing.
pub async fn ensure(options: &RunOptions) -> Result<(), KafkaError> {
    ensure_topics(&options.kafka, &specs(options)).await
}

fn specs(options: &RunOptions) -> Vec<TopicSpec> {
    let spec = |name: &str, partitions| TopicSpec {
        name: name.to_owned(),
        partitions,
        replication: options.replication,
        config: vec![
            ("max.message.bytes".to_owned(), MAX_RECORD.to_string()),
            ("message.timestamp.type".to_owned(), TIMESTAMPS.to_owned()),
        ],
    };
    let mut specs = vec![
        spec(&options.kafka.topic_events, options.partitions),
        spec(&options.kafka.topic_dead_letter, DEAD_LETTER_PARTITIONS),
    ];
    if options.raw {
        specs.push(spec(&options.topic_raw, options.partitions));
    }
    specs
}
