//! Decode rates over real captures, ours beside those of others, on the same frames.
//!
//! A decoder that copies has parsed when it has built its own value of the whole
//! message. One that borrows, such as ours, has when every attribute and route is
//! checked. So each is measured twice: `parsed`, and `walked`, which then reads every
//! prefix and every AS number. `protobuf` is ours from bytes to the finished record.
//! routecore checks and reads in two steps: `checked` is the first alone.

mod bgpkit;
mod frames;
mod netgauze;
mod ours;
mod routecore;

use std::{cell::RefCell, hint::black_box};

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use frames::Frames;

/// What a walk over messages has found: proof that it looked at all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    prefixes: u64,
    prefix_bits: u64,
    asns: u64,
    asn_sum: u64,
}

impl Tally {
    #[inline]
    fn prefix(&mut self, length: u8) {
        self.prefixes += 1;
        self.prefix_bits += u64::from(length);
    }

    #[inline]
    fn asn(&mut self, asn: u32) {
        self.asns += 1;
        self.asn_sum += u64::from(asn);
    }
}

/// One decoder: what it takes a frame in, how it parses it, and how it walks over it.
struct Decoder<'d, F> {
    name: &'static str,
    frames: &'d [F],
    parse: &'d dyn Fn(&F),
    walk: &'d dyn Fn(&F, &mut Tally),
}

impl<F> Decoder<'_, F> {
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.frames.iter().for_each(|frame| (self.walk)(frame, &mut tally));
        tally
    }

    /// Checks that the decoder finds what the others find, and measures it.
    fn measure(&self, group: &mut BenchmarkGroup<'_, WallTime>, on: &str, expected: Tally) {
        assert_eq!(self.tally(), expected, "{} on {on}", self.name);
        group.bench_function(BenchmarkId::new(format!("{}/parsed", self.name), on), |bencher| {
            bencher.iter(|| self.frames.iter().for_each(|frame| (self.parse)(frame)));
        });
        group.bench_function(BenchmarkId::new(format!("{}/walked", self.name), on), |bencher| {
            bencher.iter(|| black_box(self.tally()));
        });
    }
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for Frames { name, list } in frames::all() {
        group.throughput(Throughput::Elements(list.len() as u64));
        let ours = Decoder { name: "ours", frames: &list, parse: &ours::parse, walk: &ours::walk };
        let expected = ours.tally();
        println!("{name}: {} frames of {} octets, {expected:?}", list.len(), frames::mean(&list));
        ours.measure(&mut group, name, expected);
        group.bench_function(BenchmarkId::new("ours/protobuf", name), |bencher| {
            bencher.iter(|| ours::protobuf(&list));
        });
        if !frames::for_all_decoders(name) {
            continue;
        }
        Decoder {
            name: "routecore",
            frames: &list,
            parse: &routecore::parse,
            walk: &routecore::walk,
        }
        .measure(&mut group, name, expected);
        group.bench_function(BenchmarkId::new("routecore/checked", name), |bencher| {
            bencher.iter(|| list.iter().for_each(routecore::check));
        });
        let context = RefCell::default();
        Decoder {
            name: "netgauze",
            frames: &list,
            parse: &|frame| netgauze::parse(frame, &context),
            walk: &|frame, tally| netgauze::walk(frame, &context, tally),
        }
        .measure(&mut group, name, expected);
        let shared: Vec<_> = list.iter().map(|frame| bgpkit::own(frame)).collect();
        Decoder { name: "bgpkit", frames: &shared, parse: &bgpkit::parse, walk: &bgpkit::walk }
            .measure(&mut group, name, expected);
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
