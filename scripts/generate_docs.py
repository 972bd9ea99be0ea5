"""Write docs/settings.md and docs/status.md from the code they describe. A test fails when they differ.

Usage: .venv/bin/python scripts/generate_docs.py
"""

from pathlib import Path
from typing import Any

from moorage.config import Quotas, Settings
from moorage.ecr import contract, sts
from moorage.ecr.operations import OPERATIONS
from moorage.oci.routes import ROUTES

DOCS = Path(__file__).parents[1] / "docs"

_SETTINGS_HEAD = """# Settings

Written by `scripts/generate_docs.py` from `src/moorage/config.py`.

A setting comes from, in this order: a flag of `moorage serve`, the environment (`MOORAGE_` and the name in capitals,
`MOORAGE_QUOTAS__REPOSITORIES` for one within a group), the TOML file named by `--config`, its default.
`moorage config` shows what takes effect, `moorage config --schema` the JSON Schema.

| setting | default | meaning |
|---|---|---|
"""

_STATUS_HEAD = """# What is built

Written by `scripts/generate_docs.py` from the code.

An operation that is not built is authenticated and its input validated; then it answers HTTP 501 with its name. A
parameter whose effect is not built is refused in the same way: nothing is accepted and then ignored.
"""

_STATUS_TAIL = """
## Parameters that are refused as not built

| operation | parameter |
|---|---|
| CreateRepository | `imageScanningConfiguration.scanOnPush` true; `encryptionConfiguration.encryptionType` KMS, KMS_DSSE |
| PutAccountSetting | `BASIC_SCAN_TYPE_VERSION` CLAIR |

## What else is not there yet

- S3: `--storage` refuses by name; blobs are files. Nothing moves a registry from SQLite to PostgreSQL yet.
- Garbage collection: what is deleted is gone for every client, its bytes stay on the disk. So do files that a
  crash left without a row.
- Scrubbing: a blob that is missing or cut short is noticed and repaired by pushing it again; a flipped bit is not.
- The history of tags as something to look at: it is written, but no face shows it yet.
- The console: `/console/` answers 404.

## What is proven, and by what

| promise | proof |
|---|---|
| OCI distribution 1.1 and 1.1+dev | `make conformance`: the official suite, no failure and no skip |
| real clients, plain and over TLS | `make clients` |
| an acknowledged push survives `kill -9` | `tests/durability`, 100 rounds in CI, 1,000 in `make proof`; on PostgreSQL, which is killed as well, 10 and 200 |
| an acknowledged push survives a power cut | `tests/durability/power_cuts.py`, 50 rounds in CI, 500 in `make proof`; servers whose syncs are only pretended are found out |
| each step of a push or a deletion may fail or end the server; disks may be full, read-only or gone | `tests/faults` |
| slow clients harm nobody; too much is turned away; a stop cuts nothing off; memory does not follow a layer's size | `python -m tests.load`, short in CI, with `--full` in `make proof` |
| bad input gets a clear error and leaves no trace | `tests/threats`, an index of cases that fails where a test is missing; `python -m tests.fuzz`, 100,000 hostile requests in CI, ten million in `make proof` |
| PostgreSQL is as good as SQLite | `.ci/run postgresql`: services, transfers and both faces on a real server, concurrent pairs, outages |
| who may do what is decided alike on both faces and at once | `tests/access`: a matrix of every operation and route, expected by an evaluator of its own; `tests/unit/rules/policy` |
| every call leaves a record, every change's in its own transaction | `tests/server/test_audit.py`, `tests/architecture/test_audit.py` |
| every sample of the API reference | `tests/ecr/test_seeds.py` |
| imports only go down | `make layers` |

Next: PostgreSQL under many writers, lifecycle rules, scanning and replication. The marks for speed that are missed are
named in [benchmarks.md](benchmarks.md).
"""


def render_settings() -> str:
    """The page of settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        if name == "quotas":
            continue
        rows.append(f"| `{name}` | {_default(field)} | {field.description} |")
    for name, field in Quotas.model_fields.items():
        rows.append(f"| `quotas.{name}` | {_default(field)} | {field.description} 0 lifts it. |")
    return _SETTINGS_HEAD + "\n".join(rows) + "\n"


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value in (None, "", {}, ()):
        return ""
    return f"`{', '.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


def render_status() -> str:
    """The page of what is built."""
    lines = [_STATUS_HEAD, "## ECR JSON API", "", "| operation | |", "|---|---|"]
    lines += [
        f"| {name} | {'built' if name in OPERATIONS else 'not built: 501'} |"
        for name in sorted(contract.OPERATIONS)
    ]
    lines += [
        *(f"| sts:{name} | built |" for name in sorted(sts.ACTIONS)),
        "",
        "## OCI distribution API",
        "",
        "| route | action |",
        "|---|---|",
    ]
    lines += [f"| `{route.method} {route.shape}` | {route.action} |" for route in ROUTES]
    return "\n".join(lines) + "\n" + _STATUS_TAIL


def main() -> None:
    """Write both pages."""
    (DOCS / "settings.md").write_text(render_settings())
    (DOCS / "status.md").write_text(render_status())


if __name__ == "__main__":
    main()
