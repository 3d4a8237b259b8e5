//! Messages that real routers sent in `make interop`, byte for byte.

mod support;

use support::{Heard, exabgp::octets};

fn heard(message: &str) -> Heard {
    let message = octets(message).unwrap();
    let heard = Heard::of([&message]);
    assert!(heard.dead.is_empty());
    heard
}

/// FRR 8.4.4, `bmp monitor ipv4 vpn pre-policy`: the three octets of the label are zero, the
/// bottom of stack not marked, and no second label follows.
#[test]
fn a_vpn_route_with_zeros_in_place_of_its_label_has_no_label() {
    let update = &heard(concat!(
        "030000008e00000000000000000000000000000000000000000000007f00002a0000fdeac00002026b0606fa",
        "000757d5ffffffffffffffffffffffffffffffff005e0200000047400101025002000a02020000fdeb0000fd",
        "ea80040400000007c010080002fdea000000c8900e001f0001800c0000000000000000c00002020068000000",
        "0000fdea000000640a01"
    ))
    .updates()[0];
    let routes = &update.announced[0];
    assert_eq!(routes.next_hop.as_ref(), [192, 0, 2, 2]);
    let route = &routes.prefixes[0];
    assert_eq!(route.prefix.as_ref().unwrap().length, 16);
    assert_eq!(route.route_distinguisher.as_ref(), [0, 0, 0xfd, 0xea, 0, 0, 0, 100]);
    assert!(route.labels.is_empty());
}

/// FRR 8.4.4, `bmp monitor l2vpn evpn pre-policy`: IP prefix 2001:db8:77::/64, whose segment,
/// gateway and label are zeros whatever was received.
#[test]
fn an_evpn_ip_prefix_of_nothing_but_zeros_beside_its_prefix_is_a_route() {
    let update = &heard(concat!(
        "03000000ad00000000000000000000000000000000000000000000007f00002a0000fdeac00002026b0606fb",
        "000757d5ffffffffffffffffffffffffffffffff007d0200000066400101025002000a02020000fdeb0000fd",
        "eac010080002fdea00000190900e004500194604c000020200053a0000fdea00000005000000000000000000",
        "00000000004020010db800770000000000000000000000000000000000000000000000000000000000"
    ))
    .updates()[0];
    let route = &update.announced[0].evpn[0];
    assert_eq!(route.route_type, 5);
    assert_eq!(route.prefix.as_ref().unwrap().length, 64);
    assert_eq!(route.ethernet_tag, Some(0));
    assert!(route.gateway.is_empty());
    assert_eq!(route.labels, [0]);
}
