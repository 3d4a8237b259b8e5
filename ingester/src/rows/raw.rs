//! BMP messages as received, and when events passed where, as rows.

use ribstream_proto::v1::Event;

use super::{
    PeerSlot, RouterSlot, Rows, Table,
    copy::{PutColumn, PutOptional},
};
use crate::openbmp::Frame;

pub(super) const COPY_RAW_MESSAGES: &str = "copy raw_messages (router_id, time, router_time, \
    session, sequence, router_address, collector, message_type, message, kafka_time) \
    from stdin (format binary)";
const RAW_MESSAGES_COLUMNS: i16 = 10;

pub(super) const COPY_PROCESSING_TIMES: &str = "copy processing_times (peer_id, time, \
    router_time, session, sequence, partition, record_offset, kafka_time) \
    from stdin (format binary)";
const PROCESSING_TIMES_COLUMNS: i16 = 8;

/// Which message of which session of which router a raw record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPlace {
    /// The router.
    pub router: RouterSlot,
    /// The BMP session.
    pub session: i64,
    /// Number of the message in it.
    pub sequence: i64,
}

/// Where a record is in Kafka, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaPlace {
    /// The partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The record's timestamp, microseconds since 1970.
    pub time: Option<i64>,
}

impl Rows {
    /// Appends a BMP message as received, and where it belongs if its record says so.
    pub fn append_raw(
        &mut self,
        frame: &Frame<'_>,
        place: Option<RawPlace>,
        kafka_time: Option<i64>,
    ) {
        let collector = String::from_utf8_lossy(frame.collector);
        let rows = self.table_mut(Table::RawMessages);
        let row = rows.begin_router(RAW_MESSAGES_COLUMNS, place.map(|place| place.router));
        row.put_time(frame.time);
        row.put_opt_time(frame.router_time());
        row.put_opt_i64(place.map(|place| place.session));
        row.put_opt_i64(place.map(|place| place.sequence));
        row.put_inet(frame.router);
        row.put_opt_text(Some(collector).as_deref().filter(|name| !name.is_empty()));
        row.put_i16(frame.message_type.into());
        row.put_raw(frame.message);
        row.put_opt_time(kafka_time);
    }

    /// Appends when an event, whose other rows are there, passed where.
    pub fn append_times(&mut self, event: &Event, peer: PeerSlot, record: KafkaPlace) {
        // Numbers that no column can hold have no rows, see `encode`.
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let row = self.table_mut(Table::ProcessingTimes).begin(PROCESSING_TIMES_COLUMNS, peer);
        row.put_time(number(event.received_at));
        row.put_opt_time(event.router_time.map(number));
        row.put_i64(number(event.session));
        row.put_i64(number(event.sequence));
        row.put_i32(record.partition);
        row.put_i64(record.offset);
        row.put_opt_time(record.time);
    }
}
