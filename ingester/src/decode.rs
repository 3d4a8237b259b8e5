//! A Kafka record as what its topic holds, an event or a BMP message, and that as rows.

use bytes::Bytes;
use prost::Message as _;
use rdkafka::{Message, Timestamp, message::Headers as _};
use ribstream_proto::{record, v1::Event};

use crate::{
    batch::Times,
    inventory::{Inventory, NameTooLong, Slots},
    openbmp::{Frame, OpenBmpError},
    rows::{self, KafkaPlace, RawPlace, RowError, Rows},
    writer::now_micros,
};

/// How far a collector's clock may be ahead, in microseconds.
const AHEAD: i64 = 60_000_000;

/// What a topic holds, and what becomes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Events: history and current tables.
    #[default]
    Events,
    /// The same, and when each event passed where.
    EventsAndTimes,
    /// BMP messages as received.
    Raw,
}

/// Why a record cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A record without a value.
    #[error("the record is empty")]
    Empty,
    /// The value is not an event.
    #[error("the record is not a ribstream.v1.Event: {0}")]
    NotAnEvent(#[from] prost::DecodeError),
    /// The value is not a BMP message.
    #[error(transparent)]
    NotOpenBmp(#[from] OpenBmpError),
    /// A name that no column can be indexed by.
    #[error(transparent)]
    Name(#[from] NameTooLong),
    /// The event has no rows.
    #[error(transparent)]
    Rows(#[from] RowError),
}

impl DecodeError {
    /// A short, stable word to count by.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAnEvent(_) => "not_an_event",
            Self::NotOpenBmp(_) => "not_openbmp",
            Self::Name(_) => "name_too_long",
            Self::Rows(error) => error.reason(),
        }
    }
}

/// Decodes records and knows the slots of their routers and peers.
#[derive(Debug, Default)]
pub struct Decoder {
    content: Content,
    slots: Slots,
}

impl Decoder {
    /// A decoder of a topic's records.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self { content, slots: Slots::default() }
    }

    /// Appends the rows of a record; when it came, where it is an event.
    ///
    /// # Errors
    /// The record is not what can be stored; no rows were appended.
    pub fn append(
        &mut self,
        record: &impl Message,
        inventory: &Inventory,
        rows: &mut Rows,
    ) -> Result<Option<Times>, DecodeError> {
        let payload = record.payload().ok_or(DecodeError::Empty)?;
        if self.content == Content::Raw {
            // The time of a record of who knows whose is no measure of the topic's.
            return self.append_raw(record, payload, inventory, rows).map(|()| None);
        }
        // One copy, of which all of the event's byte fields are then slices.
        let payload = Bytes::copy_from_slice(payload);
        let event = Event::decode(payload)?;
        let router = self.slots.router(&event, inventory)?;
        let peer = match &event.peer {
            Some(peer) => Some(self.slots.peer(&event, router, peer, inventory)?),
            None => None,
        };
        let received = i64::try_from(event.received_at).unwrap_or(i64::MAX);
        let logged = append_time(record).unwrap_or_else(|| not_ahead(received));
        rows::encode(&event, record.partition(), logged, router, peer, rows)?;
        if let Some(peer) = peer.filter(|_| self.content == Content::EventsAndTimes) {
            let (partition, offset) = (record.partition(), record.offset());
            let place = KafkaPlace { partition, offset, time: kafka_time(record) };
            rows.append_times(&event, peer, place);
        }
        Ok(Some(Times { received, logged }))
    }

    fn append_raw(
        &mut self,
        record: &impl Message,
        payload: &[u8],
        inventory: &Inventory,
        rows: &mut Rows,
    ) -> Result<(), DecodeError> {
        let frame = Frame::parse(payload)?;
        let place = match named(record) {
            Some((router, session, sequence)) => {
                let address = Some(frame.router);
                let router = self.slots.named(router, address, frame.time, inventory)?;
                Some(RawPlace { router, session, sequence })
            }
            None => None,
        };
        rows.append_raw(&frame, place, kafka_time(record));
        Ok(())
    }
}

/// A collector's time. By a clock that is further ahead its sessions would never fall silent: what
/// it says was logged no later than now.
fn not_ahead(received: i64) -> i64 {
    let now = now_micros();
    if received > now.saturating_add(AHEAD) { now } else { received }
}

/// When the broker took a record, in microseconds since 1970, where the topic has that: one clock
/// for all collectors, whichever time it is by theirs.
pub(crate) fn append_time(record: &impl Message) -> Option<i64> {
    match record.timestamp() {
        Timestamp::LogAppendTime(millis) => millis.checked_mul(1000),
        Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
    }
}

/// A record's timestamp, microseconds since 1970.
fn kafka_time(record: &impl Message) -> Option<i64> {
    record.timestamp().to_millis()?.checked_mul(1000)
}

/// The router, the session and the number that a raw record's headers give, where they give
/// all: a program that is not Ribstream's collector gives none.
fn named(record: &impl Message) -> Option<(&str, i64, i64)> {
    let headers = record.headers()?;
    let value = |name| {
        let header = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()
    };
    let number = |name| value(name)?.parse::<i64>().ok().filter(|number| *number >= 0);
    let router = value(record::HEADER_ROUTER)?;
    Some((router, number(record::HEADER_SESSION)?, number(record::HEADER_SEQUENCE)?))
}
