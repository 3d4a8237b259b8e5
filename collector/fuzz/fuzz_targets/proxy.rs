//! Any bytes as the beginning of a connection from a balancer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ribstream_collector_fuzz::proxy(bytes));
