# shellcheck shell=bash
# Kafka and TimescaleDB as containers. Sourced by compose/stack, which has set name,
# kafka_port and postgres_port.

project() {
    # What a test kills stays dead.
    RESTART=no KAFKA_PORT=$kafka_port POSTGRES_PORT=$postgres_port SHARED_BUFFERS=$shared_buffers \
        docker compose -f "$repo/compose/compose.yaml" -p "ribstream-$name" "$@"
}
service() { case $1 in postgres) echo timescaledb ;; *) echo "$1" ;; esac }

docker_up() { project up -d --wait kafka timescaledb >&2; }
docker_start() { project up -d --wait "$(service "$1")" >&2; }
docker_stop() { project stop "$(service "$1")" >&2; }
docker_kill() { project kill -s KILL "$(service "$1")" >&2; }
docker_signal() {
    case $2 in
    STOP) project pause "$(service "$1")" >&2 ;;
    CONT) project unpause "$(service "$1")" >&2 ;;
    esac
}
docker_remove() {
    project down --volumes --remove-orphans >&2
    rm -rf "${instance:?}"
}
docker_running() { project ps -q --status running "$(service "$1")" 2>/dev/null | grep . | cut -c 1-12; }
docker_pids() { docker top "$(project ps -q "$(service "$1")")" -o pid | tail -n +2; }
docker_topic_bytes() { project exec -T kafka sh -c 'cat /var/lib/kafka/data/"$0"-[0-9]*/*.log | wc -c' "$1"; }
docker_psql() { project exec -T -e PGPASSWORD=ribstream timescaledb psql -h 127.0.0.1 -U ribstream "$@"; }
