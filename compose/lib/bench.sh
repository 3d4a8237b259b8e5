# shellcheck shell=bash
# Servers and daemons of their own for the benchmarks, from the release build, taken away at the
# end. Sourced by those, after common.sh and install.sh.

run=$cache/bench
# shellcheck source=compose/lib/daemons.sh
source "$repo/compose/lib/daemons.sh"
stack=$repo/compose/stack

# Asked once: it is the measured machine's time.
RIBSTREAM_ENGINE=$(engine)
export RIBSTREAM_ENGINE

clean() {
    local status=$?
    trap - EXIT INT TERM
    daemon_stop collector || true
    daemon_stop ingester || true
    "$stack" down --remove --name bench >/dev/null 2>&1 || true
    exit "$status"
}

# find_capture NAME: unpacks it, into $bmp.
find_capture() {
    local capture=$1
    local directory
    bmp=$run/$capture.bmp
    mkdir -p "$run"
    for directory in "$repo/collector/tests/data" "${RIBSTREAM_CAPTURES:-$repo/../shared/data}"; do
        [[ -e $directory/$capture.bmp.zst ]] || continue
        [[ -s $bmp ]] || {
            packages "unpacking the capture" zstd
            zstd -q -d -f --long=31 "$directory/$capture.bmp.zst" -o "$bmp.part"
            mv "$bmp.part" "$bmp"
        }
        return 0
    done
    die "no $capture.bmp.zst: set RIBSTREAM_CAPTURES to the directory that has it, or name another that compose/bench is to play"
}

prepare() {
    local port=
    build_packages
    say "building"
    cargo build -q --release --manifest-path "$repo/Cargo.toml" -p ribstream-collector -p ribstream-ingester
    say "starting fresh servers"
    "$stack" down --remove --name bench >/dev/null 2>&1 || true
    "$stack" up --name bench --shared-buffers 1GB >"$run/stack.log" 2>&1 || {
        cat "$run/stack.log" >&2
        exit 1
    }
    eval "$("$stack" env --name bench)"
    lock 7 "$cache/ports.lock" "chooses ports"
    for port in listen collector_http ingester_http; do declare -g "$port=127.0.0.1:$(free_port)"; done
    exec 7>&-
    "$ingester" migrate --database-url "$RIBSTREAM_DATABASE_URL" 2>/dev/null
    daemon_start collector "$collector_http" "$collector" run --listen "$listen" \
        --http "$collector_http" --kafka "$RIBSTREAM_KAFKA" --collector-id bench
    daemon_start ingester "$ingester_http" "$ingester" run --http "$ingester_http" \
        --kafka "$RIBSTREAM_KAFKA" --database-url "$RIBSTREAM_DATABASE_URL"
}

query() { "$stack" psql --name bench -- -qAtX -c "$1"; }
