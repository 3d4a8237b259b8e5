//! TCP MD5 signatures: who has the key, who has another, and who has none.

use crate::keys::{
    Key, collector, is_connected_to, is_kept, is_not_answered, router, signing, works,
};

/// Whether this kernel has TCP MD5 at all.
fn is_there(key: &Key) -> bool {
    let tried = key.read("127.0.0.1").try_out();
    if let Err(error) = &tried {
        eprintln!("not tested: {error}");
    }
    tried.is_ok()
}

#[test]
fn who_has_not_the_key_of_his_network_does_not_reach_the_port() {
    let (key, other) = (Key::md5("right", "a secret\n"), Key::md5("wrong", "another"));
    if !is_there(&key) {
        return;
    }
    let keys = [key.of("127.0.1.0/24"), other.of("127.0.1.9"), key.of("::1")];
    let (daemon, v4, v6) = collector(&keys, &[]);

    for (source, collector) in [("127.0.1.2", v4), ("::1", v6)] {
        is_not_answered(router(source), collector);
        is_not_answered(signing(source, &other, collector), collector);
        works(signing(source, &key, collector), collector, &daemon, source);
    }
    // The narrower network's key counts, and who has none needs none.
    works(signing("127.0.1.9", &other, v4), v4, &daemon, "127.0.1.9");
    works(router("127.0.2.1"), v4, &daemon, "127.0.2.1");
    is_kept("secret", &daemon);
    assert!(daemon.stop().success());
}

#[test]
fn a_router_that_listens_is_connected_to_with_its_key() {
    let key = Key::md5("active", "a secret");
    if !is_there(&key) {
        return;
    }
    let socket = router("127.0.0.2");
    key.read("127.0.0.0/8").set_on(&socket).unwrap();
    is_connected_to(&socket, &key.of("127.0.0.2"));
}
