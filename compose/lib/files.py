"""Checks what files say of each other: that all JSON and YAML can be read, that links of the
documentation lead somewhere, and that alerts, dashboards and descriptions of deployments name
only metrics, variables and chapters that there are."""

import json
import pathlib
import re
import subprocess
import sys
import urllib.parse

import yaml

from reference import REPOSITORY, metric_exists, metrics, variables

METRIC = re.compile(r"\bribstream_(?:collector|ingester)_[a-z_]+[a-z]\b")
# What is read with variables of Ribstream's in it.
DEPLOYMENTS = ("compose/systemd/", "compose/Dockerfile", "compose/compose.yaml", "docs/", "helm/")


def tracked():
    listed = subprocess.run(
        ["git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = ((name, REPOSITORY / name) for name in listed.split("\0") if name)
    return [name for name, path in paths if path.is_file() and not path.is_symlink()]


class Loader(yaml.SafeLoader):
    """As YAML's own, but a key may stand only once."""

    def construct_mapping(self, node, deep=False):
        merge = "tag:yaml.org,2002:merge"
        keys = [self.construct_object(key, True) for key, _ in node.value if key.tag != merge]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def unreadable(name, text):
    try:
        if name.endswith(".json"):
            json.loads(text)
        elif name.endswith((".yaml", ".yml")) and "/templates/" not in name:
            list(yaml.load_all(text, Loader))
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        yield f"cannot be read: {error}"


def anchors(text):
    """What GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found, seen = set(), {}
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = seen[plain] = seen.get(plain, -1) + 1
        found.add(f"{plain}-{number}" if number else plain)
    return found


def dead_links(name, text):
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    targets = re.findall(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)", prose)
    # Alerts name a chapter from the root.
    base = (REPOSITORY / name).parent
    if name.endswith("rules.yaml"):
        targets, base = re.findall(r"^\s+runbook: (\S+)$", text, re.M), REPOSITORY
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = base / urllib.parse.unquote(path) if path else REPOSITORY / name
        if not file.exists():
            yield f"links to {target}, which is not there"
        elif anchor and anchor not in anchors(file.read_text()):
            yield f"links to {target}, which has no such heading"


def unknown_names(name, text, known_metrics, known_variables):
    if name.endswith((".md", ".json", "rules.yaml", "rules_test.yaml")):
        for metric in sorted(set(METRIC.findall(text))):
            if not metric_exists(metric, known_metrics):
                yield f"names the metric {metric}, which there is none of"
    if name.startswith(DEPLOYMENTS):
        for variable in sorted(set(re.findall(r"\bRIBSTREAM_[A-Z][A-Z_]*[A-Z]\b", text)) - known_variables):
            yield f"names the variable {variable}, which nothing reads"


def main():
    names = tracked()
    known = metrics(), variables()
    wrong = []
    for name in names:
        try:
            text = (REPOSITORY / name).read_text()
        except UnicodeDecodeError:
            continue
        errors = [*unreadable(name, text), *unknown_names(name, text, *known)]
        if pathlib.Path(name).suffix == ".md" or name.endswith("rules.yaml"):
            errors += dead_links(name, text)
        wrong += [f"{name}: {error}" for error in errors]
    print("\n".join(wrong) or f"{len(names)} files")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
