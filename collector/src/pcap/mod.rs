//! BMP sessions out of a packet capture (pcap or pcapng).
//!
//! ```text
//!  file ──► packet ──► stream ──► begin ──► Piece
//!  blocks   link, IP,  segments   is it     a session's
//!           TCP        in order   BMP?      bytes, in order
//! ```
//!
//! Every direction of every TCP connection is a stream of its own; those that are
//! BMP are sessions, all others are forgotten as soon as that is known. What is
//! missing from the capture ends its session, with an error that says where.

mod begin;
mod file;
mod flow;
mod packet;
mod seen;
mod stream;

use std::{
    collections::{HashMap, VecDeque},
    io::Read,
};

pub use file::FileError;
pub(crate) use file::is_capture;
use file::{File, Packet};
use flow::{Fate, Flow};
use packet::{Content, Ends, Segment};
use seen::Seen;
use stream::OutOfWindow;

use crate::source::{End, Piece, Router};

/// What all streams may hold together, in octets.
const MAX_HELD: usize = 128 << 20;
/// Streams at a time. Past that, those that are no BMP are forgotten.
const MAX_STREAMS: usize = 100_000;

/// The sessions of a capture file.
pub struct Sessions<R> {
    file: File<R>,
    packet: Packet,
    ports: Vec<u16>,
    flows: HashMap<Ends, Flow>,
    /// Over all flows.
    held: usize,
    ready: VecDeque<Piece>,
    failed: Option<FileError>,
    at_end: bool,
    /// How many so far.
    opened: usize,
    /// The last session's number, which the next is greater than.
    last_session: u64,
    seen: Seen,
}

impl<R: Read> Sessions<R> {
    /// The sessions at one of these TCP ports, at either end; without any, those
    /// that begin as BMP does.
    pub fn open(input: R, ports: &[u16]) -> Result<Self, FileError> {
        Ok(Self {
            file: File::open(input)?,
            packet: Packet::default(),
            ports: ports.to_vec(),
            flows: HashMap::new(),
            held: 0,
            ready: VecDeque::new(),
            failed: None,
            at_end: false,
            opened: 0,
            last_session: 0,
            seen: Seen::default(),
        })
    }

    /// What comes next, in the order of the packets.
    pub fn next_piece(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.at_end {
                return None;
            }
            let mut packet = std::mem::take(&mut self.packet);
            match self.file.next(&mut packet) {
                Ok(true) => self.packet(&packet),
                Ok(false) => self.end(),
                Err(error) => {
                    self.failed = Some(error);
                    self.end();
                }
            }
            self.packet = packet;
        }
    }

    fn packet(&mut self, packet: &Packet) {
        let content = packet::parse(packet);
        self.seen.packet(packet.link, &content);
        if let Content::Tcp(segment) = content {
            self.segment(&segment, packet.time);
        }
    }

    fn segment(&mut self, segment: &Segment<'_>, time: u64) {
        let ends = segment.ends;
        if segment.rst {
            for ends in [ends, ends.reversed()] {
                self.with_flow(ends, |flow, sessions| {
                    flow.close("the connection was reset", time, sessions);
                });
            }
            return;
        }
        let known = self.flows.get(&ends);
        let fresh = match known {
            Some(flow) => segment.syn && flow.is_other_connection(segment.sequence),
            None => segment.syn || !segment.data.is_empty(),
        };
        if fresh {
            self.with_flow(ends, |flow, sessions| {
                flow.close("a new connection took its place", time, sessions);
            });
            self.make_room();
            let selected = self.ports.is_empty()
                || [ends.from.port(), ends.to.port()].iter().any(|p| self.ports.contains(p));
            let named = selected && !self.ports.is_empty();
            self.forget(ends);
            self.flows.insert(ends, Flow::new(segment, time, selected, named));
        }
        let mut outside = false;
        self.with_flow(ends, |flow, sessions| {
            outside = flow.segment(segment, time, sessions) == Err(OutOfWindow);
        });
        if outside {
            // Of another connection, whose SYN was not captured.
            self.forget(ends);
            self.segment(segment, time);
        }
    }

    /// Lets a flow do its work, and keeps the books.
    fn with_flow(&mut self, ends: Ends, work: impl FnOnce(&mut Flow, &mut Out<'_>)) {
        let Some(flow) = self.flows.get_mut(&ends) else { return };
        self.held -= flow.held();
        let mut out = Out {
            ready: &mut self.ready,
            opened: &mut self.opened,
            last_session: &mut self.last_session,
            seen: &mut self.seen,
        };
        work(flow, &mut out);
        if self.held + flow.held() > MAX_HELD {
            flow.give_up(&mut out);
        }
        self.held += flow.held();
    }

    fn forget(&mut self, ends: Ends) {
        if let Some(flow) = self.flows.remove(&ends) {
            self.held -= flow.held();
        }
    }

    fn make_room(&mut self) {
        if self.flows.len() >= MAX_STREAMS {
            self.flows.retain(|_, flow| flow.fate() == Fate::Session);
            self.held = self.flows.values().map(Flow::held).sum();
        }
    }

    /// The capture has ended: what is still open is as it is.
    fn end(&mut self) {
        self.at_end = true;
        let mut open: Vec<(u64, Ends)> =
            self.flows.iter().map(|(ends, flow)| (flow.order(), *ends)).collect();
        open.sort_unstable_by_key(|(order, _)| *order);
        for (_, ends) in open {
            self.with_flow(ends, Flow::end_of_capture);
        }
        if let Some(error) = self.failed.take() {
            self.ready.push_back(Piece::Problem(error.to_string()));
        }
        let problems = self.seen.problems(self.opened, &self.ports);
        self.ready.extend(problems.into_iter().map(Piece::Problem));
    }
}

/// Where flows hand out what they have.
struct Out<'a> {
    ready: &'a mut VecDeque<Piece>,
    opened: &'a mut usize,
    last_session: &'a mut u64,
    seen: &'a mut Seen,
}

impl Out<'_> {
    /// A session begins; its place among the sessions.
    fn open(&mut self, ends: Ends, time: u64) -> usize {
        let id = *self.opened;
        *self.opened += 1;
        // As the listener has it: the time of the beginning, but never twice the same.
        *self.last_session = time.max(self.last_session.saturating_add(1));
        self.ready.push_back(Piece::Open(
            id,
            Router {
                name: ends.to_string(),
                address: ends.from.ip().to_canonical(),
                port: ends.from.port(),
                session: *self.last_session,
            },
        ));
        id
    }

    fn bytes(&mut self, id: usize, time: u64, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.ready.push_back(Piece::Bytes(id, time, bytes));
        }
    }

    fn close(&mut self, id: usize, time: u64, end: End) {
        self.ready.push_back(Piece::Close(id, time, end));
    }

    fn problem(&mut self, text: String) {
        self.ready.push_back(Piece::Problem(text));
    }
}
