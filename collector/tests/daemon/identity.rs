//! Routers that share an address.

use std::{io::Write, net::TcpStream};

use crate::daemon::{Daemon, wait_for};

/// An Initiation with a sysName.
pub(crate) fn initiation(sys_name: &[u8]) -> Vec<u8> {
    let tlv = [&[0, 2][..], &u16::try_from(sys_name.len()).unwrap().to_be_bytes(), sys_name];
    let tlv = tlv.concat();
    let length = u32::try_from(6 + tlv.len()).unwrap().to_be_bytes();
    [&[3][..], &length, &[4], &tlv].concat()
}

fn router(daemon: &Daemon, sys_name: &[u8]) -> TcpStream {
    let mut stream = daemon.connect_from("127.0.0.2");
    stream.write_all(&initiation(sys_name)).unwrap();
    stream
}

#[test]
fn routers_behind_one_address_are_told_apart_by_their_sys_names() {
    for (identity, first, second) in
        [("sysname", "edge1", "edge2"), ("address+sysname", "127.0.0.2+edge1", "127.0.0.2+edge2")]
    {
        let daemon = Daemon::start(&["--router-identity", identity]);
        let one = router(&daemon, b"edge1");
        daemon.event(first, "router_up");
        let two = router(&daemon, b"edge2");
        let up = daemon.event(second, "router_up");
        assert_eq!(up["router_address"], "127.0.0.2", "{up}");
        daemon.line("two sysNames behind one address");
        assert_eq!(daemon.metric("shared_addresses"), Some(1.0));
        drop((one, two));
        for router in [first, second] {
            let events = wait_for(router, || {
                let events = daemon.events(router);
                (events.last()?.get("router_down").is_some()).then_some(events)
            });
            assert_eq!(events.len(), 2, "{events:?}");
        }
        assert!(daemon.events("127.0.0.2").is_empty());
    }
}

#[test]
fn two_names_behind_one_address_are_told_of_though_they_are_one_router() {
    let daemon = Daemon::start(&[]);
    let one = router(&daemon, b"edge1");
    let again = router(&daemon, b"edge1");
    wait_for("two sessions", || (daemon.events("127.0.0.2").len() == 2).then_some(()));
    assert_eq!(daemon.metric("shared_addresses"), Some(0.0));
    let two = router(&daemon, b"edge2");
    let line = daemon.line("two sysNames behind one address are taken for one router");
    for word in ["WARN", "router=127.0.0.2", "edge1", "edge2", "--router-identity"] {
        assert!(line.contains(word), "{line}");
    }
    wait_for("the gauge", || (daemon.metric("shared_addresses") == Some(1.0)).then_some(()));
    drop(two);
    wait_for("the gauge", || (daemon.metric("shared_addresses") == Some(0.0)).then_some(()));
    drop((one, again));
}

#[test]
fn a_name_that_breaks_lines_and_labels_is_shown_escaped() {
    let daemon = Daemon::start(&["--router-identity", "sysname"]);
    let _router = router(&daemon, b"edge\n\x1b[31m\0\xff'; drop table routers");
    let identity = "edge\u{fffd}\u{fffd}[31m\u{fffd}\u{fffd}'; drop table routers";
    let up = daemon.event(identity, "router_up");
    // As sent, but for what is no UTF-8.
    assert_eq!(
        up["router_up"]["sys_name"], "edge\n\u{1b}[31m\0\u{fffd}'; drop table routers",
        "{up}"
    );
    let line = daemon.line("session opened");
    assert!(line.contains("drop table routers"), "{line}");
    assert!(!line.contains('\u{1b}'), "{line:?}");
}

#[test]
fn a_router_without_a_name_is_its_address() {
    let daemon = Daemon::start(&["--router-identity", "sysname"]);
    let mut stream = daemon.connect_from("127.0.0.2");
    // A message that is no Initiation, then one: the identity is fixed by then.
    stream.write_all(&[&[3, 0, 0, 0, 7, 200, 0][..], &initiation(b"late")].concat()).unwrap();
    wait_for("the Initiation", || {
        let ups = daemon.events("127.0.0.2");
        (ups.iter().filter(|event| event.get("router_up").is_some()).count() == 2).then_some(())
    });
    assert!(daemon.events("late").is_empty());
}
