//! The servers of a run, and the daemons and routers of a round, with what befalls them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ribstream_testkit::{Database, OwnKafka, OwnPostgres};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    common::{self, Bed, PATIENCE},
    process::{self, Daemon, Group},
    random::Random,
    router::{Session, Stream},
    schedule::{Act, Cast, Fault, Target},
};

/// Partitions of the events topic: more than there are ingesters.
const PARTITIONS: i32 = 6;
/// How often a supervisor looks after its daemons.
const TEND: Duration = Duration::from_millis(500);
/// How often it is asked whether something holds.
const POLL: Duration = Duration::from_millis(200);
/// What collectors are told, and what ingesters: two are late, then silent.
const HEARTBEATS: &str = "1s";
const SILENCE: &str = "6s";

/// Kafka and PostgreSQL for all rounds.
pub(crate) struct Servers {
    pub(crate) kafka: OwnKafka,
    pub(crate) postgres: OwnPostgres,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let (kafka, postgres) = tokio::join!(OwnKafka::start(), OwnPostgres::start());
        Self { kafka: kafka.unwrap(), postgres: postgres.unwrap() }
    }

    /// A topic and a database of a round's own.
    pub(crate) async fn bed(&self) -> Bed {
        let kafka = self.kafka.kafka().clone();
        Bed::by_the_brokers_clock(kafka, self.database().await, PARTITIONS).await
    }

    /// The same topic, into another database.
    pub(crate) async fn beside(&self, bed: &Bed) -> Bed {
        bed.beside_in(self.database().await).await
    }

    async fn database(&self) -> Database {
        Database::fresh_on(self.postgres.url()).await.unwrap()
    }
}

/// A router, and how many sessions it has at once.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) name: String,
    pub(crate) source: Ipv4Addr,
    pub(crate) stream: Arc<Stream>,
    pub(crate) sessions: usize,
}

/// Whom faults befall.
pub(crate) struct Players {
    servers: Arc<Servers>,
    pub(crate) collectors: Vec<Daemon>,
    pub(crate) ingesters: Vec<Daemon>,
    pub(crate) sessions: Vec<Arc<Session>>,
    /// One act at a time for Kafka and for PostgreSQL: one that is paused while it is started
    /// is waited for by that start, for which its resumption waits.
    turns: [tokio::sync::Mutex<()>; 2],
    began: Instant,
    // Dropped after the daemons, which are its members.
    _group: Group,
}

/// A round's topic, database, daemons and routers.
pub(crate) struct World {
    pub(crate) bed: Bed,
    pub(crate) players: Arc<Players>,
    /// From then on routers keep their sessions.
    pub(crate) settle: CancellationToken,
    /// The routers, and a supervisor of the daemons; they never end by themselves.
    tasks: JoinSet<()>,
}

impl World {
    /// Starts as many collectors and ingesters as are cast, and the routers, whose streams
    /// take so many milliseconds; with clocks of their own by a library.
    pub(crate) async fn start(
        servers: &Arc<Servers>,
        routers: &[Router],
        cast: Cast,
        pace: (u64, u64),
        clocks: Option<PathBuf>,
        mut random: Random,
        logs: &Path,
    ) -> Self {
        std::fs::create_dir_all(logs).expect("a directory for logs");
        let bed = servers.bed().await;
        let group = Group::new(clocks);
        let addresses: Arc<[SocketAddr]> = (0..cast.collectors).map(address).collect();
        let collectors = addresses.iter().enumerate().map(|(number, address)| {
            let name = Target::Collector(number).to_string();
            let arguments = collector_arguments(&bed, number, *address);
            Daemon::start(&name, &process::collector(), arguments, &group, logs)
        });
        let ingesters = (0..cast.ingesters).map(|number| {
            // A static member has its partitions back at once, another waits to be missed.
            let instance = (random.below(2) == 0).then(|| format!("ingester-{number}"));
            let name = Target::Ingester(number).to_string();
            ingester(&name, &bed, instance.as_deref(), &group, logs)
        });
        let (collectors, ingesters) = (collectors.collect(), ingesters.collect());
        let settle = CancellationToken::new();
        let numbers =
            routers.iter().flat_map(|it| (0..it.sessions).map(move |number| (it, number)));
        let sessions: Vec<Arc<Session>> = numbers
            .map(|(router, number)| {
                Arc::new(Session {
                    source: router.source,
                    stream: Arc::clone(&router.stream),
                    // As it is with routers that speak to two for safety.
                    only: (router.sessions > 1).then_some(number),
                    pace: random.millis(pace.0, pace.1),
                    begun: AtomicU64::new(0),
                    complete: AtomicBool::new(false),
                    reconnect: Notify::new(),
                    settle: settle.clone(),
                })
            })
            .collect();
        let mut tasks = JoinSet::new();
        for session in &sessions {
            let (session, addresses) = (Arc::clone(session), Arc::clone(&addresses));
            let random = random.fork();
            tasks.spawn(async move { session.run(&addresses, random).await });
        }
        let players = Arc::new(Players {
            servers: Arc::clone(servers),
            collectors,
            ingesters,
            sessions,
            turns: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
            began: Instant::now(),
            _group: group,
        });
        let tended = Arc::clone(&players);
        tasks.spawn(async move { tended.tend().await });
        Self { bed, players, settle, tasks }
    }

    /// Has all of a schedule happen; everything runs again when this returns.
    pub(crate) async fn suffer(&mut self, schedule: &[Act]) {
        let mut acts = JoinSet::new();
        for act in schedule.iter().copied() {
            let players = Arc::clone(&self.players);
            acts.spawn(async move { players.suffer(act).await });
        }
        while let Some(done) = acts.join_next().await {
            unwrap(done);
            self.look_after();
        }
    }

    /// Waits until something holds.
    pub(crate) async fn until(&mut self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self).await {
            self.look_after();
            assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
            sleep(POLL).await;
        }
    }

    /// Fails where a daemon has ended as it should not.
    fn look_after(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            unwrap(ended);
        }
    }

    /// Ends the routers, the collectors and, when all of it is stored, the ingesters.
    pub(crate) async fn end(&mut self) {
        self.look_after();
        // With the supervisor first: what ends now is to stay down.
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        for collector in &self.players.collectors {
            assert_eq!(collector.stop(), Some(0), "{}", collector.name);
        }
    }

    /// Ends the ingesters.
    pub(crate) fn end_ingesters(&self) {
        for ingester in &self.players.ingesters {
            assert_eq!(ingester.stop(), Some(0), "{}", ingester.name);
        }
    }

    /// How often routers began their streams.
    pub(crate) fn streams(&self) -> u64 {
        self.players.sessions.iter().map(|session| session.begun.load(Ordering::SeqCst)).sum()
    }
}

impl Players {
    /// Starts daemons again that end by themselves, until aborted.
    async fn tend(&self) {
        loop {
            for daemon in self.collectors.iter().chain(&self.ingesters) {
                if let Some(said) = daemon.tend() {
                    self.say(&said);
                }
            }
            sleep(TEND).await;
        }
    }

    fn say(&self, what: &str) {
        println!("{:8.3}  {what}", self.began.elapsed().as_secs_f64());
    }

    async fn suffer(&self, act: Act) {
        sleep_until(self.began + act.at).await;
        self.say(&format!("{}: {}", act.target, act.fault));
        match act.target {
            Target::Collector(number) => suffer(&self.collectors[number], act.fault).await,
            Target::Ingester(number) => suffer(&self.ingesters[number], act.fault).await,
            Target::Session(number) => self.sessions[number].reconnect.notify_one(),
            Target::Kafka => {
                let _turn = self.turns[0].lock().await;
                let kafka = &self.servers.kafka;
                match act.fault {
                    Fault::Pause(length) => {
                        kafka.pause().await.unwrap();
                        sleep(length).await;
                        kafka.resume().await.unwrap();
                    }
                    fault => {
                        kafka.kill().await.unwrap();
                        sleep(fault.length()).await;
                        kafka.restart().await.unwrap();
                        self.say("Kafka: serves again");
                    }
                }
            }
            Target::Postgres => {
                let _turn = self.turns[1].lock().await;
                let postgres = &self.servers.postgres;
                match act.fault {
                    Fault::Pause(length) => {
                        postgres.pause().await.unwrap();
                        sleep(length).await;
                        postgres.resume().await.unwrap();
                    }
                    fault => {
                        postgres.kill().await.unwrap();
                        sleep(fault.length()).await;
                        postgres.restart().await.unwrap();
                    }
                }
            }
        }
    }
}

async fn suffer(daemon: &Daemon, fault: Fault) {
    match fault {
        Fault::Pause(length) => {
            daemon.pause();
            sleep(length).await;
            daemon.resume();
        }
        Fault::PauseAndKill(length) => {
            daemon.pause();
            sleep(length).await;
            daemon.kill();
            daemon.start_again();
        }
        Fault::Clock(seconds) => daemon.set_clock(seconds),
        Fault::Kill(_) | Fault::Reconnect => {
            daemon.kill();
            sleep(fault.length()).await;
            daemon.start_again();
        }
    }
}

fn unwrap(done: Result<(), JoinError>) {
    if let Err(error) = done {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Where a collector listens: an address that no connection goes out from, so that the port
/// is free whenever it comes back.
fn address(number: usize) -> SocketAddr {
    let last = 201 + u8::try_from(number).expect("few collectors");
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0)).expect("a free port");
    listener.local_addr().expect("it is bound")
}

fn collector_arguments(bed: &Bed, number: usize, listen: SocketAddr) -> Vec<String> {
    let (id, listen) = (format!("collector-{number}"), listen.to_string());
    let arguments = ["run", "--http", "127.0.0.1:0", "--listen", &listen, "--collector-id", &id];
    let topics = ["--topic-events", &bed.topic, "--topic-dead-letter", &bed.dead_letter];
    let rest = ["--kafka", bed.kafka.brokers(), "--heartbeat-interval", HEARTBEATS];
    // Little, so that a stop of Kafka is felt by the routers.
    let rest = rest.into_iter().chain(["--publish-buffer", "1MiB"]);
    arguments.into_iter().chain(topics).chain(rest).map(str::to_owned).collect()
}

/// Starts an ingester, as a static member of its group where it has a name there.
pub(crate) fn ingester(
    name: &str,
    bed: &Bed,
    instance: Option<&str>,
    group: &Group,
    logs: &Path,
) -> Daemon {
    let mut arguments = bed.arguments();
    let more = ["--http", "127.0.0.1:0", "--session-silence", SILENCE, "--batch-rows", "5000"];
    arguments.extend(more.map(str::to_owned));
    if let Some(instance) = instance {
        arguments.push("--kafka-property".to_owned());
        arguments.push(format!("group.instance.id={instance}"));
    }
    Daemon::start(name, common::binary().get_program().as_ref(), arguments, group, logs)
}
