//! A history, played: what reaches the topic, and what the tables must then say.

use std::fmt::Write as _;

use crate::{
    claims::{Claims, Row, Shown},
    history::{Ending, History, Step},
    network::{Arrival, Network, PEERS, ROUTES, Said, State},
};

/// What the topic says of a session as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Began,
    /// Nothing is heard of it any more.
    Silent,
    HeardAgain,
    Ended,
}

/// A step of a history, and what must be so behind it.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) step: Step,
    /// What reached the topic, and what the history must have of routes.
    pub(crate) arrivals: Vec<(Arrival, Option<Row>)>,
    /// Sessions by name.
    pub(crate) lives: Vec<(u64, Life)>,
    /// Sessions that are silent, by name.
    pub(crate) silent: Vec<u64>,
    pub(crate) shown: [[Shown; ROUTES]; PEERS],
    /// All that sessions in reach were sent has arrived.
    pub(crate) settled: bool,
}

/// Plays a history of the router of that name.
pub(crate) fn play(history: &History, router: &str) -> Vec<Moment> {
    let mut player = Player {
        network: Network::new(history, router),
        claims: std::array::from_fn(|peer| Claims::new(peer, history.stamps.are_coarse())),
        arrivals: Vec::new(),
        lives: Vec::new(),
    };
    history.steps.iter().map(|step| player.step(*step)).collect()
}

struct Player {
    network: Network,
    claims: [Claims; PEERS],
    arrivals: Vec<(Arrival, Option<Row>)>,
    lives: Vec<(u64, Life)>,
}

impl Player {
    fn step(&mut self, step: Step) -> Moment {
        self.network.pass();
        let mut settled = false;
        match step {
            Step::Announce { peer, route, version } => self.network.announce(peer, route, version),
            Step::Withdraw { peer, route } => self.network.withdraw(peer, route),
            Step::Up { peer, table } => self.network.up(peer, table),
            Step::Down { peer } => self.network.down(peer),
            Step::Stray { peer, route } => self.network.stray(peer, route),
            Step::Refresh { peer } => self.network.refresh(peer),
            Step::Repeat { peer, collector } => self.network.repeat(peer, collector),
            Step::Connect { collector } => {
                let before = self.network.sessions.len();
                self.network.connect(collector);
                let new = &self.network.sessions[before..];
                self.lives.extend(new.iter().map(|session| (session.id, Life::Began)));
            }
            Step::End { collector, how } => self.end(collector, how),
            Step::Stall { collector } => {
                if let Some(session) = self.network.at(collector) {
                    self.network.sessions[session].state = State::Stalled;
                }
            }
            Step::Resume { collector } => self.resume(collector),
            Step::Silence => self.silence(),
            Step::Read { collector, messages } => {
                if let Some(session) = self.network.at(collector) {
                    for _ in 0..messages {
                        self.publish(session);
                    }
                }
            }
            Step::Settle { first } => {
                self.settle(first);
                settled = true;
            }
        }
        let network = &self.network;
        let shown = self
            .claims
            .each_mut()
            .map(|claims| if settled { claims.settled(network) } else { claims.shown(network) });
        Moment {
            step,
            arrivals: std::mem::take(&mut self.arrivals),
            lives: std::mem::take(&mut self.lives),
            silent: network.sessions.iter().filter(|it| it.silent).map(|it| it.id).collect(),
            shown,
            settled,
        }
    }

    fn publish(&mut self, session: usize) -> bool {
        let Some(arrival) = self.network.publish(session) else { return false };
        self.arrived(arrival);
        true
    }

    fn arrived(&mut self, arrival: Arrival) {
        let row = self.claims[arrival.peer].arrived(&arrival, &self.network);
        self.arrivals.push((arrival, row));
    }

    fn end(&mut self, collector: usize, how: Ending) {
        let Some(session) = self.network.at(collector) else { return };
        if self.network.sessions[session].state == State::Stalled && !matches!(how, Ending::Kill) {
            // Its end cannot be told either.
            return;
        }
        if matches!(how, Ending::Close) {
            while self.publish(session) {}
        }
        for claims in &mut self.claims {
            claims.ends(session, &self.network);
        }
        if matches!(how, Ending::Kill) {
            self.network.kill(session);
            return;
        }
        self.lives.push((self.network.sessions[session].id, Life::Ended));
        for arrival in self.network.lose(session) {
            self.arrived(arrival);
        }
    }

    fn silence(&mut self) {
        for session in &mut self.network.sessions {
            if matches!(session.state, State::Stalled | State::Dead) && !session.silent {
                session.silent = true;
                self.lives.push((session.id, Life::Silent));
            }
        }
    }

    fn resume(&mut self, collector: usize) {
        let Some(session) = self.network.at(collector) else { return };
        let session = &mut self.network.sessions[session];
        session.state = State::Alive;
        if std::mem::take(&mut session.silent) {
            self.lives.push((session.id, Life::HeardAgain));
        }
    }

    fn settle(&mut self, first: Option<usize>) {
        if let Some(session) = first.and_then(|first| self.network.at(first)) {
            while self.publish(session) {}
        }
        let mut more = true;
        while more {
            more = false;
            for session in 0..self.network.sessions.len() {
                more |= self.publish(session);
            }
        }
    }
}

/// A history as a table: each step, and what then reached the topic.
pub(crate) fn table(history: &History, moments: &[Moment]) -> String {
    let mut text = format!(
        "timestamps: {:?}, End-of-RIB: {}, leaves out: {}, batches of {}\n",
        history.stamps, history.end_of_rib, history.leaves_out, history.batch
    );
    for (number, moment) in moments.iter().enumerate() {
        let _ = writeln!(text, "{number:>3}  {}", moment.step);
        for (arrival, row) in &moment.arrivals {
            let name = if arrival.event.collector == "collector-0" { 'A' } else { 'B' };
            let said = match &arrival.said {
                Said::Up { told, .. } => format!("up ({told:?})"),
                Said::Down(reason) => format!("down ({reason:?})"),
                Said::Over(table) => format!("dump of table {table} is over"),
                Said::Route { word, dump } => {
                    let version =
                        word.version.map_or_else(|| "gone".to_owned(), |it| format!("v{it}"));
                    let dump = if *dump { ", dump" } else { "" };
                    format!("{} {version} (change {}{dump})", word.route, word.change)
                }
            };
            let row = row.as_ref().map_or_else(String::new, |row| match row {
                Row::Any => "  any".to_owned(),
                Row::NoNews => "  no news".to_owned(),
                Row::Is { change, .. } => format!("  {}", change.join(" or ")),
            });
            let _ = writeln!(
                text,
                "       {name}{} at {:>6} ms, router {:?}: peer {} {said}{row}",
                arrival.session,
                (arrival.event.received_at - crate::common::START) / 1000,
                arrival.event.router_time.map(|it| (it - crate::common::START) / 1000),
                arrival.peer,
            );
        }
    }
    text
}
