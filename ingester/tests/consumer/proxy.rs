//! The way to the database, cut at a COMMIT.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Where the way is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The COMMIT does not arrive.
    Request,
    /// The database has committed, and its answer does not arrive.
    Answer,
}

/// A port that leads to the database.
pub(crate) struct Proxy {
    url: String,
    next: Arc<Mutex<Option<Cut>>>,
}

impl Proxy {
    /// Leads to the database of a URL.
    pub(crate) async fn to(url: &str) -> Self {
        let begin = url.rfind('@').map_or_else(|| url.find("://").unwrap() + 3, |at| at + 1);
        let end = begin + url[begin..].find('/').unwrap();
        let server: SocketAddr = url[begin..end].parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let next = Arc::new(Mutex::new(None));
        let cuts = next.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Either side may go away at any time.
                tokio::spawn(lead(client, server, cuts.clone()));
            }
        });
        Self { url: format!("{}{address}{}", &url[..begin], &url[end..]), next }
    }

    /// The database's URL by this way.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts the next COMMIT.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.next.lock().unwrap() = Some(cut);
    }

    /// Whether the latest cut was made.
    pub(crate) fn is_cut(&self) -> bool {
        self.next.lock().unwrap().is_none()
    }
}

/// A connection, until it ends or is cut.
async fn lead(
    mut client: TcpStream,
    server: SocketAddr,
    next: Arc<Mutex<Option<Cut>>>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut said, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut said) => {
                let said = &said[..read?];
                if said.is_empty() {
                    return Ok(());
                }
                let cut = if is_commit(said) { next.lock().unwrap().take() } else { None };
                if cut == Some(Cut::Request) {
                    return Ok(());
                }
                server.write_all(said).await?;
                if cut == Some(Cut::Answer) {
                    server.read_exact(&mut answered[..1]).await?;
                    return Ok(());
                }
            }
            read = server.read(&mut answered) => {
                let answered = &answered[..read?];
                if answered.is_empty() {
                    return Ok(());
                }
                client.write_all(answered).await?;
            }
        }
    }
}

/// Whether this is the simple query COMMIT, and nothing else.
fn is_commit(said: &[u8]) -> bool {
    said == b"Q\0\0\0\x0bCOMMIT\0"
}
