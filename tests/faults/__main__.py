"""`python -m tests.faults --seed S --minutes M` puts Stagewire through storms, and says if it kept its promises."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec
import uvloop

from tests.faults.broken import BREAKS
from tests.faults.keeper import servers
from tests.faults.plan import Kind
from tests.faults.report import Options, Report, markdown, words
from tests.faults.stage import StageError
from tests.faults.storm import run

FAILED = 1
NOTHING_KNOWN = 2


def main() -> int:
    """Run, or render what a run has written."""
    given = _parser().parse_args()
    if given.markdown:
        print(markdown(msgspec.json.decode(given.markdown.read_bytes(), type=Report)))
        return 0
    options = Options(**{name: getattr(given, name) for name in Options.__struct_fields__})
    folder = given.keep or Path(tempfile.mkdtemp(prefix="stagewire-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    # Root's Postgres runs as nobody, who must get there.
    folder.chmod(0o755)
    try:
        report = uvloop.run(run(options, folder, lambda line: print(line, flush=True)))
    except StageError as exc:
        print(f"the stage failed: {exc}", file=sys.stderr)
        return NOTHING_KNOWN
    except KeyboardInterrupt:
        _clear(folder, keep=bool(given.keep))
        return NOTHING_KNOWN
    return _conclude(report, folder, given)


def _conclude(report: Report, folder: Path, given: argparse.Namespace) -> int:
    print(f"\n{words(report)}")
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if report.broken:
        print(f"\nBroken. The logs are in {folder}; run again with --seed {report.options.seed}")
    _clear(folder, keep=bool(given.keep or report.broken))
    return FAILED if report.broken else 0


def _clear(folder: Path, *, keep: bool) -> None:
    if not keep:
        for server in servers(folder):
            server.erase()
        shutil.rmtree(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    default = Options()
    parser.add_argument("--seed", type=int, default=default.seed, help="chooses the faults (%(default)s)")
    parser.add_argument("--minutes", type=float, default=default.minutes, help="how long storms pass (%(default)s)")
    parser.add_argument("--acks", type=int, default=0, help="go on until so many, but for three times as long at most")
    for name in ("nodes", "sessions", "writers", "readers", "visitors"):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name), help="how many (%(default)s)")
    parser.add_argument("--rate", type=float, default=default.rate, help="messages a second, tried (%(default)s)")
    parser.add_argument("--most", type=int, default=default.most, help="faults of one storm (%(default)s)")
    parser.add_argument(
        "--healing", type=float, default=default.healing, help="seconds, or 0 to leave it unjudged (%(default)s)"
    )
    parser.add_argument("--kinds", nargs="*", choices=list(Kind), default=[], metavar="KIND", help="only these faults")
    parser.add_argument("--broken", choices=list(BREAKS), help="run a build with this defect, which must be found")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="have everything there, and keep it")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="only render a report that --json has written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
