"""What the documentation and the sources say there is: flags, variables, metrics."""

import pathlib
import re

REPOSITORY = pathlib.Path(__file__).parent.parent.parent


def flags(command):
    """The flags of a subcommand, such as "ribstream-collector run", of those the variables.

    From docs/configuration.md, which a test of each binary compares with its --help.
    """
    text = (REPOSITORY / "docs/configuration.md").read_text()
    binary = command.split()[0]
    found = {}
    for heading in (f"### Every subcommand of `{binary}`", f"### `{command}`"):
        section = text.split(heading + "\n", 1)[1].split("\n#", 1)[0]
        found |= dict(re.findall(r"^\| `--([a-z-]+)` \| `(RIBSTREAM_[A-Z_]+)`", section, re.M))
    return found


def variables():
    """All variables that the documentation names."""
    documents = [REPOSITORY / "docs/configuration.md", REPOSITORY / "docs/stack.md"]
    return {name for path in documents for name in re.findall(r"`(RIBSTREAM_[A-Z_]+)`", path.read_text())}


def metrics():
    """The names of all metrics, from the page that a test compares with what is registered."""
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    return set(re.findall(r"^\| `(ribstream_\w+)` \|", page, re.M))


def metric_exists(name, known):
    """Whether it is one, or a series of a histogram."""
    return re.sub(r"_(bucket|sum|count)$", "", name) in known or name in known
