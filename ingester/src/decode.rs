//! A Kafka record's value as an event, and the event as rows.

use bytes::Bytes;
use prost::Message;
use ribstream_proto::v1::Event;

use crate::{
    inventory::{Inventory, NameTooLong, Slots},
    rows::{self, RowError, Rows},
};

/// Why a record cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A record without a value.
    #[error("the record is empty")]
    Empty,
    /// The value is not an event.
    #[error("the record is not a ribstream.v1.Event: {0}")]
    NotAnEvent(#[from] prost::DecodeError),
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
            Self::Name(_) => "name_too_long",
            Self::Rows(error) => error.reason(),
        }
    }
}

/// Decodes events and knows the slots of their routers and peers.
#[derive(Debug, Default)]
pub struct Decoder {
    slots: Slots,
}

impl Decoder {
    /// Appends the rows of the event of a record of `partition`; its receive time.
    ///
    /// # Errors
    /// The record is not an event that can be stored; no rows were appended.
    pub fn append(
        &mut self,
        partition: i32,
        payload: Option<&[u8]>,
        inventory: &Inventory,
        rows: &mut Rows,
    ) -> Result<i64, DecodeError> {
        // One copy, of which all of the event's byte fields are then slices.
        let payload = Bytes::copy_from_slice(payload.ok_or(DecodeError::Empty)?);
        let event = Event::decode(payload)?;
        let router = self.slots.router(&event, inventory)?;
        let peer = match &event.peer {
            Some(peer) => Some(self.slots.peer(&event, router, peer, inventory)?),
            None => None,
        };
        rows::encode(&event, partition, router, peer, rows)?;
        Ok(i64::try_from(event.received_at).unwrap_or(i64::MAX))
    }
}
