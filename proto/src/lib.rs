//! The contract between the collector, the ingester and anyone who taps the topic.
//!
//! ```text
//!  collector ──► Kafka record ──► ingester, `tap`, your own consumer
//!                 key      record::key      router|distinguisher|peer address
//!                 headers  record::HEADER_* event type, router, content type
//!                 value    v1::Event        protobuf, ribstream/v1/event.proto
//! ```
//!
//! [`v1`] holds the generated messages, [`record`] how one becomes a Kafka
//! record, [`family`] the names of address families. Every message serialises
//! to JSON under its protobuf field names, with addresses, prefixes and
//! enumerations as text.

pub mod family;
mod json;
pub mod key;
pub mod names;
pub mod record;
pub mod registry;
pub mod text;

/// The messages of `ribstream/v1/event.proto`.
#[allow(clippy::all, clippy::pedantic, reason = "generated code")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/ribstream.v1.rs"));
}
