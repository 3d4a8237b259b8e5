# shellcheck shell=bash
# What all parts of the stack need: where things are, how to speak, locks and free ports.
# Sourced, never run. Locks are held on the file descriptors 7 (ports), 8 (installation) and
# 9 (one instance); whatever is left running in the background must close all three.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${RIBSTREAM_CACHE:-${XDG_CACHE_HOME:-${HOME:?set HOME or RIBSTREAM_CACHE}/.cache}/ribstream}
export repo cache

say() { printf '%s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Which way servers are run here: docker where an engine answers, else native.
engine() {
    if [[ -z ${RIBSTREAM_ENGINE:-} ]]; then
        RIBSTREAM_ENGINE=native
        if have docker && docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
            RIBSTREAM_ENGINE=docker
        fi
        export RIBSTREAM_ENGINE
    fi
    case $RIBSTREAM_ENGINE in
    docker | native) printf '%s\n' "$RIBSTREAM_ENGINE" ;;
    *) die "RIBSTREAM_ENGINE is '$RIBSTREAM_ENGINE'; it may be docker or native, or unset to choose" ;;
    esac
}

# lock FD FILE WHAT: waits until no other run holds it, and says so while it does.
lock() {
    local fd=$1 file=$2 what=$3
    mkdir -p "$(dirname "$file")"
    eval "exec $fd>\"\$file\""
    if ! flock -n "$fd"; then
        say "waiting for another run that $what"
        flock "$fd"
    fi
}

# Does anything listen on this TCP port, on any address?
port_taken() {
    local hex
    printf -v hex '%04X' "$1"
    { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || true; } |
        awk -v end=":$hex\$" '$4 == "0A" && $2 ~ end { taken = 1 } END { exit !taken }'
}

# A port that nothing listens on and no other instance has been given. Below the ephemeral
# range, so that no outgoing connection can take it in the meantime. Call under lock 7.
free_port() {
    local range=${RIBSTREAM_PORTS:-20000-31999} port
    local first=${range%-*} last=${range#*-}
    for _ in {1..500}; do
        port=$((first + (RANDOM * 32768 + RANDOM) % (last - first + 1)))
        port_taken "$port" && continue
        grep -qsw -- "$port" "$cache"/instances/*/ports && continue
        printf '%s\n' "$port"
        return
    done
    die "no free port in $range; set RIBSTREAM_PORTS=FIRST-LAST"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        ((SECONDS < limit)) || return 1
        sleep 0.1
    done
}
