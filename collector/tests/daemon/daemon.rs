//! The real binary without Kafka, which prints its events: what attacks its port.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// Longer than anything here takes on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

/// Initiation with the sysName "r".
pub(crate) const INITIATION: &[u8] = &[3, 0, 0, 0, 11, 4, 0, 2, 0, 1, b'r'];

/// A running collector.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
    http: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Daemon {
    /// Starts one, and waits until it listens.
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_ribstream-collector")), more)
    }

    /// Starts one by a command that takes its arguments.
    pub(crate) fn start_by(mut command: Command, more: &[&str]) -> Self {
        let http = free_address();
        let http_text = http.to_string();
        command.args(["run", "--stdout", "--http", &http_text]).args(more);
        if !more.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (log, events) = (Arc::default(), Arc::default());
        collect(child.stderr.take().unwrap(), &log, |line| line);
        collect(child.stdout.take().unwrap(), &events, |line| serde_json::from_str(&line).unwrap());
        let mut daemon = Self { child, address: http, http, log, events };
        if !more.contains(&"off") {
            daemon.address = daemon.listens("plain");
        }
        daemon
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens in the clear ("plain") or by TLS ("tls").
    pub(crate) fn listens(&self, transport: &str) -> SocketAddr {
        let words = "listening for routers";
        let transport = format!("transport=\"{transport}\"");
        let line = wait_for(&transport, || {
            self.log().into_iter().find(|line| line.contains(words) && line.contains(&transport))
        });
        let word = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
        word.unwrap().parse().unwrap()
    }

    /// A connection from an address of the loopback network.
    pub(crate) fn connect_from(&self, source: &str) -> TcpStream {
        connect_from(source, self.address)
    }

    /// A connection that has sent its first message, as a router's.
    pub(crate) fn router(&self, source: &str) -> TcpStream {
        let mut stream = self.connect_from(source);
        stream.write_all(INITIATION).unwrap();
        stream
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The log's first line that has the words, once it is there.
    pub(crate) fn line(&self, words: &str) -> String {
        wait_for(words, || self.log().into_iter().find(|line| line.contains(words)))
    }

    /// The events so far of a router, by its identity.
    pub(crate) fn events(&self, router: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event["router"] == router).cloned().collect()
    }

    /// Waits for an event of a router that has such a body.
    pub(crate) fn event(&self, router: &str, body: &str) -> Value {
        wait_for(router, || self.events(router).into_iter().find(|event| event.get(body).is_some()))
    }

    /// Where it serves a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Head and body of what is served at a path to a client that accepts this.
    pub(crate) fn get(&self, path: &str, accept: &str) -> (String, String) {
        self.try_get(path, accept).unwrap()
    }

    fn try_get(&self, path: &str, accept: &str) -> Option<(String, String)> {
        let mut stream = TcpStream::connect(self.http).ok()?;
        let headers = format!("host: test\r\naccept: {accept}\r\nconnection: close");
        write!(stream, "GET {path} HTTP/1.1\r\n{headers}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.to_owned(), body.to_owned()))
    }

    /// A series of `/metrics` as it stands there, labels included.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let (_, answer) = self.try_get("/metrics", "*/*")?;
        let series = format!("ribstream_collector_{series} ");
        answer.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
    }

    /// Waits until so many bytes of whole messages were received.
    pub(crate) fn receives(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap().into();
        self.metric_reaches("received_bytes_total", bytes);
    }

    pub(crate) fn metric_reaches(&self, series: &str, value: f64) {
        wait_for(series, || self.metric(series).filter(|now| *now >= value));
    }

    /// Waits until so many connections were refused for the reason.
    pub(crate) fn refuses(&self, reason: &str, count: f64) {
        let series = format!("connections_refused_total{{reason=\"{reason}\"}}");
        self.metric_reaches(&series, count);
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Stops the daemon in order.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has gone already where a test has stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps what is read, line by line.
fn collect<T: Send + 'static>(
    from: impl Read + Send + 'static,
    into: &Arc<Mutex<Vec<T>>>,
    make: impl Fn(String) -> T + Send + 'static,
) {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().unwrap().push(make(line));
        }
    });
}

/// Waits until there is something.
pub(crate) fn wait_for<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} does not come");
        sleep(Duration::from_millis(20));
    }
}

/// An address of this host that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A connection from an address of the loopback network.
pub(crate) fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Waits for the collector to close the connection.
pub(crate) fn is_closed(stream: &mut TcpStream) {
    let read = stream.read(&mut [0; 1]);
    match read {
        Ok(0) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        other => panic!("{other:?} is no end"),
    }
}
