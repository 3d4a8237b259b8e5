//! A stream and what it is: a BMP session, something else, or not known yet.

use super::{
    Out,
    begin::{self, Begin},
    packet::{Ends, Segment},
    seen::WHOLE,
    stream::{OutOfWindow, Stream},
};
use crate::source::End;

/// What one stream may hold for the sake of an octet that is missing: more than
/// the window of a BMP speaker.
const MAX_HELD: usize = 16 << 20;

/// What a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not known yet.
    Open,
    /// A BMP session that goes on.
    Session,
    /// No BMP.
    Other,
    /// A session that has ended.
    Ended,
}

enum State {
    /// What came so far, and where no message begins in it.
    Open {
        bytes: Vec<u8>,
        searched: usize,
    },
    Session(usize),
    Other,
    Ended,
}

/// One direction of a TCP connection.
pub(super) struct Flow {
    ends: Ends,
    /// The sequence number after the SYN, where that was captured.
    syn: Option<u32>,
    /// Where the data of a SYN with data ends, if the SYN does not count.
    uncounted: Option<u32>,
    stream: Stream,
    state: State,
    began: u64,
    /// Whether its port was named as one of BMP.
    named: bool,
    /// Octets before the first message, where it begins in the middle.
    skipped: u64,
}

impl Flow {
    /// The stream that begins with this segment; one that is not `selected` is of
    /// no interest.
    pub(super) fn new(segment: &Segment<'_>, time: u64, selected: bool, named: bool) -> Self {
        let first = first_octet(segment);
        let state =
            if selected { State::Open { bytes: Vec::new(), searched: 0 } } else { State::Other };
        Self {
            ends: segment.ends,
            syn: segment.syn.then_some(first),
            uncounted: None,
            stream: Stream::new(first),
            state,
            began: time,
            named,
            skipped: 0,
        }
    }

    pub(super) const fn fate(&self) -> Fate {
        match self.state {
            State::Open { .. } => Fate::Open,
            State::Session(_) => Fate::Session,
            State::Other => Fate::Other,
            State::Ended => Fate::Ended,
        }
    }

    /// In which order streams that are open at the capture's end are spoken of.
    pub(super) const fn order(&self) -> u64 {
        self.began
    }

    /// What it holds, in octets.
    pub(super) fn held(&self) -> usize {
        match &self.state {
            State::Open { bytes, .. } => bytes.len() + self.stream.held(),
            _ => self.stream.held(),
        }
    }

    /// Whether a SYN with this sequence number begins another connection than this.
    pub(super) fn is_other_connection(&self, sequence: u32) -> bool {
        match self.syn {
            Some(first) => first != sequence.wrapping_add(1),
            // One that came after the data that follows it is of no use, but the same.
            None => self.stream.offset() > 0 || self.fate() != Fate::Open,
        }
    }

    /// Takes a segment.
    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        time: u64,
        out: &mut Out<'_>,
    ) -> Result<(), OutOfWindow> {
        let mut ready = Vec::new();
        let first = first_octet(segment);
        self.uncounted_syn(segment);
        let taken = match self.state {
            State::Other => return Ok(()),
            // What comes again is ignored, and what comes after a gap.
            State::Ended => self.stream.follow(first, segment.data),
            State::Open { .. } | State::Session(_) => {
                self.stream.segment(first, segment.data, segment.fin, segment.cut, &mut ready)
            }
        };
        if taken.is_err() {
            if segment.data.is_empty() {
                // An acknowledgement, or the probe of a dead connection.
                return Ok(());
            }
            self.lost(time, out);
            return taken;
        }
        match &mut self.state {
            State::Open { bytes, .. } => {
                bytes.extend_from_slice(&ready);
                self.decide(time, false, out);
            }
            State::Session(id) => out.bytes(*id, time, ready),
            State::Other | State::Ended => return Ok(()),
        }
        if self.stream.is_complete() {
            self.close("the router closed", time, out);
        } else if self.stream.held() > MAX_HELD {
            self.give_up(out);
        }
        Ok(())
    }

    /// Programs that make up captures may put data into a SYN, and go on as if the
    /// SYN itself had no sequence number. No TCP does.
    fn uncounted_syn(&mut self, segment: &Segment<'_>) {
        if segment.data.is_empty() {
            return;
        }
        if segment.syn {
            let length = u32::try_from(segment.data.len()).unwrap_or_default();
            self.uncounted = Some(segment.sequence.wrapping_add(length));
        } else if self.uncounted.take() == Some(segment.sequence) {
            self.stream.step_back();
        }
    }

    /// The connection ends here, whatever is still missing.
    pub(super) fn close(&mut self, why: &'static str, time: u64, out: &mut Out<'_>) {
        if self.stream.missing().is_some() {
            self.lost(time, out);
            return;
        }
        self.decide(time, true, out);
        if let State::Session(id) = self.state {
            out.close(id, time, End::Closed(why));
        }
        self.finish();
    }

    /// The capture ends here.
    pub(super) fn end_of_capture(&mut self, out: &mut Out<'_>) {
        if self.stream.missing().is_some() {
            self.lost(0, out);
            return;
        }
        self.decide(self.began, true, out);
        if let State::Session(id) = self.state {
            out.close(id, 0, End::Capture);
        }
        self.finish();
    }

    /// There is no room for what it holds.
    pub(super) fn give_up(&mut self, out: &mut Out<'_>) {
        self.lost(0, out);
    }

    /// What is missing will not come any more.
    fn lost(&mut self, time: u64, out: &mut Out<'_>) {
        self.decide(time, true, out);
        if let State::Session(id) = self.state {
            let at = self.stream.offset() - self.skipped;
            let missing = self.stream.missing().map_or_else(
                || "what follows is".to_owned(),
                |missing| format!("the next {missing} bytes are"),
            );
            let hint = if self.stream.is_cut() {
                format!("; packets were not captured whole: {WHOLE}")
            } else {
                String::new()
            };
            out.problem(format!("{}: offset {at}: {missing} not in the capture{hint}", self.ends));
            out.close(id, time, End::Lost);
        }
        self.finish();
    }

    fn finish(&mut self) {
        let other = matches!(self.state, State::Other);
        self.state = if other { State::Other } else { State::Ended };
        self.stream.forget();
    }

    /// Learns what the stream is, if what came so far tells; `end` where no more comes.
    fn decide(&mut self, time: u64, end: bool, out: &mut Out<'_>) {
        let State::Open { bytes, searched } = &mut self.state else { return };
        if bytes.is_empty() {
            return;
        }
        let begin = if self.syn.is_none() {
            begin::in_middle(bytes, searched, end)
        } else {
            match begin::at_start(bytes) {
                Begin::Bgp => Begin::Bgp,
                // Whatever it begins with, it was said to be BMP.
                _ if self.named => Begin::Bmp(0),
                Begin::Open if end => Begin::Other,
                begin => begin,
            }
        };
        match begin {
            Begin::Open => {}
            Begin::Bmp(skip) => {
                let mut bytes = std::mem::take(bytes);
                bytes.drain(..skip.min(bytes.len()));
                self.skipped = skip as u64;
                if skip > 0 {
                    out.problem(format!(
                        "{}: the capture begins in the middle of this session: {skip} bytes are \
                         left out before its first whole message",
                        self.ends,
                    ));
                }
                let id = out.open(self.ends, self.began);
                self.state = State::Session(id);
                out.bytes(id, time, bytes);
            }
            Begin::Bgp | Begin::Other => {
                let octets = bytes.len();
                let bgp = begin == Begin::Bgp;
                out.seen.other_stream(bgp);
                if self.named {
                    let what = if bgp { "BGP (RFC 4271), no BMP" } else { "no BMP message" };
                    out.problem(format!("{}: {what} in its first {octets} bytes", self.ends));
                }
                self.state = State::Other;
                self.stream.forget();
            }
        }
    }
}

/// The sequence number of the segment's first octet; a SYN counts as one before.
const fn first_octet(segment: &Segment<'_>) -> u32 {
    if segment.syn { segment.sequence.wrapping_add(1) } else { segment.sequence }
}
