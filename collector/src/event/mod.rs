//! Events: the protobuf bytes that go to Kafka.
//!
//! Route updates are the bulk of the work, so they are written straight from the
//! borrowed UPDATE, field by field ([`route_update`]; those that are mirrored by way
//! of [`route_mirror`]); all other bodies are rare and go through the generated
//! types ([`convert`]). All share the [`envelope`], and are what `prost` reads back.

pub mod convert;
pub mod envelope;
pub mod route_mirror;
pub mod route_update;
mod writer;

pub use writer::Writer;
