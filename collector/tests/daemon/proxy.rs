//! A way to Kafka that can be cut.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How the brokers of the tests name their host.
const HOSTS: [&[u8]; 2] = [b"127.0.0.1", b"localhost"];

/// Stands between clients and one broker, in whose place it has itself named.
pub(crate) struct Proxy {
    address: SocketAddr,
    /// How often it was cut.
    cuts: Arc<watch::Sender<usize>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(broker: &str) -> Self {
        let broker: SocketAddr = broker.replace("localhost", "127.0.0.1").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(watch::Sender::new(0));
        let cut = Arc::clone(&cuts);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut cut = cut.subscribe();
                tokio::spawn(async move {
                    let server = TcpStream::connect(broker).await?;
                    // Owned out here, so that a cut closes neither connection.
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    let requests = copy(&mut from_client, &mut to_server);
                    let answers = answers(&mut from_server, &mut to_client, broker, address);
                    let _ = tokio::select! {
                        done = requests => done.map(drop),
                        done = answers => done,
                        _ = cut.changed() => std::future::pending().await,
                    };
                    io::Result::Ok(())
                });
            }
        });
        Self { address, cuts, task }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Whoever is connected hears nothing any more, and is not told. New connections work.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes answers on, with the broker's port where they name it replaced by our own.
async fn answers(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    broker: SocketAddr,
    own: SocketAddr,
) -> io::Result<()> {
    loop {
        let length = from.read_u32().await?;
        let mut answer = vec![0; length.try_into().unwrap()];
        from.read_exact(&mut answer).await?;
        for host in HOSTS {
            let theirs = [host, &u32::from(broker.port()).to_be_bytes()].concat();
            let ours = [host, &u32::from(own.port()).to_be_bytes()].concat();
            for at in 0..(answer.len() + 1).saturating_sub(theirs.len()) {
                if answer[at..].starts_with(&theirs) {
                    answer[at..at + ours.len()].copy_from_slice(&ours);
                }
            }
        }
        to.write_u32(length).await?;
        to.write_all(&answer).await?;
    }
}
