//! The daemon against a real Kafka: what routers send is what the topic holds,
//! whatever happens in between. And, without Kafka, against who attacks its port.

#[path = "../support/mod.rs"]
mod support;

mod active;
mod ao;
mod attack;
mod balancer;
mod brokers;
mod collector;
mod daemon;
mod delivery;
mod faults;
mod identity;
mod keys;
mod limits;
mod many;
mod md5;
mod process;
mod proxy;
mod raw;
mod status;
mod tls;
