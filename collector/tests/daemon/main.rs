//! The daemon against a real Kafka: what routers send is what the topic holds,
//! whatever happens in between.

mod collector;
mod delivery;
mod faults;
mod process;
mod raw;
