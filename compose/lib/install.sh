# shellcheck shell=bash
# Installs what is missing: Debian packages, Kafka's jars, a Debian root with TimescaleDB.
# Each piece is made beside its place and moved there when it is whole, so that an interrupted
# run leaves nothing that looks finished. Sourced by the scripts in compose/.

# Named by the pom.xml that it was fetched for: another version is fetched anew.
kafka_home=$cache/kafka-$(cksum <"$repo/compose/kafka/pom.xml" | cut -d " " -f 1)
postgres_root=$cache/timescaledb-pg17
postgres_bin=/usr/lib/postgresql/17/bin

# packages WHAT-FOR PACKAGE...: installs those that are missing.
packages() {
    local for=$1 package missing=()
    shift
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ! have apt-get; then
        say "$for needs what Debian calls ${missing[*]}; this is no Debian, so they are taken to be there"
        return 0
    fi
    ((EUID == 0)) || die "$for needs ${missing[*]}: run 'apt-get install ${missing[*]}', or this as root"
    say "installing for $for: ${missing[*]}"
    lock 8 "$cache/install.lock" "installs packages"
    export DEBIAN_FRONTEND=noninteractive
    # An interrupted dpkg is finished first; where nothing was, this does nothing.
    dpkg --configure -a >/dev/null 2>&1 || true
    local apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >"$cache/apt.log" 2>&1 8>&- || {
        "${apt[@]}" update >"$cache/apt.log" 2>&1 8>&- &&
            "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >>"$cache/apt.log" 2>&1 8>&-
    } || {
        tail -n 5 "$cache/apt.log" >&2
        die "apt-get could not install ${missing[*]}; all it said is in $cache/apt.log"
    }
    exec 8>&-
}

build_packages() {
    packages "building librdkafka and the binaries" gcc g++ make pkg-config libssl-dev
    have cargo || die "no cargo found: install the Rust toolchain from https://rustup.rs"
}

install_kafka() {
    if [[ ! -x $(command -v java) ]]; then
        packages "Kafka" openjdk-17-jre-headless
    fi
    local major
    major=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
    ((${major:-0} >= 17)) || die "Kafka needs Java 17 or newer, found ${major:-none}: set PATH to a newer one, or apt-get install openjdk-17-jre-headless"
    [[ -d $kafka_home/libs && -d $kafka_home/formatted ]] && return
    have mvn || packages "Kafka's jars" maven
    lock 8 "$cache/install.lock" "installs Kafka"
    if [[ ! -d $kafka_home/libs ]]; then
        say "fetching Kafka 4.1.0 from Maven Central"
        rm -rf "$kafka_home"/libs.part
        mkdir -p "$kafka_home"
        mvn -q -B -f "$repo/compose/kafka/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$kafka_home/libs.part" >"$cache/maven.log" 2>&1 || {
            tail -n 5 "$cache/maven.log" >&2
            die "Maven could not fetch Kafka; all it said is in $cache/maven.log"
        }
        mv "$kafka_home/libs.part" "$kafka_home/libs"
    fi
    # Formatting takes longer than starting: done once, each instance copies the result.
    if [[ ! -d $kafka_home/formatted ]]; then
        rm -rf "$kafka_home"/formatted.part
        kafka_properties 9092 9093 "$kafka_home/formatted.part" >"$kafka_home/format.properties"
        java -cp "$kafka_home/libs/*" kafka.tools.StorageTool format -t cmlic3RyZWFtLWthZmthMA \
            -c "$kafka_home/format.properties" >"$cache/format.log" 2>&1 || {
            tail -n 5 "$cache/format.log" >&2
            die "Kafka could not format $kafka_home/formatted.part"
        }
        mv "$kafka_home/formatted.part" "$kafka_home/formatted"
    fi
    exec 8>&-
}

# The Debian mirror that this machine's apt uses.
mirror() {
    local found=${RIBSTREAM_DEBIAN_MIRROR:-}
    if [[ -z $found ]]; then
        found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
            grep -v -e security -e backports | head -n 1 || true)
    fi
    if [[ -z $found ]]; then
        # Lists that were never fetched name no origin: read the sources themselves.
        found=$(sed -n -E 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' \
            /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
            grep -E '/debian/?$' | head -n 1 || true)
    fi
    [[ -n $found ]] || die "found no Debian mirror in apt's sources; set RIBSTREAM_DEBIAN_MIRROR to one"
    printf '%s\n' "$found"
}

# Takes away what an interrupted debootstrap left. It may have left /proc mounted there, and
# removing through a mount would remove the machine's own: unmounted first, or not removed.
remove_root() {
    local root=$1 point
    [[ -e $root ]] || return 0
    while read -r point; do
        umount "$point" || die "$point is still mounted: end what uses it (fuser -m $point), then run this again"
    done < <(mounts_under "$root" | sort -r)
    [[ -z $(mounts_under "$root") ]] || die "something is still mounted under $root: see /proc/mounts"
    rm -rf --one-file-system "$root"
}
mounts_under() { awk -v root="$(realpath "$1")/" 'index($2, root) == 1 { print $2 }' /proc/mounts; }

install_postgres() {
    [[ -d $postgres_root/var/lib/ribstream/template ]] && return
    ((EUID == 0)) || die "without a container engine, TimescaleDB runs in a chroot: run this as root, or start Docker"
    packages "TimescaleDB" debootstrap debian-archive-keyring
    lock 8 "$cache/install.lock" "installs TimescaleDB"
    if [[ ! -d $postgres_root ]]; then
        local from proxy
        from=$(mirror)
        say "making a Debian root with PostgreSQL 17 and TimescaleDB (0.7 GB, a minute or two)"
        remove_root "$postgres_root.part"
        mkdir -p "$cache/packages"
        proxy=$(apt-config shell proxy Acquire::http::Proxy 2>/dev/null | sed -n "s/^proxy='\(.*\)'$/\1/p")
        if [[ -n $proxy && $proxy != DIRECT ]]; then export http_proxy=${http_proxy:-$proxy}; fi
        [[ -e /usr/share/debootstrap/scripts/trixie ]] || ln -s sid /usr/share/debootstrap/scripts/trixie
        debootstrap --variant=minbase --include=postgresql-17-timescaledb --cache-dir="$cache/packages" \
            trixie "$postgres_root.part" "$from" >"$cache/debootstrap.log" 2>&1 || {
            tail -n 5 "$cache/debootstrap.log" >&2
            die "debootstrap failed; all it said is in $cache/debootstrap.log"
        }
        while read -r point; do umount "$point"; done < <(mounts_under "$postgres_root.part" | sort -r)
        mv "$postgres_root.part" "$postgres_root"
        rm -rf "$cache/packages"
    fi
    # initdb and create database once, each instance copies the result.
    if [[ ! -d $postgres_root/var/lib/ribstream/template ]]; then
        in_root true
        rm -rf "$postgres_root"/var/lib/ribstream/template.part
        install -d -o "$(stat -c %u "$postgres_root/var/lib/postgresql")" \
            -g "$(stat -c %g "$postgres_root/var/lib/postgresql")" "$postgres_root/var/lib/ribstream"
        {
            in_root env LC_ALL=C.UTF-8 sh -c "echo ribstream >/tmp/password && $postgres_bin/initdb \
                -D /var/lib/ribstream/template.part -U ribstream --pwfile=/tmp/password \
                --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8" &&
                postgres_settings 5432 128MB >"$postgres_root/var/lib/ribstream/template.part/ribstream.conf" &&
                echo "include 'ribstream.conf'" >>"$postgres_root/var/lib/ribstream/template.part/postgresql.conf" &&
                echo "create database ribstream" |
                in_root "$postgres_bin/postgres" --single -D /var/lib/ribstream/template.part postgres
        } >"$cache/initdb.log" 2>&1 || {
            tail -n 5 "$cache/initdb.log" >&2
            die "initdb failed; all it said is in $cache/initdb.log"
        }
        mv "$postgres_root/var/lib/ribstream/template.part" "$postgres_root/var/lib/ribstream/template"
    fi
    exec 8>&-
}

in_root() { chroot --userspec=postgres:postgres "$postgres_root" "$@"; }
