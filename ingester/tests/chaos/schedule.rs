//! What is done to whom and when, worked out from the seed before a round begins.

use std::{fmt, time::Duration};

use crate::random::Random;

/// Whom a fault befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A collector, by number.
    Collector(usize),
    /// An ingester.
    Ingester(usize),
    /// The broker.
    Kafka,
    /// The database server.
    Postgres,
    /// The connection of a router's session.
    Session(usize),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collector(number) => write!(f, "collector {number}"),
            Self::Ingester(number) => write!(f, "ingester {number}"),
            Self::Kafka => write!(f, "Kafka"),
            Self::Postgres => write!(f, "PostgreSQL"),
            Self::Session(number) => write!(f, "router session {number}"),
        }
    }
}

/// What befalls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, and started again after so long.
    Kill(Duration),
    /// SIGSTOP, and SIGCONT after so long.
    Pause(Duration),
    /// SIGSTOP, after so long SIGKILL, and started again at once: what its clients have sent
    /// to it meanwhile is lost.
    PauseAndKill(Duration),
    /// The router closes the connection and connects anew.
    Reconnect,
    /// Its clock is set: so many seconds off the right time.
    Clock(i64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(down) => write!(f, "killed, back after {down:?}"),
            Self::Pause(length) => write!(f, "paused for {length:?}"),
            Self::PauseAndKill(length) => write!(f, "paused for {length:?} and killed"),
            Self::Reconnect => write!(f, "reconnects"),
            Self::Clock(seconds) => write!(f, "its clock is set to {seconds} s off"),
        }
    }
}

impl Fault {
    pub(crate) fn length(self) -> Duration {
        match self {
            Self::Kill(length) | Self::Pause(length) | Self::PauseAndKill(length) => length,
            Self::Reconnect | Self::Clock(_) => Duration::ZERO,
        }
    }
}

/// A fault, and when it happens after the beginning of its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) at: Duration,
    pub(crate) target: Target,
    pub(crate) fault: Fault,
}

/// How many there are of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    pub(crate) collectors: usize,
    pub(crate) ingesters: usize,
    pub(crate) sessions: usize,
}

/// A target that was hurt is left alone for so long after it is back.
const RESPITE: Duration = Duration::from_millis(500);

/// The faults of a round of so long, in order of time; several may last at once, of each
/// target one.
pub(crate) fn schedule(random: &mut Random, cast: Cast, length: Duration) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    let mut at = random.millis(500, 2000);
    while at < length {
        let target = target(random, cast);
        let fault = fault(random, target);
        let busy = |act: &Act| act.target == target && act.at + act.fault.length() + RESPITE > at;
        // A broker that was killed takes half a minute until it serves again, and that is enough.
        let twice = |act: &Act| {
            matches!((act.target, act.fault), (Target::Kafka, Fault::Kill(_)))
                && target == Target::Kafka
        };
        if !acts.iter().any(|act| busy(act) || twice(act)) {
            acts.push(Act { at, target, fault });
        }
        at += random.mostly_short(100, 3000);
    }
    acts
}

/// Of one collector and two ingesters: clocks that are set forward and back, and daemons that are
/// killed and sessions that begin by clocks that are wrong. In the end three are.
pub(crate) fn clocks(sessions: usize) -> Vec<Act> {
    let at =
        |seconds: f64, target, fault| Act { at: Duration::from_secs_f64(seconds), target, fault };
    let reconnect =
        |seconds, number: usize| at(seconds, Target::Session(number % sessions), Fault::Reconnect);
    let (collector, kill) = (Target::Collector(0), Fault::Kill(Duration::from_secs(1)));
    vec![
        at(1.0, collector, Fault::Clock(7200)),
        reconnect(3.0, 0),
        at(4.5, collector, Fault::Clock(0)),
        reconnect(6.0, 1),
        at(7.5, collector, Fault::Clock(-3600)),
        at(8.0, Target::Ingester(0), Fault::Clock(3600)),
        at(8.5, Target::Ingester(1), Fault::Clock(-7200)),
        reconnect(9.0, 2),
        at(11.0, collector, kill),
        at(13.0, Target::Ingester(0), kill),
        at(15.0, collector, Fault::Clock(5400)),
        reconnect(17.0, 3),
        at(19.0, Target::Ingester(1), kill),
        at(21.0, collector, Fault::Clock(-1800)),
    ]
}

fn target(random: &mut Random, cast: Cast) -> Target {
    match random.below(100) {
        0..30 => Target::Collector(random.index(cast.collectors)),
        30..60 => Target::Ingester(random.index(cast.ingesters)),
        60..72 => Target::Kafka,
        72..87 => Target::Postgres,
        _ => Target::Session(random.index(cast.sessions)),
    }
}

fn fault(random: &mut Random, target: Target) -> Fault {
    let kind = random.below(100);
    match target {
        Target::Collector(_) => match kind {
            0..45 => Fault::Kill(random.mostly_short(0, 4000)),
            45..60 => Fault::PauseAndKill(random.mostly_short(100, 4000)),
            // Some are longer than the silence after which its sessions count as ended.
            _ => Fault::Pause(random.mostly_short(50, 12_000)),
        },
        Target::Ingester(_) => match kind {
            0..45 => Fault::Kill(random.mostly_short(0, 4000)),
            // Some are longer than its membership of the consumer group lasts.
            _ => Fault::Pause(random.mostly_short(50, 12_000)),
        },
        // A pause is shorter than the broker's session with its own controller.
        Target::Kafka => match kind {
            0..30 => Fault::Kill(random.mostly_short(0, 2000)),
            _ => Fault::Pause(random.mostly_short(50, 8000)),
        },
        Target::Postgres => match kind {
            0..50 => Fault::Kill(random.mostly_short(0, 3000)),
            _ => Fault::Pause(random.mostly_short(50, 6000)),
        },
        Target::Session(_) => Fault::Reconnect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAST: Cast = Cast { collectors: 2, ingesters: 2, sessions: 5 };
    const LENGTH: Duration = Duration::from_mins(5);

    #[test]
    fn a_seed_has_always_the_same_schedule() {
        let of = |seed| schedule(&mut Random::new(seed, 1), CAST, LENGTH);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn nobody_is_hurt_twice_at_once_and_nobody_is_spared() {
        let acts = schedule(&mut Random::new(7, 1), CAST, LENGTH);
        for (index, act) in acts.iter().enumerate() {
            assert!(act.at < LENGTH);
            for later in &acts[index + 1..] {
                assert!(later.at >= act.at);
                assert!(later.target != act.target || later.at > act.at + act.fault.length());
            }
        }
        for target in [
            Target::Collector(0),
            Target::Collector(1),
            Target::Ingester(0),
            Target::Ingester(1),
            Target::Kafka,
            Target::Postgres,
            Target::Session(4),
        ] {
            assert!(acts.iter().any(|act| act.target == target), "{target}");
        }
    }
}
