//! TCP-AO: who has a key, who has another, who has none, and who changes his.
//!
//! On a kernel without TCP-AO the same tests see that the collector refuses to start.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use ribstream_collector::tcp_auth::{InUse, ask_for, in_use};

use crate::{
    daemon::{INITIATION, wait_for},
    keys::{Key, collector, is_connected_to, is_kept, is_not_answered, router, signing, works},
};

/// Whether this kernel has TCP-AO. Where it has not, the collector must say so and end.
fn is_there(key: &Key) -> bool {
    let Err(error) = key.read("127.0.0.1").try_out() else { return true };
    let words = "this kernel has no TCP-AO, which takes Linux 6.7 built with CONFIG_TCP_AO";
    // ENOPROTOOPT: whatever else is wrong is not for want of it.
    assert!(error.to_string().contains("(os error 92)"), "{error}");
    for (listen, connect) in [("127.0.0.1:0", None), ("off", Some("127.0.0.1:1"))] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ribstream-collector"));
        command.args(["run", "--stdout", "--http", "127.0.0.1:0", "--listen", listen]);
        command.args(connect.map(|router| format!("--connect={router}")));
        let ended = command.args(key.of("192.0.2.0/24")).stdin(Stdio::null()).output().unwrap();
        assert!(!ended.status.success());
        let text = String::from_utf8(ended.stderr).unwrap();
        let about = "error: cannot set the TCP-AO key of 192.0.2.0/24 with SEND-ID 1";
        assert!(text.starts_with(about) && text.contains(words), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    eprintln!("refused, since this kernel has no TCP-AO");
    false
}

/// What this host has counted under a name of `TcpExt`.
fn counted(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, counts) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split(' ').position(|found| found == name).unwrap();
    counts.split(' ').nth(at).unwrap().parse().unwrap()
}

#[test]
fn who_has_no_key_of_his_network_does_not_reach_the_port() {
    let keys = Key::ao("keys", "1 11 hmac-sha-1-96 a-secret\n2 12 aes-128-cmac-96 two-secret\n");
    if !is_there(&keys) {
        return;
    }
    // The router's IDs are the other way round.
    let first = Key::ao("first", "11 1 hmac-sha-1-96 a-secret");
    let second = Key::ao("second", "12 2 aes-128-cmac-96 two-secret");
    let third = Key::ao("third", "13 3 hmac-sha256-128 three-secret");
    let false_secret = Key::ao("false-secret", "11 1 hmac-sha-1-96 another");
    let false_algorithm = Key::ao("false-algorithm", "11 1 aes-128-cmac-96 a-secret");
    let unknown = Key::ao("unknown", "19 9 hmac-sha-1-96 a-secret");
    let md5 = Key::md5("in-its-place", "a-secret");
    let third_of_ours = Key::ao("ours", "3 13 hmac-sha256-128 three-secret");
    let networks = [
        keys.of("127.0.1.0/24"),
        keys.of("::1"),
        third_of_ours.of("127.0.3.1"),
        md5.of("127.0.4.1"),
    ];
    let (daemon, v4, v6) = collector(&networks, &[]);

    for (source, collector) in [("127.0.1.2", v4), ("::1", v6)] {
        for (counter, socket) in [
            ("TCPAORequired", router(source)),
            ("TCPAOBad", signing(source, &false_secret, collector)),
            ("TCPAOBad", signing(source, &false_algorithm, collector)),
            ("TCPAOKeyNotFound", signing(source, &unknown, collector)),
            ("TCPMD5Unexpected", signing(source, &md5, collector)),
        ] {
            let before = counted(counter);
            is_not_answered(socket, collector);
            assert!(counted(counter) > before, "{counter}");
        }
        assert!(daemon.events(source).is_empty());
        works(signing(source, &first, collector), collector, &daemon, source);
        works(signing(source, &second, collector), collector, &daemon, source);
    }
    let good = counted("TCPAOGood");
    works(signing("127.0.3.1", &third, v4), v4, &daemon, "127.0.3.1");
    assert!(counted("TCPAOGood") > good);
    // TCP MD5 stands beside it, and who has no key needs none.
    works(signing("127.0.4.1", &md5, v4), v4, &daemon, "127.0.4.1");
    works(router("127.0.2.1"), v4, &daemon, "127.0.2.1");
    is_kept("secret", &daemon);
    assert!(daemon.stop().success());
}

#[test]
fn a_router_changes_its_key_within_its_session() {
    let keys = Key::ao("both", "1 11 hmac-sha-1-96 old-secret\n2 12 hmac-sha-1-96 new-secret\n");
    if !is_there(&keys) {
        return;
    }
    let theirs = Key::ao("theirs", "11 1 hmac-sha-1-96 old-secret\n12 2 hmac-sha-1-96 new-secret");
    let networks = [keys.of("127.0.5.0/24")];
    let (daemon, v4, _) = collector(&networks, &["--heartbeat-interval", "100ms"]);
    let mut stream = works(signing("127.0.5.1", &theirs, v4), v4, &daemon, "127.0.5.1");
    // It begins with its file's first.
    assert_eq!(in_use(&stream).unwrap(), InUse { send: 11, receive: 1 });
    // From now on it wants to be answered with the second.
    ask_for(&stream, 2).unwrap();
    stream.write_all(INITIATION).unwrap();
    let line = daemon.line("the router has changed its TCP-AO key");
    assert!(line.contains("key=2"), "{line}");
    // And is asked itself to use it, which it does as soon as it hears of it.
    wait_for("the other key", || {
        stream.write_all(INITIATION).unwrap();
        sleep(Duration::from_millis(50));
        (in_use(&stream).unwrap() == InUse { send: 12, receive: 2 }).then_some(())
    });
    stream.write_all(INITIATION).unwrap();
    assert_eq!(daemon.metric("sessions_opened_total"), Some(1.0));
    assert_eq!(daemon.metric("sessions"), Some(1.0));
    is_kept("secret", &daemon);
    assert!(daemon.stop().success());
}

#[test]
fn a_router_that_listens_is_connected_to_with_its_keys() {
    let ours = Key::ao("active", "1 11 hmac-sha-1-96 a-secret\n2 12 hmac-sha-1-96 later-secret\n");
    if !is_there(&ours) {
        return;
    }
    // It has the first alone, which the collector begins with.
    let theirs = Key::ao("listening", "11 1 hmac-sha-1-96 a-secret");
    let socket = router("127.0.0.3");
    theirs.read("127.0.0.0/8").set_on(&socket).unwrap();
    is_connected_to(&socket, &ours.of("127.0.0.3"));
    // One without keys is connected to beside others that have some.
    is_connected_to(&router("127.0.0.4"), &ours.of("192.0.2.0/24"));
}
