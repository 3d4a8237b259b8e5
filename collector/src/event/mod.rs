//! Events: the protobuf bytes that go to Kafka.
//!
//! Route updates are the bulk of the work, so they are written straight from the
//! borrowed UPDATE, field by field ([`route_update`]); all other bodies are rare
//! and go through the generated types ([`convert`]). Both share the
//! [`envelope`], and both are what `prost` reads back.

pub mod convert;
pub mod envelope;
pub mod route_update;
mod writer;

pub use writer::Writer;
