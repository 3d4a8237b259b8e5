# shellcheck shell=bash
# FRR and GoBGP as plain processes on loopback, by the configurations in compose/routers. Sourced
# by compose/interop, which has set run, bgp_port, bmp_port, collector_address and the ports of
# the three gobgpds' APIs, gobgp_api, families_api and paths_api. Nothing of the machine's own
# routing is touched: there is no zebra, and GoBGP is told of none.

frr_bgpd=/usr/lib/frr/bgpd

# configured FILE: with ports and directories in their places.
configured() {
    sed -e "s|@BGP@|$bgp_port|; s|@BMP@|$bmp_port|; s|@COLLECTOR@|$collector_address|; s|@DIRECTORY@|$run|" \
        "$repo/compose/routers/$1" >"$run/$1"
}

# router NAME COMMAND...: starts one.
router() {
    local name=$1
    shift
    setsid "$@" </dev/null >"$run/$name.log" 2>&1 7>&- &
    echo $! >"$run/$name.pid"
}

routers_start() {
    local name api
    for name in gobgp families paths; do
        configured "$name.toml"
        api=${name}_api
        router "$name" gobgpd -f "$run/$name.toml" --log-plain --pprof-disable --api-hosts "127.0.0.1:${!api}"
    done
    configured bgpd.conf
    # -S keeps the user, -n and -Z keep off the kernel and zebra.
    router bgpd "$frr_bgpd" -S -n -Z -M bmp -A 127.0.0.1 -P 0 -l 127.0.0.33 -p "$bgp_port" \
        -f "$run/bgpd.conf" -i "$run/frr.pid" --vty_socket "$run"
}

# What it executes is not asked for: a command line is empty for a moment while one is executed.
router_alive() { [[ -s $run/$1.pid && -e /proc/$(<"$run/$1.pid") ]]; }
router_dead() { ! router_alive "$1"; }

routers_stop() {
    local name
    for name in gobgp families paths bgpd; do
        if router_alive "$name"; then kill "$(<"$run/$name.pid")"; fi
    done
    for name in gobgp families paths bgpd; do
        wait_for 10 "$name" router_dead "$name" || kill -KILL "$(<"$run/$name.pid")"
        rm -f "$run/$name.pid"
    done
}

# routers_up N: whether the GoBGP that speaks BMP has N peers, and FRR both.
routers_up() {
    local name
    for name in gobgp families paths bgpd; do
        router_alive "$name" || die "$name has ended; its log is $run/$name.log"
    done
    (($(established "$gobgp_api") == $1 && $(established "$families_api") == 3))
}
established() { gobgp -p "$1" neighbor 2>/dev/null | grep -c ' Establ ' || true; }

# rib API-PORT ARGUMENTS...: `gobgp global rib`, which must succeed.
rib() {
    local port=$1 said
    shift
    said=$(gobgp -p "$port" global rib "$@" 2>&1) || die "gobgp global rib $*: $said"
}
from_families() { rib "$families_api" "$@"; }
from_paths() { rib "$paths_api" "$@"; }

# frr COMMAND...: as if typed. FRR says something only where it does not understand.
frr() {
    local commands=() said
    for command in "$@"; do commands+=(-c "$command"); done
    said=$(vtysh --vty_socket "$run" "${commands[@]}" 2>/dev/null)
    [[ -z $said ]] || die "vtysh $*: $said"
}
# frr_bgp ADDRESS-FAMILY COMMAND...: configures it.
frr_bgp() { frr 'configure terminal' 'router bgp 65003' "address-family $1" "${@:2}"; }
