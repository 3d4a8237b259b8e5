# shellcheck shell=bash
# The collector and the ingester as processes of this machine, for the demonstration and the
# benchmark. Sourced by those; $run is the directory of their logs and process numbers.

collector=$repo/target/release/ribstream-collector
ingester=$repo/target/release/ribstream-ingester

# daemon_pid NAME: its process, if it lives.
daemon_pid() {
    local pid
    [[ -s $run/$1.pid ]] || return 1
    pid=$(<"$run/$1.pid")
    [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == */ribstream-"$1"* ]] || return 1
    printf '%s\n' "$pid"
}

# daemon_start NAME HTTP-ADDRESS COMMAND...: starts it, unless it runs from the newest binary,
# and waits until it says that it is ready.
daemon_start() {
    local what=$1 http=$2 pid limit=$((SECONDS + 30))
    shift 2
    if pid=$(daemon_pid "$what"); then
        # A binary that was built anew shows as deleted.
        [[ $(readlink "/proc/$pid/exe") == *' (deleted)' ]] || return 0
        daemon_stop "$what"
    fi
    mkdir -p "$run"
    setsid "$@" </dev/null >"$run/$what.log" 2>&1 &
    pid=$!
    echo "$pid" >"$run/$what.pid"
    until RIBSTREAM_HTTP=$http "$1" health >/dev/null 2>&1; do
        if [[ ! -e /proc/$pid ]] || ((SECONDS >= limit)); then
            tail -n 5 "$run/$what.log" >&2
            die "the $what is not ready; its log is $run/$what.log"
        fi
        sleep 0.1
    done
}

daemon_stop() {
    local pid
    pid=$(daemon_pid "$1") || return 0
    kill "$pid"
    wait_for 40 "$1" daemon_gone "$1" || kill -KILL "$pid"
}
daemon_gone() { ! daemon_pid "$1" >/dev/null; }

# http_get HOST:PORT PATH: a whole answer, without needing curl.
http_get() {
    (
        exec 3<>"/dev/tcp/${1%:*}/${1##*:}" || exit 0
        printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$2" "$1" >&3
        tr -d '\r' <&3
    ) 2>/dev/null || true
}

# metric HOST:PORT NAME [LABELS]: the sum of a metric over all its series that match.
metric() {
    http_get "$1" /metrics | awk -v name="$2" -v labels="${3:-}" '
        { key = $1; sub(/\{.*/, "", key) }
        key == name && index($0, labels) { sum += $NF }
        END { printf "%.0f\n", sum }'
}
