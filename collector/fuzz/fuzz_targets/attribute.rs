//! Any bytes as the value of a path attribute of any type.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ribstream_collector_fuzz::attribute(bytes));
