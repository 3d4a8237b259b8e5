//! From `--from` and `--to` to the offsets of a partition.

use std::{fmt, str::FromStr};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use super::TIMEOUT;

/// Where a range begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At the oldest record that Kafka has.
    Earliest,
    /// Where the database is.
    Latest,
    /// At this offset of each partition.
    Offset(i64),
    /// At the first record that Kafka received at this time or later.
    Time(jiff::Timestamp),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) {
            let offset = text.parse().map_err(|_| format!("{text} is too large for an offset"))?;
            return Ok(Self::Offset(offset));
        }
        text.parse().map(Self::Time).map_err(|_| {
            format!(
                "{text:?} is neither a time nor an offset; write 2026-05-28T14:00:00Z, 123456, \
                 earliest or latest"
            )
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::Offset(offset) => offset.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

/// What is to be done in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) partition: i32,
    /// The oldest record that Kafka has: from there on the tables are worked out.
    pub(super) low: i64,
    /// The first record whose rows are written.
    pub(super) from: i64,
    /// The record after the last.
    pub(super) to: i64,
    /// How far the current tables are brought: to where the database is, or further.
    pub(super) end: i64,
}

/// Why there is no range.
#[derive(Debug, thiserror::Error)]
pub(super) enum RangeError {
    #[error(
        "Kafka no longer holds the beginning of the range: partition {partition} of {topic} \
         begins at offset {low}{since}, --from {from} is before that. --from earliest replays \
         what there is; rows of what is gone from Kafka can only come from a backup"
    )]
    Trimmed { topic: String, partition: i32, low: i64, since: String, from: String },
    #[error(
        "partition {partition} of {topic} ends at offset {high}, the range from {from} to {to} \
         is not in it"
    )]
    Outside { topic: String, partition: i32, high: i64, from: i64, to: i64 },
    #[error("--from {from} is after --to {to} in partition {partition} of {topic}")]
    Reversed { topic: String, partition: i32, from: i64, to: i64 },
    #[error(
        "the database has partition {partition} of {topic} up to offset {stored} and the range \
         begins at {from}: what lies between would never be written. Let an ingester catch up, \
         or say --from {stored}"
    )]
    Hole { topic: String, partition: i32, stored: i64, from: i64 },
    #[error("{0}")]
    Kafka(#[from] KafkaError),
}

/// The range of a partition, of which the database has stored up to `stored`.
pub(super) fn find(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    stored: Option<i64>,
    bounds: (Bound, Bound),
) -> Result<Range, RangeError> {
    let (low, high) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
    let place = |bound| match bound {
        Bound::Earliest => Ok(low),
        Bound::Latest => Ok(stored.unwrap_or(high)),
        Bound::Offset(offset) => Ok(offset),
        Bound::Time(time) => at(consumer, topic, partition, time).map(|at| at.unwrap_or(high)),
    };
    let (from, to) = (place(bounds.0)?, place(bounds.1)?);
    let topic = topic.to_owned();
    let oldest =
        if low > 0 && low < high { first_time(consumer, &topic, partition, low)? } else { None };
    let trimmed = match bounds.0 {
        Bound::Time(time) => low > 0 && oldest.is_some_and(|oldest| time < oldest),
        _ => from < low,
    };
    if trimmed {
        let since = oldest.map_or_else(String::new, |oldest| format!(" ({oldest})"));
        let from = bounds.0.to_string();
        return Err(RangeError::Trimmed { topic, partition, low, since, from });
    }
    if from > high || to > high {
        return Err(RangeError::Outside { topic, partition, high, from, to });
    }
    if let Some(stored) = stored.filter(|stored| *stored < from) {
        return Err(RangeError::Hole { topic, partition, stored, from });
    }
    if from > to {
        return Err(RangeError::Reversed { topic, partition, from, to });
    }
    Ok(Range { partition, low, from, to, end: to.max(stored.unwrap_or(to)) })
}

/// The first record of a time or later; none where there is none yet.
fn at(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    time: jiff::Timestamp,
) -> Result<Option<i64>, KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(time.as_millisecond().max(0)))?;
    let found = consumer.offsets_for_times(list, TIMEOUT)?;
    let offset = found.find_partition(topic, partition).map(|found| found.offset());
    Ok(match offset {
        Some(Offset::Offset(offset)) => Some(offset),
        _ => None,
    })
}

/// When Kafka received a record.
fn first_time(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<jiff::Timestamp>, KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    consumer.assign(&list)?;
    let message = match consumer.poll(TIMEOUT) {
        Some(Ok(message)) => rdkafka::Message::timestamp(&message).to_millis(),
        Some(Err(error)) => return Err(error),
        None => None,
    };
    Ok(message.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_time_an_offset_or_a_word() {
        assert_eq!("earliest".parse(), Ok(Bound::Earliest));
        assert_eq!("1234".parse(), Ok(Bound::Offset(1234)));
        let time: jiff::Timestamp = "2026-05-28T14:00:00Z".parse().unwrap();
        assert_eq!("2026-05-28T16:00:00+02:00".parse(), Ok(Bound::Time(time)));
        for text in ["", "yesterday", "-1", "2026-05-28", "99999999999999999999"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }
}
