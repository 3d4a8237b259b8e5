//! `ribstream-collector decode`: a capture to JSON lines, or to one summary.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write},
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
    source::{Capture, End, Piece, Problems, Router},
};

/// Decodes a capture and writes one JSON line for each message. Where a session
/// stops being BMP, or ends too early, the error names it and the offset, after all
/// that could be decoded.
pub fn lines<'a>(
    capture: impl Into<Capture<'a>>,
    max_message: usize,
    mut output: impl Write,
) -> anyhow::Result<()> {
    let mut written: io::Result<()> = Ok(());
    let (_, result) = walk(capture, max_message, &mut |record: Record<'_>| {
        if written.is_ok() {
            written = line(&record, &mut output);
        }
    });
    outcome(written.and_then(|()| output.flush()), result)
}

/// Decodes a capture and writes its [`Summary`] as one JSON object; else as [`lines`].
pub fn summary_as_json<'a>(
    capture: impl Into<Capture<'a>>,
    max_message: usize,
    mut output: impl Write,
) -> anyhow::Result<()> {
    let (summary, result) = summary(capture, max_message);
    let written = serde_json::to_writer_pretty(&mut output, &summary).map_err(io::Error::from);
    let written = written.and_then(|()| output.write_all(b"\n")).and_then(|()| output.flush());
    outcome(written, result)
}

/// What is to be said of a capture that was `decoded` and an output that was `written`.
fn outcome(written: io::Result<()>, decoded: anyhow::Result<()>) -> anyhow::Result<()> {
    match written {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error).context("cannot write the output"),
        Ok(()) => decoded,
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
        // Bytes are no line to read.
        Destination::Raw { .. } => return Ok(()),
    }
    output.write_all(b"\n")
}

#[derive(Serialize)]
struct DeadLetterLine {
    dead_letter: v1::DeadLetter,
}

/// What a capture holds, in numbers.
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
    /// Bytes of whole messages.
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

/// Decodes a capture and counts what it holds, all sessions together. The error, if
/// any, is that of [`lines`]; the summary covers what could be decoded.
pub fn summary<'a>(
    capture: impl Into<Capture<'a>>,
    max_message: usize,
) -> (Summary, anyhow::Result<()>) {
    let mut summary = Summary::default();
    let (counters, result) =
        walk(capture, max_message, &mut |record: Record<'_>| summary.record(&record));
    for kind in Kind::ALL {
        let count = counters.iter().map(|counters| counters.messages(kind)).sum();
        summary.messages.insert(kind.name(), count);
    }
    summary.bytes = counters.iter().map(|counters| counters.octets).sum();
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
            Destination::Raw { .. } => {}
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

/// Feeds every message of a capture to its session, and says what each has counted
/// and what was not as it should be.
fn walk<'a>(
    capture: impl Into<Capture<'a>>,
    max_message: usize,
    sink: &mut impl Sink,
) -> (Vec<Counters>, anyhow::Result<()>) {
    let mut capture = capture.into();
    let mut open: HashMap<usize, Decoder> = HashMap::new();
    let mut counters = Vec::new();
    let mut problems = Problems::default();
    while let Some(piece) = capture.next_piece() {
        let result = match piece {
            Piece::Open(id, router) => {
                open.insert(id, Decoder::new(router));
                Ok(())
            }
            Piece::Bytes(id, time, bytes) => match open.get_mut(&id) {
                Some(decoder) => decoder.bytes(&bytes, time, max_message, sink),
                None => Ok(()),
            },
            Piece::Close(id, time, end) => match open.remove(&id) {
                Some(decoder) => {
                    let (count, result) = decoder.end(time, end, sink);
                    counters.push(count);
                    result
                }
                None => Ok(()),
            },
            Piece::Problem(problem) => Err(problem),
        };
        if let Err(problem) = result {
            problems.add(problem);
            // There is no other session in it.
            if matches!(capture, Capture::Stream(_)) {
                break;
            }
        }
    }
    counters.extend(open.into_values().map(|decoder| decoder.session.counters().clone()));
    (counters, problems.into_result())
}

/// A session of a capture.
struct Decoder {
    name: String,
    session: Session,
    /// The beginning of a message that is not whole yet.
    buffer: Vec<u8>,
    /// Octets of whole messages.
    offset: usize,
    /// The stream has stopped being BMP.
    broken: bool,
}

impl Decoder {
    fn new(router: Router) -> Self {
        let session = Session::new(Origin {
            collector: Arc::from("decode"),
            router_address: router.address,
            remote_port: router.port,
            session: router.session,
        });
        Self { name: router.name, session, buffer: Vec::new(), offset: 0, broken: false }
    }

    fn bytes(
        &mut self,
        bytes: &[u8],
        now: u64,
        max_message: usize,
        sink: &mut impl Sink,
    ) -> Result<(), String> {
        if self.broken {
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        let mut rest = self.buffer.as_slice();
        let result = loop {
            match next_frame(rest, max_message) {
                Ok(Some(length)) => {
                    let (frame, after) = rest.split_at(length);
                    self.session.message(frame, now, sink);
                    self.offset += length;
                    rest = after;
                }
                Ok(None) => break Ok(()),
                Err(error) => {
                    self.broken = true;
                    break Err(error);
                }
            }
        };
        let done = self.buffer.len() - rest.len();
        self.buffer.drain(..done);
        result.map_err(|error| self.problem(&error.to_string()))
    }

    fn end(mut self, now: u64, end: End, sink: &mut impl Sink) -> (Counters, Result<(), String>) {
        let result = if self.broken || self.buffer.is_empty() || end == End::Lost {
            Ok(())
        } else {
            Err(self.problem(&truncated(&self.buffer)))
        };
        if let End::Closed(why) = end {
            self.session.end(v1::RouterDownReason::Disconnect, why, now, sink);
        }
        (self.session.counters().clone(), result)
    }

    /// What is wrong, with the session and the place.
    fn problem(&self, what: &str) -> String {
        let (name, offset) = (&self.name, self.offset);
        let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
        format!("{name}offset {offset}: {what}")
    }
}

fn truncated(rest: &[u8]) -> String {
    match rest.first_chunk::<{ frame::HEADER_LENGTH }>() {
        Some(&[_, a, b, c, d, _]) => format!(
            "the stream ends in the middle of a message: {} of its {} bytes are there",
            rest.len(),
            u32::from_be_bytes([a, b, c, d]),
        ),
        None => "the stream ends in the middle of a message header".to_owned(),
    }
}
