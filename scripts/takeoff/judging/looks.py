"""Looks: each time that a claim is judged on other data, and what each may spend of α; `looks.json` keeps them.

To judge, raise `seeds` and judge again gives chance another turn: with looks at 6, 9 and 12 seeds 10% to 12% of studies
decide a claim that lies on its line, with five looks up to 24 seeds 15% to 17%, where 5% were promised. So looks share
α. The first takes four fifths of it, each later one four fifths of what is left: of 5%, 4%, 0.8%, 0.16%, … Together
they spend no more, whatever they have in common (Bonferroni), however many there are, none of them planned; simulated
as above, 4.0% to 4.8%. Spending functions (Lan & DeMets 1983, Biometrika 70, 659–663) need the largest number of seeds
beforehand, which nobody knows who adds some because a verdict was open.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from takeoff.common.digests import code_digest
from takeoff.common.errors import TakeoffError
from takeoff.common.files import digest_of, load_json, write_json
from takeoff.common.machine import commit

if TYPE_CHECKING:
    from takeoff.statistics.measures import Measure

LOOKS = "looks.json"


def share_of(look: int) -> float:
    """Of α, what the look of that number may spend, from 1; all of them together 1."""
    return 0.8 * 0.2 ** (look - 1)


def look_at(claim: str, measures: "Iterable[Measure]", looks: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """The number, from 1, of that at what was measured of a claim after `looks`, the same for the same data; and what
    identifies these, to six digits, or nothing where they can decide nothing.
    """
    numbers = [[m.part, *(f"{x:.6g}" for x in (m.estimate, m.error, m.freedom))] for m in measures if m.testable]
    data = digest_of([claim, *numbers]) if numbers else ""
    seen = dict.fromkeys(look["claims"][claim]["data"] for look in looks if claim in look["claims"])
    return [*seen, data].index(data) + 1, data


def read_looks(results: Path) -> Any:
    """Those until now; none where there is no file of them. A TakeoffError says that it is damaged."""
    path = results / LOOKS
    looks = load_json(path).get("looks") if path.exists() else []
    if not isinstance(looks, list):
        raise TakeoffError(f"{path}: looks: {looks!r} is not valid; remove the file, and looks are counted anew")
    return looks


def keep_look(results: Path, judged: Iterable[Any], **rests_on: Any) -> None:
    """Add one, if any of the `JudgedClaim`s rests on new data. The file is no output of a rule, since Snakemake deletes
    these before their job.
    """
    looks, now = read_looks(results), {}
    for one in judged:
        measures = [judgement.part.measure for judgement in one.judgements]
        if data := look_at(one.claim.name, measures, looks)[1]:
            now[one.claim.name] = {"look": one.look, "data": data, "n": [m.n for m in measures], "verdict": one.verdict}
    if any(str(one["data"]) not in str(looks) for one in now.values()):
        head, changed = commit() or ("", False)
        look = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "commit": head[:7] + "+" * changed}
        look |= {"code": code_digest("judging")} | {name: digest_of(value) for name, value in rests_on.items()}
        write_json(results / LOOKS, {"looks": [*looks, look | {"claims": now}]})
