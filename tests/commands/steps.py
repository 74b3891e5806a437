"""A deployment's settings, and the processes of this machine."""

from pathlib import Path

DEPLOYED = {
    "DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d",
    "AWS_STORAGE_BUCKET_NAME": "bkt",
    "CLAIMCHECK_AUTH": "keys",
}


def parents() -> dict[int, int]:
    """The parent of each living process; zombies are dead."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[int(stat.parent.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    """All processes below this one, its children's children too."""
    found, before = {pid}, None
    tree = parents()
    while before != found:
        before = set(found)
        found |= {child for child, parent in tree.items() if parent in found}
    return found - {pid}
