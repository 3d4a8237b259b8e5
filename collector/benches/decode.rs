//! Decode rate over real captures: from bytes to parsed, and on to the finished
//! protobuf bytes.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ribstream_collector::{
    bgp::{self, AsWidth, PathIds, ReadAs, Update},
    bmp::Message,
    frame::next_frame,
    session::{Origin, Record, Session},
    wire::Reader,
};
use ribstream_proto::family::AfiSafi;
use ribstream_testkit::captures::capture;

const MAX_MESSAGE: usize = 1_000_000;

/// How many messages of a large capture are enough.
const MESSAGES: usize = 20_000;

fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Ok(Some(length)) = next_frame(rest, MAX_MESSAGE) {
        let (frame, after) = rest.split_at(length);
        frames.push(frame);
        rest = after;
        if frames.len() == MESSAGES {
            break;
        }
    }
    frames
}

/// Four octets an AS, no path identifiers: what the captures here have.
struct Plain;

impl ReadAs for Plain {
    fn as_width(&self) -> AsWidth {
        AsWidth::Four
    }
    fn path_ids(&self, _: AfiSafi) -> PathIds {
        PathIds::Absent
    }
    fn learn_path_ids(&mut self, _: AfiSafi, _: PathIds) {}
}

fn parse(frame: &[u8]) {
    let message = Message::parse(frame);
    if let Ok(Message::RouteMonitoring(_, monitoring)) = message {
        let mut reader = Reader::new(monitoring.updates);
        while reader.any_left() {
            let Ok(message) = bgp::Message::read(&mut reader) else { break };
            let _ = black_box(Update::parse(message, &mut Plain));
        }
    } else {
        let _ = black_box(message);
    }
}

fn session() -> Session {
    Session::new(Origin {
        collector: Arc::from("bench"),
        router_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        remote_port: 1,
        session: 1,
    })
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for name in ["fulltable-gobgp-1p", "churn-gobgp-2p", "frr10-unicast", "gobgp336-multi"] {
        let Some(bytes) = capture(name) else { continue };
        let frames = frames(&bytes);
        group.throughput(Throughput::Elements(frames.len() as u64));
        group.bench_with_input(BenchmarkId::new("parsed", name), &frames, |bencher, frames| {
            bencher.iter(|| frames.iter().for_each(|frame| parse(frame)));
        });
        group.bench_with_input(BenchmarkId::new("protobuf", name), &frames, |bencher, frames| {
            bencher.iter(|| {
                let mut session = session();
                let mut octets = 0;
                for frame in frames {
                    session.message(frame, 1_700_000_000_000_000, &mut |record: Record<'_>| {
                        octets += record.value.len();
                    });
                }
                octets
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
