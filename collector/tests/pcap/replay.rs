//! Packet captures played into a collector.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ribstream_collector::{config::ReplayOptions, frame::next_frame, replay};
use ribstream_testkit::captures::capture;

use crate::{
    MAX_MESSAGE,
    build::{ETHERNET, Sender, ethernet, pcap, pcapng},
    segments, stream,
};

/// What arrives in each of `count` connections, in the order in which they are made.
fn listen(count: usize) -> (SocketAddr, thread::JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = thread::spawn(move || {
        let read = |_| {
            let (mut connection, _) = listener.accept().unwrap();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                connection.read_to_end(&mut bytes).unwrap();
                bytes
            })
        };
        let readers: Vec<_> = (0..count).map(read).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    (address, heard)
}

fn options(file: &Path, address: SocketAddr) -> ReplayOptions {
    ReplayOptions {
        hold: None,
        file: file.to_owned(),
        address: address.to_string(),
        rate: None,
        port: Vec::new(),
        source: None,
        repeat: 1,
    }
}

/// The first messages of a capture of a real router, or made ones where it is not here.
fn beginning(name: &str, count: usize) -> Vec<u8> {
    let Some(bytes) = capture(name) else { return stream(name, count) };
    let mut end = 0;
    for _ in 0..count {
        end += next_frame(&bytes[end..], MAX_MESSAGE).unwrap().unwrap();
    }
    bytes[..end].to_vec()
}

#[tokio::test]
async fn each_session_of_a_packet_capture_is_played_byte_for_byte_in_a_connection_of_its_own() {
    let streams = [beginning("frr10-unicast", 50), beginning("gobgp336-multi", 50)];
    let senders =
        ["192.0.2.1:40000", "192.0.2.2:40000"].map(|from| Sender::new(from, "192.0.2.9:11019"));
    let mut packets: Vec<Vec<u8>> = senders.iter().map(Sender::syn).collect();
    let [one, two] = [0, 1].map(|n| segments(&senders[n], &streams[n], 300));
    let (mut one, mut two) = (one.into_iter(), two.into_iter());
    loop {
        let before = packets.len();
        packets.extend(one.next());
        packets.extend(two.next());
        if packets.len() == before {
            break;
        }
    }
    let frames: Vec<Vec<u8>> = packets.iter().map(|packet| ethernet(&[], packet)).collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("capture");
    for capture in [pcap(ETHERNET, true, false, &frames), pcapng(ETHERNET, true, &frames)] {
        std::fs::write(&file, capture).unwrap();
        let (address, heard) = listen(streams.len());
        let played = replay::replay(&options(&file, address)).await.unwrap();
        let heard = heard.join().unwrap();
        assert!(heard == streams, "what arrives is not what was sent");
        assert_eq!(played.messages, 100);
        assert_eq!(played.bytes, streams.iter().map(|stream| stream.len() as u64).sum::<u64>());
        played.problems.into_result().unwrap();
    }
}

#[tokio::test]
async fn a_session_that_is_to_be_held_stays_open_when_all_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stream");
    let bytes = stream("held", 3);
    std::fs::write(&file, &bytes).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = Duration::from_millis(700);
    let options =
        ReplayOptions { hold: Some(held), ..options(&file, listener.local_addr().unwrap()) };
    let playing = tokio::spawn(async move { replay::replay(&options).await });
    let closed = tokio::task::spawn_blocking(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut heard = vec![0; bytes.len()];
        connection.read_exact(&mut heard).unwrap();
        assert!(heard == bytes, "what arrives is not what was sent");
        let all = Instant::now();
        assert_eq!(connection.read(&mut heard).unwrap(), 0);
        all.elapsed()
    });
    assert!(closed.await.unwrap() > held / 2);
    playing.await.unwrap().unwrap();
}
