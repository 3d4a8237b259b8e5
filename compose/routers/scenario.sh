# shellcheck shell=bash
# What the routers' command lines are told, checkpoint by checkpoint. Sourced by compose/interop;
# from_families, from_paths, frr and frr_bgp are in compose/lib/routers.sh.
# Next hops are given, since each router's own would be an address of loopback, which others
# refuse.

v4='nexthop 192.0.2.2'
v6='nexthop 2001:db8::2'

announce() {
    # shellcheck disable=SC2086 # a next hop is two words
    {
        from_families add -a ipv4 198.51.100.0/24 med 10 community 65002:1,65002:2 origin igp $v4
        from_families add -a ipv4 198.51.101.0/24 med 11 community no-export origin egp $v4 \
            aspath '65010 65011 {65012,65013}'
        from_families add -a ipv4 198.51.102.0/25 large-community 65002:1:1,4200000000:2:3 $v4 \
            aspath '4200000001 65010'
        from_families add -a ipv4 198.51.103.0/24 community 65002:666 $v4
        from_families add -a ipv4 198.51.104.0/24 med 0 $v4
        from_families add -a ipv4 0.0.0.0/0 $v4
        from_families add -a ipv4 203.0.113.7/32 $v4
        from_families add -a ipv6 2001:db8:1::/48 med 5 community 65002:6 $v6
        from_families add -a ipv6 2001:db8:2::/64 large-community 1:2:3 $v6
        from_families add -a ipv6 ::/0 $v6
        from_families add -a ipv4-mpls 192.0.2.0/25 100 med 3 $v4
        from_families add -a ipv4-mpls 192.0.2.128/25 100/200 $v4
        from_families add -a ipv6-mpls 2001:db8:9::/48 300 $v6
        from_families add -a vpnv4 10.1.0.0/16 label 10 rd 65002:100 rt 65002:200 med 7 $v4
        from_families add -a vpnv4 10.1.0.0/16 label 11 rd 10.0.0.2:100 rt 65002:200 $v4
        from_families add -a vpnv4 10.2.0.0/16 label 12 rd 64086.59904:5 rt 65002:201 $v4
        from_families add -a vpnv6 2001:db8:a::/48 label 13 rd 65002:100 rt 65002:200 $v6
        from_families add -a vpnv6 2001:db8:b::/48 label 14 rd 65002:100 rt 65002:200 $v6
        from_families add -a evpn a-d esi LACP aa:bb:cc:dd:ee:ff 100 etag 200 label 300 \
            rd 10.0.0.2:1 rt 65002:200 encap mpls esi-label 400 $v4
        from_families add -a evpn macadv aa:bb:cc:00:00:01 10.9.0.1 esi AS 65002 100 etag 20 \
            label 300 rd 65002:1 rt 65002:400 encap vxlan $v4
        from_families add -a evpn macadv aa:bb:cc:00:00:02 0.0.0.0 etag 0 label 301,302 \
            rd 65002:1 rt 65002:400 $v4
        from_families add -a evpn macadv aa:bb:cc:00:00:03 2001:db8::77 etag 0 label 4800 \
            rd 65002:1 rt 65002:400 router-mac e9:72:d7:aa:1f:b4 $v4
        from_families add -a evpn multicast 10.0.0.2 etag 100 rd 65002:1 rt 65002:400 encap vxlan \
            pmsi ingress-repl 100 10.0.0.2 $v4
        from_families add -a evpn esi 10.0.0.2 esi MAC aa:bb:cc:dd:ee:ff 100 rd 10.0.0.2:1 \
            rt 65002:400 $v4
        from_families add -a evpn prefix 10.77.0.0/24 gw 172.16.0.1 etag 200 label 304 \
            rd 65002:5 rt 65002:400 encap vxlan router-mac 02:00:00:00:00:02 $v4
        from_families add -a evpn prefix 2001:db8:77::/64 etag 0 label 305 rd 65002:5 rt 65002:400 $v4
        from_families add -a ipv4-mup t1st 192.168.0.1/32 rd 100:100 rt 10:10 teid 12345 qfi 9 \
            endpoint 10.0.0.1 $v4
    }
    from_families add -a ipv4-flowspec match destination 10.0.0.0/24 source 10.1.0.0/30 \
        protocol tcp destination-port '==80' '==443' 'then' rate-limit 10000
    from_families add -a ipv4-flowspec match destination 10.5.0.0/24 port '>=1000&<=2000' \
        tcp-flags '=S' fragment is-fragment dscp 10 packet-length '>100' 'then' discard
    from_families add -a ipv4-flowspec match source 10.6.0.0/24 icmp-type 8 icmp-code 0 \
        'then' redirect 65002:7
    from_families add -a ipv6-flowspec match destination 2001:db8:5::/64 0 protocol udp 'then' discard
    from_families add -a ipv4-l3vpn-flowspec rd 65002:1 match destination 10.0.0.0/24 \
        'then' discard rt 65002:1
    # Each route target that a VRF imports becomes a route of RFC 4684.
    gobgp -p "$families_api" vrf add red rd 65002:9 rt both 65002:9 import 10.0.0.2:10

    # Two paths of a prefix, and a third from the other peer.
    from_paths add -a ipv4 198.51.100.0/24 med 30 local-pref 120 identifier 1 nexthop 192.0.2.34
    from_paths add -a ipv4 198.51.100.0/24 med 31 local-pref 130 identifier 2 nexthop 192.0.2.35
    from_paths add -a ipv4 198.51.110.0/24 nexthop 192.0.2.34
    from_paths add -a ipv6 2001:db8:3::/48 identifier 3 nexthop 2001:db8::4
    from_paths add -a ipv6 2001:db8:3::/48 identifier 4 nexthop 2001:db8::5

    frr_bgp 'ipv4 unicast' 'network 198.51.120.0/24' 'network 198.51.121.0/24'
    frr_bgp 'ipv6 unicast' 'network 2001:db8:33::/48'
    frr_bgp 'ipv4 vpn' 'network 10.33.0.0/16 rd 65003:1 label 33'
    frr_bgp 'ipv6 vpn' 'network 2001:db8:34::/48 rd 65003:1 label 34'
    frr_bgp 'l2vpn evpn' \
        'network 10.35.0.0/16 rd 65003:5 ethtag 0 label 35 esi 00:11:22:33:44:55:66:77:88:99 gwip 10.0.0.3 routermac 02:00:00:00:00:03'
}

withdraw() {
    from_families del -a ipv4 198.51.101.0/24
    from_families del -a ipv4 0.0.0.0/0
    from_families del -a ipv6 2001:db8:2::/64
    from_families del -a ipv4-mpls 192.0.2.128/25 100/200
    from_families del -a ipv6-mpls 2001:db8:9::/48 300
    from_families del -a vpnv4 10.1.0.0/16 label 11 rd 10.0.0.2:100
    from_families del -a vpnv6 2001:db8:b::/48 label 14 rd 65002:100
    from_families del -a evpn a-d esi LACP aa:bb:cc:dd:ee:ff 100 etag 200 label 300 rd 10.0.0.2:1
    from_families del -a evpn macadv aa:bb:cc:00:00:02 0.0.0.0 etag 0 label 301,302 rd 65002:1
    from_families del -a evpn esi 10.0.0.2 esi MAC aa:bb:cc:dd:ee:ff 100 rd 10.0.0.2:1
    from_families del -a evpn prefix 2001:db8:77::/64 etag 0 label 305 rd 65002:5
    from_families del -a ipv4-flowspec match source 10.6.0.0/24 icmp-type 8 icmp-code 0
    from_families del -a ipv4-l3vpn-flowspec rd 65002:1 match destination 10.0.0.0/24
    gobgp -p "$families_api" vrf del red
    from_paths del -a ipv4 198.51.100.0/24 identifier 2
    from_paths del -a ipv6 2001:db8:3::/48 identifier 3
    frr_bgp 'ipv4 unicast' 'no network 198.51.121.0/24'
    frr_bgp 'ipv6 vpn' 'no network 2001:db8:34::/48 rd 65003:1 label 34'
}

# The same routes with other attributes, and other policies for routes that stay.
change() {
    # shellcheck disable=SC2086
    {
        from_families add -a ipv4 198.51.100.0/24 med 20 community 65002:1,65002:3 origin egp $v4
        from_families add -a ipv4 198.51.102.0/25 community no-advertise nexthop 192.0.2.22
        from_families add -a ipv4 203.0.113.7/32 community 65002:666 $v4
        from_families add -a ipv4 198.51.103.0/24 med 4294967295 $v4
        from_families add -a ipv6 2001:db8:1::/48 aspath '65020 65020' nexthop 2001:db8::22
        from_families add -a ipv4-mpls 192.0.2.0/25 101 $v4
        from_families add -a vpnv4 10.1.0.0/16 label 20 rd 65002:100 rt 65002:200 65002:300 $v4
        from_families add -a evpn macadv aa:bb:cc:00:00:01 10.9.0.1 esi AS 65002 101 etag 20 \
            label 310 rd 65002:1 rt 65002:400 encap vxlan $v4
        from_families add -a evpn prefix 10.77.0.0/24 gw 172.16.0.2 etag 200 label 314 \
            rd 65002:5 rt 65002:400 encap vxlan $v4
    }
    from_families add -a ipv6-flowspec match destination 2001:db8:5::/64 0 protocol udp \
        'then' rate-limit 100
    from_paths add -a ipv4 198.51.100.0/24 med 32 local-pref 140 identifier 1 nexthop 192.0.2.36
    frr 'configure terminal' 'route-map IN permit 20' 'set local-preference 154' 'set metric 77'
    frr 'clear bgp * soft in'
}

reason='moved to another rack'
# One neighbour of each goes, by the hand of its own operator and of the other's.
shut_down() {
    # The first tells the reason, the second keeps it down.
    gobgp -p "$paths_api" neighbor 127.0.0.31 shutdown --reason "$reason" >/dev/null
    gobgp -p "$paths_api" neighbor 127.0.0.31 disable >/dev/null
    frr 'configure terminal' 'router bgp 65003' 'neighbor 127.0.0.42 shutdown'
}

come_back() {
    gobgp -p "$paths_api" neighbor 127.0.0.31 enable >/dev/null
    frr 'configure terminal' 'router bgp 65003' 'no neighbor 127.0.0.42 shutdown'
    from_paths add -a ipv4 198.51.111.0/24 nexthop 192.0.2.34
}
