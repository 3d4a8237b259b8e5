//! A way to Kafka that can be cut, and that can lie.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How the brokers of the tests name their host.
const HOSTS: [&[u8]; 2] = [b"127.0.0.1", b"localhost"];
/// Kafka's number of the request.
const METADATA: [u8; 2] = [0, 3];

/// Stands between clients and one broker, in whose place it has itself named.
pub(crate) struct Proxy {
    way: Arc<Way>,
    task: JoinHandle<()>,
}

struct Way {
    broker: SocketAddr,
    own: SocketAddr,
    /// How often it was cut.
    cuts: watch::Sender<usize>,
    /// The next metadata answer is to name no broker.
    hides_broker: AtomicBool,
}

impl Proxy {
    pub(crate) async fn start(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Arc::new(Way {
            broker: broker.replace("localhost", "127.0.0.1").parse().unwrap(),
            own: listener.local_addr().unwrap(),
            cuts: watch::Sender::new(0),
            hides_broker: AtomicBool::new(false),
        });
        let shared = Arc::clone(&way);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let way = Arc::clone(&shared);
                let cut = way.cuts.subscribe();
                tokio::spawn(async move { way.connect(client, cut).await });
            }
        });
        Self { way, task }
    }

    pub(crate) fn address(&self) -> String {
        self.way.own.to_string()
    }

    /// Whoever is connected hears nothing any more, and is not told. New connections work.
    pub(crate) fn cut(&self) {
        self.way.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The next metadata answer names topics and no broker, as that of a broker does which
    /// has fenced itself.
    pub(crate) fn hide_broker_once(&self) {
        self.way.hides_broker.store(true, Ordering::SeqCst);
    }

    /// Whether there has been such an answer.
    pub(crate) fn has_hidden_broker(&self) -> bool {
        !self.way.hides_broker.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Way {
    async fn connect(&self, client: TcpStream, mut cut: watch::Receiver<usize>) -> io::Result<()> {
        let server = TcpStream::connect(self.broker).await?;
        // Owned out here, so that a cut closes neither connection.
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let metadata = Mutex::default();
        tokio::select! {
            done = requests(&mut from_client, &mut to_server, &metadata) => done,
            done = self.answers(&mut from_server, &mut to_client, &metadata) => done,
            // Both ends are still there, and nothing comes through.
            _ = cut.changed() => std::future::pending().await,
        }
    }

    /// Passes answers on, with the broker's port where they name it replaced by our own.
    async fn answers(
        &self,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        metadata: &Mutex<HashSet<[u8; 4]>>,
    ) -> io::Result<()> {
        loop {
            let mut answer = read(from).await?;
            for host in HOSTS {
                let theirs = [host, &u32::from(self.broker.port()).to_be_bytes()].concat();
                let ours = [host, &u32::from(self.own.port()).to_be_bytes()].concat();
                for at in 0..(answer.len() + 1).saturating_sub(theirs.len()) {
                    if answer[at..].starts_with(&theirs) {
                        answer[at..at + ours.len()].copy_from_slice(&ours);
                    }
                }
            }
            let is_metadata = metadata.lock().unwrap().remove(&answer[..4]);
            if is_metadata && self.hides_broker.swap(false, Ordering::SeqCst) {
                answer = without_broker(&answer);
            }
            write(to, &answer).await?;
        }
    }
}

/// Passes requests on, and notes the correlation ids of those for metadata of which
/// [`without_broker`] understands the answer.
async fn requests(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    metadata: &Mutex<HashSet<[u8; 4]>>,
) -> io::Result<()> {
    loop {
        let request = read(from).await?;
        if request.starts_with(&METADATA) && request[3] >= 9 {
            metadata.lock().unwrap().insert([request[4], request[5], request[6], request[7]]);
        }
        write(to, &request).await?;
    }
}

async fn read(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut frame = vec![0; length.try_into().unwrap()];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    to.write_u32(frame.len().try_into().unwrap()).await?;
    to.write_all(frame).await
}

/// A metadata answer of version 9 or later, with an empty list in place of one broker.
fn without_broker(answer: &[u8]) -> Vec<u8> {
    // Correlation id, tags, throttle time.
    let (before, rest) = answer.split_at(4 + 1 + 4);
    let (count, broker) = rest.split_first().unwrap();
    assert_eq!(*count, 2, "one broker, counted from one");
    // Node id, host, port, rack, tags: each length is one octet, and one too large.
    let host = usize::from(broker[4]) - 1;
    let rack = usize::from(broker[4 + 1 + host + 4]).saturating_sub(1);
    let after = &broker[4 + 1 + host + 4 + 1 + rack + 1..];
    [before, &[1], after].concat()
}
