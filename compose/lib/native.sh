# shellcheck shell=bash
# Kafka and TimescaleDB as plain processes, for a machine without a container engine.
# Sourced by compose/stack, which has set instance (its directory), name, kafka_port,
# controller_port, postgres_port, shared_buffers and disk.

# Seconds. After a kill, on a machine whose disks are busy, both read back for minutes.
start_limit=300

kafka_properties() {
    local port=$1 controller=$2 data=$3
    cat <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$data
num.network.threads=2
num.io.threads=4
# One BMP message of the largest size allowed, decoded, and room to spare.
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
auto.create.topics.enable=false
# One node holds one copy; few partitions of Kafka's own topics make it start sooner.
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A node that was stopped by a test for some seconds and goes on must not first declare itself
# dead: a client that asks in that moment is told of a cluster without brokers, and librdkafka
# 2.12 does not come back from that (confluentinc/librdkafka issue 5301).
# One that was killed waits as long before it may come back.
broker.session.timeout.ms=25000
END
}

# What the listeners of --kafka-tls add; where a property comes twice, the later counts.
kafka_tls_properties() {
    local tls=$1 sasl=$2 directory=$3
    cat <<END
listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$controller_port,TLS://127.0.0.1:$tls,SASL://127.0.0.1:$sasl
advertised.listeners=PLAINTEXT://127.0.0.1:$kafka_port,TLS://127.0.0.1:$tls,SASL://127.0.0.1:$sasl
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location=$directory/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$directory/ca.pem
listener.name.tls.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_ribstream="ribstream";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
END
}

# A data directory in $1 that knows the user of --kafka-tls.
kafka_format_with_user() {
    local data=$1 user='[name=ribstream,password=ribstream]'
    sed "s|^log.dirs=.*|log.dirs=$data|" "$instance/server.properties" >"$instance/format.properties"
    java -cp "$kafka_home/libs/*" kafka.tools.StorageTool format -t cmlic3RyZWFtLWthZmthMA \
        -c "$instance/format.properties" --add-scram "SCRAM-SHA-256=$user" --add-scram "SCRAM-SHA-512=$user" \
        >"$instance/format.log" 2>&1 || {
        tail -n 5 "$instance/format.log" >&2
        die "Kafka could not format $data"
    }
}

postgres_settings() {
    local port=$1 buffers=$2
    cat <<END
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
max_connections = 200
# A chroot has no tmpfs on /dev/shm.
dynamic_shared_memory_type = sysv
shared_buffers = $buffers
maintenance_work_mem = 256MB
random_page_cost = 1.1
# Durable as in production: what is committed survives a crash.
fsync = on
synchronous_commit = on
# A bulk load checkpoints by time, not every gigabyte.
max_wal_size = 8GB
checkpoint_timeout = 15min
wal_compression = lz4
timezone = 'UTC'
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
# Each database with the extension has a scheduler of its own, and tests make many databases.
timescaledb.max_background_workers = 64
max_worker_processes = 80
END
}

kafka_pid() { live_pid "$instance/kafka.pid" "$instance/server.properties"; }
postgres_pid() { live_pid "$instance/postgres.pid" "/var/lib/ribstream/$name"; }

# live_pid FILE WORD: the process that FILE names, if it lives and has WORD on its command
# line: after a reboot the number may be anybody's.
live_pid() {
    local pid
    [[ -s $1 ]] || return 1
    pid=$(<"$1")
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$2" || return 1
    printf '%s\n' "$pid"
}

kafka_start() {
    kafka_pid >/dev/null && return
    kafka_properties "$kafka_port" "$controller_port" "$instance/kafka-data" >"$instance/server.properties"
    if [[ -e $instance/kafka-tls ]]; then
        local tls sasl directory
        read -r tls sasl directory <"$instance/kafka-tls"
        kafka_tls_properties "$tls" "$sasl" "$directory" >>"$instance/server.properties"
    fi
    if [[ ! -d $instance/kafka-data ]]; then
        rm -rf "$instance/kafka-data.part"
        if [[ -e $instance/kafka-tls ]]; then
            kafka_format_with_user "$instance/kafka-data.part"
        else
            cp -a "$kafka_home/formatted" "$instance/kafka-data.part"
        fi
        mv "$instance/kafka-data.part" "$instance/kafka-data"
    fi
    [[ ! -e $instance/kafka.log ]] || mv "$instance/kafka.log" "$instance/kafka.log.1"
    setsid java -Xms256m -Xmx512m -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:+ExitOnOutOfMemoryError \
        -Djava.awt.headless=true -Dlog4j2.configurationFile="$repo/compose/kafka/log4j2.yaml" \
        -cp "$kafka_home/libs/*" kafka.Kafka "$instance/server.properties" \
        </dev/null >"$instance/kafka.log" 2>&1 7>&- 8>&- 9>&- &
    echo $! >"$instance/kafka.pid"
}
kafka_up() { grep -qsF 'Kafka Server started' "$instance/kafka.log"; }
kafka_wait() {
    local limit=$((SECONDS + start_limit))
    until kafka_up; do
        started kafka || kafka_up || failed Kafka kafka.log
        ((SECONDS < limit)) || failed "Kafka (not ready after $start_limit s)" kafka.log
        sleep 0.1
    done
}

postgres_start() {
    local data=$postgres_root/var/lib/ribstream/$name
    postgres_pid >/dev/null && return
    if [[ ! -d $data ]]; then
        rm -rf "$data.part"
        if [[ -n $disk ]]; then
            mkdir "$data"
            mount -t tmpfs -o "size=$disk,mode=0700" ribstream "$data" || die "cannot mount a disk of $disk"
            chown --reference="$postgres_root/var/lib/ribstream/template" "$data"
            cp -a "$postgres_root/var/lib/ribstream/template/." "$data"
        else
            cp -a "$postgres_root/var/lib/ribstream/template" "$data.part"
            mv "$data.part" "$data"
        fi
    fi
    postgres_settings "$postgres_port" "$shared_buffers" >"$data/ribstream.conf"
    [[ ! -e $instance/postgres.log ]] || mv "$instance/postgres.log" "$instance/postgres.log.1"
    LC_ALL=C.UTF-8 setsid chroot --userspec=postgres:postgres "$postgres_root" "$postgres_bin/postgres" \
        -D "/var/lib/ribstream/$name" </dev/null >"$instance/postgres.log" 2>&1 7>&- 8>&- 9>&- &
    echo $! >"$instance/postgres.pid"
}
postgres_up() { in_root "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$postgres_port"; }
postgres_wait() {
    local limit=$((SECONDS + start_limit))
    until postgres_up; do
        started postgres || failed PostgreSQL postgres.log
        ((SECONDS < limit)) || failed "PostgreSQL (not ready after $start_limit s)" postgres.log
        sleep 0.1
    done
}

# Whether the process just started lives, by its number alone: until it has executed its program,
# its command line is still this script's.
started() { [[ -e /proc/$(<"$instance/$1.pid") ]]; }

failed() {
    tail -n 15 "$instance/$2" >&2 || true
    die "$1 did not start; its log is $instance/$2"
}

gone() { ! "$1" >/dev/null; }

# A server and, of PostgreSQL, its backends, which are sessions of their own.
processes() {
    local pid
    pid=$("$1_pid") || return 0
    printf '%s\n' "$pid"
    # Processes end while they are listed; awk would stop at the first that has.
    cat /proc/[0-9]*/stat 2>/dev/null |
        awk -v parent="$pid" '{ child = $1; sub(/.*\) /, ""); if ($2 == parent) print child }' || true
}

native_stop() {
    local what=$1 signal=TERM pid
    [[ $what == postgres ]] && signal=INT # fast shutdown: TERM would wait for the clients
    pid=$("${what}_pid") || return 0
    # A paused server would never see it.
    native_signal "$what" CONT
    kill -s "$signal" "$pid" 2>/dev/null || true
    wait_for 60 "$what" gone "${what}_pid" || native_kill "$what"
}

native_kill() {
    local pids pid
    pids=$(processes "$1")
    native_signal "$1" KILL
    for pid in $pids; do
        wait_for 20 "$1" dead "$pid" || die "process $pid of $1 in $name does not die"
    done
    # All are dead, though perhaps not yet reaped: PostgreSQL would take that for alive.
    if [[ $1 == postgres ]]; then rm -f "$postgres_root/var/lib/ribstream/$name/postmaster.pid"; fi
}
# The first thread of a process may be gone while others still hold its ports and locks.
dead() {
    local threads=("/proc/$1/task/"*)
    ((${#threads[@]} == 1)) && ! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"
}

native_signal() {
    local pid
    for pid in $(processes "$1"); do kill -s "$2" "$pid" 2>/dev/null || true; done
}

native_start() {
    "install_$1"
    "${1}_start"
    "${1}_wait"
}

native_up() {
    install_kafka
    install_postgres
    kafka_start
    postgres_start
    kafka_wait
    postgres_wait
}

native_remove() {
    local data=${postgres_root:?}/var/lib/ribstream/${name:?}
    ! mountpoint -q "$data" || umount -l "$data"
    rm -rf "${instance:?}" "$data"
}

native_fill() {
    local data=$postgres_root/var/lib/ribstream/$name
    mountpoint -q "$data" || die "PostgreSQL of $name has no disk of its own: compose/stack up --disk 300M"
    # It ends where the disk does.
    cat /dev/zero >>"$data/ballast" 2>/dev/null || true
}
native_free() { rm -f "$postgres_root/var/lib/ribstream/$name/ballast"; }

native_running() { "${1}_pid"; }
native_pids() { processes "$1"; }
native_topic_bytes() { cat "$instance/kafka-data/$1"-[0-9]*/*.log 2>/dev/null | wc -c; }

native_psql() {
    chroot "$postgres_root" env LC_ALL=C.UTF-8 PGPASSWORD=ribstream PAGER= psql -h 127.0.0.1 -p "$postgres_port" -U ribstream "$@"
}
