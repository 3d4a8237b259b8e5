//! `ribstream-collector decode`: a capture to JSON lines, or to one summary.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use anyhow::Context;
use prost::Message;
use ribstream_proto::{
    family::AfiSafi,
    v1::{self, event::Body},
};
use serde::Serialize;

use crate::{
    bmp::Kind,
    frame::{self, next_frame},
    session::{Counters, Destination, Origin, Record, Session, Sink},
};

/// Bytes to read at a time.
const CHUNK: usize = 1 << 18;

/// Decodes a raw BMP stream and writes one JSON line for each message. Where the
/// stream stops being BMP, the error names the offset, after all that came before.
pub fn lines(input: impl Read, max_message: usize, mut output: impl Write) -> anyhow::Result<()> {
    let mut written: io::Result<()> = Ok(());
    let (_, result) = walk(input, max_message, &mut |record: Record<'_>| {
        if written.is_ok() {
            written = line(&record, &mut output);
        }
    });
    match written.and_then(|()| output.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error).context("cannot write the output"),
        Ok(()) => result,
    }
}

/// Writes a record as one line of JSON.
pub fn line(record: &Record<'_>, output: &mut impl Write) -> io::Result<()> {
    match record.destination {
        Destination::Events => {
            let event = v1::Event::decode(record.value).map_err(io::Error::other)?;
            serde_json::to_writer(&mut *output, &event)?;
        }
        Destination::DeadLetter => {
            let letter = v1::DeadLetter::decode(record.value).map_err(io::Error::other)?;
            serde_json::to_writer(&mut *output, &DeadLetterLine { dead_letter: letter })?;
        }
    }
    output.write_all(b"\n")
}

#[derive(Serialize)]
struct DeadLetterLine {
    dead_letter: v1::DeadLetter,
}

/// What a stream holds, in numbers.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Messages by type.
    pub messages: BTreeMap<&'static str, u64>,
    /// Routes by view and family.
    pub routes: BTreeMap<&'static str, BTreeMap<String, RouteCounts>>,
    /// EVPN routes by view and route type.
    pub evpn_route_types: BTreeMap<&'static str, BTreeMap<u32, RouteTypeCounts>>,
    /// Messages that could not be decoded, by reason.
    pub errors: BTreeMap<String, u64>,
    /// Bytes of the stream.
    pub bytes: u64,
}

/// Routes of one view and family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteCounts {
    /// Routes announced.
    pub announced: u64,
    /// Routes withdrawn.
    pub withdrawn: u64,
    /// End-of-RIB markers.
    pub end_of_rib: u64,
}

/// Routes of one view and EVPN route type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteTypeCounts {
    /// Routes announced.
    pub announced: u64,
    /// Routes withdrawn.
    pub withdrawn: u64,
}

/// Decodes a raw BMP stream and counts what it holds. The error, if any, says
/// where the stream stops being BMP; the summary covers what came before.
pub fn summary(input: impl Read, max_message: usize) -> (Summary, anyhow::Result<()>) {
    let mut summary = Summary::default();
    let (counters, result) =
        walk(input, max_message, &mut |record: Record<'_>| summary.record(&record));
    for kind in Kind::ALL {
        summary.messages.insert(kind.name(), counters.messages(kind));
    }
    summary.bytes = counters.octets;
    (summary, result)
}

impl Summary {
    fn record(&mut self, record: &Record<'_>) {
        match record.destination {
            Destination::Events => {
                if let Ok(v1::Event { body: Some(Body::RouteUpdate(update)), .. }) =
                    v1::Event::decode(record.value)
                {
                    self.update(&update);
                }
            }
            Destination::DeadLetter => {
                if let Ok(letter) = v1::DeadLetter::decode(record.value) {
                    *self.errors.entry(letter.reason).or_default() += 1;
                }
            }
        }
    }

    fn update(&mut self, update: &v1::RouteUpdate) {
        let view = match update.view() {
            v1::RibView::AdjRibInPre => "adj-in-pre",
            v1::RibView::AdjRibInPost => "adj-in-post",
            v1::RibView::AdjRibOutPre => "adj-out-pre",
            v1::RibView::AdjRibOutPost => "adj-out-post",
            v1::RibView::LocRib => "loc-rib",
            v1::RibView::Unspecified => "unspecified",
        };
        let families = self.routes.entry(view).or_default();
        let mut counts = |afi: u32, safi: u32, count: &dyn Fn(&mut RouteCounts)| {
            let family = AfiSafi::new(
                u16::try_from(afi).unwrap_or_default(),
                u8::try_from(safi).unwrap_or_default(),
            );
            count(families.entry(family.to_string()).or_default());
        };
        for routes in &update.announced {
            counts(routes.afi, routes.safi, &|c| c.announced += count(routes));
        }
        for routes in &update.withdrawn {
            counts(routes.afi, routes.safi, &|c| c.withdrawn += count(routes));
        }
        for family in &update.end_of_rib {
            counts(family.afi, family.safi, &|c| c.end_of_rib += 1);
        }
        for route in update.announced.iter().flat_map(|routes| &routes.evpn) {
            self.evpn_route_type(view, route.route_type).announced += 1;
        }
        for route in update.withdrawn.iter().flat_map(|routes| &routes.evpn) {
            self.evpn_route_type(view, route.route_type).withdrawn += 1;
        }
        for update in &update.more {
            self.update(update);
        }
    }

    fn evpn_route_type(&mut self, view: &'static str, route_type: u32) -> &mut RouteTypeCounts {
        self.evpn_route_types.entry(view).or_default().entry(route_type).or_default()
    }
}

fn count(routes: &v1::Routes) -> u64 {
    (routes.prefixes.len() + routes.evpn.len() + routes.other.len()) as u64
}

/// Feeds every message of a stream to a session, and says what it has counted and
/// why the end, if it did, came early. The times of reception are zero: a file
/// does not have them.
fn walk(
    mut input: impl Read,
    max_message: usize,
    sink: &mut impl Sink,
) -> (Counters, anyhow::Result<()>) {
    let mut session = Session::new(Origin {
        collector: Arc::from("decode"),
        router_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        remote_port: 0,
        session: 0,
    });
    let mut buffer = Vec::new();
    let mut offset = 0;
    let result = loop {
        let had = buffer.len();
        let read = input.by_ref().take(CHUNK as u64).read_to_end(&mut buffer);
        let mut rest = buffer.as_slice();
        let frames = loop {
            match next_frame(rest, max_message) {
                Ok(Some(length)) => {
                    let (frame, after) = rest.split_at(length);
                    session.message(frame, 0, sink);
                    offset += length;
                    rest = after;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(anyhow::anyhow!("offset {offset}: {error}")),
            }
        };
        if frames.is_err() {
            break frames;
        }
        if let Err(error) = read {
            let offset = offset + rest.len();
            break Err(anyhow::Error::new(error).context(format!("offset {offset}: cannot read")));
        }
        if buffer.len() == had {
            break if rest.is_empty() { Ok(()) } else { Err(truncated(offset, rest)) };
        }
        let done = buffer.len() - rest.len();
        buffer.drain(..done);
    };
    (session.counters().clone(), result)
}

fn truncated(offset: usize, rest: &[u8]) -> anyhow::Error {
    let header = rest.first_chunk::<{ frame::HEADER_LENGTH }>();
    match header {
        Some(&[_, a, b, c, d, _]) => anyhow::anyhow!(
            "offset {offset}: the stream ends in the middle of a message: {} of its {} bytes are there",
            rest.len(),
            u32::from_be_bytes([a, b, c, d]),
        ),
        None => {
            anyhow::anyhow!("offset {offset}: the stream ends in the middle of a message header")
        }
    }
}
