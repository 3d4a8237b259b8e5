//! Any bytes as one BMP message of any type, well framed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ribstream_collector_fuzz::message(bytes));
