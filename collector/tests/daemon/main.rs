//! The daemon against a real Kafka: what routers send is what the topic holds,
//! whatever happens in between.

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod delivery;
mod faults;
mod process;
mod raw;
