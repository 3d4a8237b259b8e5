//! Any bytes as an UPDATE under every combination of capabilities.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ribstream_collector_fuzz::update(bytes));
