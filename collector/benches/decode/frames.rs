//! The frames that are decoded: real ones, split and in memory.

use std::ops::Range;

use ribstream_collector::frame::next_frame;
use ribstream_testkit::captures::capture;

const MAX_MESSAGE: usize = 1_000_000;

/// How many messages of a large capture are enough.
const MESSAGES: usize = 20_000;

/// The mean length of the frames that decoders are usually compared with.
const USUAL_MEAN: usize = 211;
/// Frames not far from it in length.
const USUAL_LENGTHS: Range<usize> = 150..500;
/// How many of these.
const USUAL_MESSAGES: usize = 15_275;

/// Route Monitoring (RFC 7854, 4.1).
const ROUTE_MONITORING: u8 = 0;

/// Some frames.
pub(crate) struct Frames<'b> {
    pub(crate) name: &'static str,
    pub(crate) list: Vec<&'b [u8]>,
}

/// Every group of frames whose capture is there.
pub(crate) fn all() -> Vec<Frames<'static>> {
    let mut all = Vec::new();
    for name in ["fulltable-gobgp-1p", "churn-gobgp-2p", "frr10-unicast", "gobgp336-multi"] {
        let Some(bytes) = capture(name) else { continue };
        let list = split(bytes.leak());
        if name == "fulltable-gobgp-1p" {
            all.push(Frames { name: "fulltable-211-octets", list: of_usual_length(&list) });
        }
        let list = list.into_iter().take(MESSAGES).collect();
        all.push(Frames { name, list });
    }
    all
}

/// Whether all decoders agree on what is in the frames: on families and
/// encodings that only some know they do not.
pub(crate) fn for_all_decoders(name: &str) -> bool {
    name.starts_with("fulltable") || name.starts_with("churn")
}

/// The mean length.
pub(crate) fn mean(frames: &[&[u8]]) -> usize {
    frames.iter().map(|frame| frame.len()).sum::<usize>() / frames.len().max(1)
}

fn split(bytes: &'static [u8]) -> Vec<&'static [u8]> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Ok(Some(length)) = next_frame(rest, MAX_MESSAGE) {
        let (frame, after) = rest.split_at(length);
        frames.push(frame);
        rest = after;
    }
    frames
}

/// Frames of nearly the usual length, taken so that their mean is that.
fn of_usual_length<'b>(frames: &[&'b [u8]]) -> Vec<&'b [u8]> {
    let mut octets = 0;
    let mut usual = Vec::new();
    for frame in frames {
        let fits = USUAL_LENGTHS.contains(&frame.len()) && frame.get(5) == Some(&ROUTE_MONITORING);
        let short = frame.len() < USUAL_MEAN;
        if fits && short == (octets >= USUAL_MEAN * usual.len()) && usual.len() < USUAL_MESSAGES {
            octets += frame.len();
            usual.push(*frame);
        }
    }
    usual
}
