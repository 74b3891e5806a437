"""The judge is judged: faults of the service, each of which the simulation must find.

`python -m tests.simulation.mutants [NAME ...] --seeds 500` puts each into a copy of the tree, and
lives seeds there until one fails. Exit status 1 if a mutant survives: an invariant is missing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("app", "tests", "alembic", "alembic.ini", "pyproject.toml")


@dataclass(frozen=True)
class Mutant:
    """The text `old` of a module is `new` instead."""

    path: str
    old: str
    new: str
    # Where two places hold the same rule, and each alone is enough.
    also: "Mutant | None" = None

    def apply(self, root: Path) -> None:
        """Raises ValueError where the text is not there: then the mutant is out of date."""
        module = root / self.path
        text = module.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path} has the text {text.count(self.old)} times")
        module.write_text(text.replace(self.old, self.new))
        if self.also is not None:
            self.also.apply(root)


_MOVES: Final = "app/db/moves.py"
_REMOVE: Final = "app/uploads/remove.py"
_OBJECTIONS: Final = "app/uploads/objections.py"
_DEADLINES: Final = "app/core/deadlines.py"
_CLAIMING: Final = (
    "    async with res.db.connection() as db:\n        claimed = await moves.claim_upload"
)
_NO_EVENT: Final = 'sa.literal_column("NULL::text")'
_ALL_VERSIONS: Final = 'named = [{"VersionId": version} for version in versions or ()]'
MUTANTS: Final = {
    "a held file is removed": Mutant(
        _MOVES, "in_state(*states), LOOSE, *only)", "in_state(*states), *only)"
    ),
    "a file is removed as an upload": Mutant(
        _MOVES,
        "State.PENDING, State.REJECTED, only",
        "State.PENDING, State.CONFIRMED, State.REJECTED, only",
    ),
    "another's lease is given back": Mutant(
        _MOVES,
        "sa.and_(in_state(*states_before(State.PENDING)), _HOLDS_LEASE)",
        "in_state(*states_before(State.PENDING))",
    ),
    "claimed after the call": Mutant(
        _REMOVE,
        _CLAIMING,
        f"    await delete_object(res, file)\n{_CLAIMING}",
    ),
    "a removal's lease is short": Mutant(
        _REMOVE, "LEASE: Final = timedelta(seconds=60)", "LEASE: Final = timedelta(seconds=1)"
    ),
    "a completion's lease is short": Mutant(
        "app/uploads/join.py",
        "_LEASE: Final = timedelta(seconds=60)",
        "_LEASE: Final = timedelta(seconds=1)",
    ),
    "links pin no version": Mutant(
        "app/files/links.py",
        '        query += query_parameter("versionId", file.version_id)\n    if for_scripts:',
        "        pass\n    if for_scripts:",
    ),
    "a rejection is not told": Mutant(
        _MOVES, "REJECTED: EventType.FILE_REJECTED", f"REJECTED: {_NO_EVENT}"
    ),
    "a release is not told": Mutant(
        _MOVES, "RELEASED: EventType.FILE_RELEASED", f"RELEASED: {_NO_EVENT}"
    ),
    "a reservation is not given back": Mutant(
        "app/db/usage_changes.py",
        "changes = (_NOTHING, _NOTHING, -_ONE, -reserved)",
        "changes = (_NOTHING, _NOTHING, -_ONE, _NOTHING)",
    ),
    "a released file is counted": Mutant(
        "app/db/usage_changes.py",
        "changes = (-_ONE, -size, _NOTHING, _NOTHING)",
        "changes = (-_ONE, _NOTHING, _NOTHING, _NOTHING)",
    ),
    "sizes are not compared": Mutant(
        _OBJECTIONS,
        "if file.size is not None and found.size != file.size:",
        "if False:",
        # Before parts are joined their sizes are compared already, and lengths are signed.
        also=Mutant(
            "app/uploads/join.py",
            "count, missing = layout.count, layout.missing(sizes)",
            "count, missing = layout.count, []",
        ),
    ),
    "contents are not compared": Mutant(
        _OBJECTIONS,
        'if verdict is Verdict.DIFFERS:\n        return f"The contents',
        'if False:\n        return f"The contents',
    ),
    "one version is deleted": Mutant(
        "app/store/objects.py",
        _ALL_VERSIONS,
        _ALL_VERSIONS.replace("versions or ()", "(versions or [])[:1]"),
    ),
    "objects are hidden, not deleted": Mutant(
        "app/store/objects.py", _ALL_VERSIONS, "named = [{} for _ in (versions or [])[:1]]"
    ),
    "uploads are given up early": Mutant(
        _DEADLINES,
        "CONFIRM_WITHIN: Final = timedelta(hours=1)",
        "CONFIRM_WITHIN: Final = timedelta()",
    ),
    "parts are given up early": Mutant(
        _DEADLINES,
        "KEEP_PARTS: Final = timedelta(days=3)",
        "KEEP_PARTS: Final = timedelta(hours=3)",
    ),
    "tombstones are forgotten early": Mutant(
        _DEADLINES,
        "NO_REQUEST_AFTER: Final = timedelta(hours=24)",
        "NO_REQUEST_AFTER: Final = timedelta(hours=2)",
    ),
    "replays stay": Mutant(
        "app/upkeep/replays.py", "if found is not None and found.is_of(file.id):", "if False:"
    ),
    "the confirmed version goes with its replays": Mutant(
        "app/upkeep/replays.py",
        "if version_id is None or version_id == file.version_id:",
        "if version_id is None:",
    ),
    "the sweep confirms nothing": Mutant(
        "app/upkeep/sweep.py",
        'if destination.unconfirmed == "confirm" and await may_be_whole(res, file):',
        "if False:",
    ),
    "attached in two transactions": Mutant(
        "app/uploads/verify.py",
        "async with res.db.transaction() if several else res.db.connection() as db:",
        "async with res.db.connection() as db:",
    ),
    "what a key has made is not kept": Mutant(
        "app/uploads/announce.py",
        "kept = [idempotency.kept(once, a.file.id, now, index) for index, a in signed.items()]",
        "kept = []",
    ),
    "parts of removed uploads stay": Mutant(
        _REMOVE, "await handle.abort_uploads(None if completed else file.store_upload_id)", "pass"
    ),
    "links live twice as long": Mutant(
        "app/files/links.py",
        "expires_in=to.link_expires_in, window=to.window, method=method",
        "expires_in=2 * to.link_expires_in, window=to.window, method=method",
    ),
    "problems do not name their request": Mutant(
        "app/http/problems.py", '"request_id": request_id,', '"request_id": "",'
    ),
    "sessions and requests for files have no end": Mutant(
        "app/db/credentials.py", "_p.used_files + wanted_files <= _p.max_files,", ""
    ),
    "adopted files are counted late": Mutant(
        "app/db/usage.py", 'for key in ((f.tenant, f.owner), (f.tenant, ""))}', "for key in ()}"
    ),
    "what is not folded in is not compared": Mutant(
        "app/db/usage.py",
        """        UNION ALL
        SELECT tenant, owner, {", ".join(_COUNTS)} FROM usage_changes WHERE {_OF_LEVEL[level]}
""",
        "",
    ),
    "others' objects are orphans": Mutant(
        "app/upkeep/reconcile.py",
        "return finding if ID_METADATA in there.metadata else replace(finding, kind=Kind.FOREIGN)",
        "return finding",
    ),
    "archives have as many entries as they like": Mutant(
        "app/uploads/examine.py", "if (archive.entries or 0) > limits.max_entries:", "if False:"
    ),
    "webhooks do not sign their time": Mutant(
        "app/core/webhook_signature.py",
        'message = b"%b.%d.%b" % (message_id.encode(), timestamp, body)',
        'message = b"%b.%b" % (message_id.encode(), body)',
    ),
    "rejected objects stay": Mutant(
        # Neither by whoever rejects nor by the sweep, which does it for them.
        "app/uploads/verify.py",
        "clear_by = None if foreign or not _is_object_deleted(res, file) else now + _DELETE_WITHIN",
        "clear_by = None",
    ),
}


def main() -> int:
    options = _options()
    if options.live:
        return _live(options.first, options.seeds)
    survivors = []
    for name in options.names or MUTANTS:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for copied in _COPIED:
                place = ROOT / copied
                (shutil.copytree if place.is_dir() else shutil.copy)(place, root / copied)
            MUTANTS[name].apply(root)
            command = [sys.executable, "-m", __spec__.name, "--live"]
            command += ["--seeds", str(options.seeds), "--from", str(options.first)]
            environ = {**os.environ, "PYTHONPATH": folder, "PYTHONHASHSEED": "0"}
            done = subprocess.run(
                command, cwd=folder, env=environ, text=True, stdout=subprocess.PIPE
            )
        _say(f"{name}: {done.stdout.strip()}")
        if done.returncode != 1:
            survivors.append(name)
    _say(f"{len(survivors)} survive: {survivors}")
    return int(bool(survivors))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alone")
    parser.add_argument("--seeds", type=int, default=500, metavar="N", help="as many at most (500)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N", help="the first")
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _live(first: int, seeds: int) -> int:
    """Live seeds until one fails; 1 if one did."""
    from tests.simulation.plan import draw
    from tests.simulation.run import runner

    with runner() as each:
        for seed in range(first, first + seeds):
            outcome = each.live(draw(seed))
            if outcome.failures:
                _say(f"found by seed {seed}, after {seed - first}: {outcome.failures[0][:200]}")
                return 1
    _say(f"survives {seeds} seeds")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
