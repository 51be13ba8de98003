"""The page of claims and its pictures, made of what the tests here wrote: `python examples/claims/page.py`.

python examples/claims/page.py [RESULTS] [DOCS]     the results of another folder, into another folder
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
sys.path.insert(0, str(HERE))

from claim import RESULTS, Machine, Result, Row, read  # noqa: E402  the path first
from plot import drawn, shown_value  # noqa: E402

from pytest_tfmem.figures import FIGURES  # noqa: E402
from pytest_tfmem.units import count_of  # noqa: E402

HEAD = HERE / "page_head.md"
PICTURES = "images/claims"
VERDICTS = {"holds": "holds", "fails": "**fails**", "depends": "*depends*"}
OF_SEVERAL = {"holds": "hold", "fails": "**fail**", "depends": "*depend*"}


def main(results_folder: Path = RESULTS, docs: Path = DOCS) -> None:
    try:
        results = read(results_folder)
    except ValueError as fault:
        sys.exit(str(fault))
    pictures = docs / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    for result in results:
        pictures.joinpath(f"{result.id}.svg").write_text(drawn(result.plot, result.rows), encoding="utf-8")
    docs.joinpath("claims.md").write_text(page_of(results), encoding="utf-8")


def page_of(results: list[Result]) -> str:
    """The page in Markdown: what it is, the verdicts, and each claim with what was measured of it."""
    counted = ", ".join(
        f"{count} {(VERDICTS if count == 1 else OF_SEVERAL)[name]}" for name, count in verdicts(results).items()
    )
    minutes = count_of(round(sum(result.seconds for result in results) / 60), "minute")
    contents = ["| claim | verdict | the figure that decides |", "|---|---|---|", *map(entry, results)]
    parts = [
        HEAD.read_text(encoding="utf-8").rstrip(),
        f"{count_of(len(results), 'claim')}: {counted}. All together they took {minutes} to measure.",
        "\n".join(contents),
    ]
    return "\n\n".join([*parts, machines(results), *map(section, results)]) + "\n"


def verdicts(results: list[Result]) -> dict[str, int]:
    return {name: sum(result.verdict == name for result in results) for name in VERDICTS}


def entry(result: Result) -> str:
    cells = [f"[{result.id}](#{result.id}): {result.claim}", verdict(result), result.figure]
    return f"| {' | '.join(map(plain, cells))} |"


def verdict(result: Result) -> str:
    """How it came out, and that no real card was there if none was."""
    return VERDICTS[result.verdict] + (" (stand-in)" if stands_in(result) else "")


def stands_in(result: Result) -> bool:
    return result.machine.card == "stand-in"


def machines(results: list[Result]) -> str:
    """Where they were measured, each machine once."""
    by_machine = sorted((said(result.machine), result.id) for result in results)
    lines = [
        f"- {machine} ({', '.join(f'`{id_}`' for _, id_ in found)})"
        for machine, found in groupby(by_machine, key=lambda one: one[0])
    ]
    return "\n".join(["## Where it was measured", "", *lines])


def said(machine: Machine) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    cards = {"": "no GPU", "stand-in": "stand-in CUDA libraries: bytes are real there, results are not"}
    card = cards.get(machine.card, machine.card)
    processor = f"{machine.model} ({machine.processor})" if machine.model else machine.processor
    return (
        f"{machine.system}, {processor}, {machine.cores} cores; Python {machine.python}, {packages}; "
        f"fresh processes by {machine.start_method}; {card}"
    )


def section(result: Result) -> str:
    code = f"[`{result.file}`](../examples/claims/{result.file}), `{result.test}`"
    where = ", on stand-in CUDA libraries: no real card" if stands_in(result) else ""
    parts = [
        f"## {result.id}",
        f"> {result.claim}",
        f"The claim {verdict(result)}: {result.figure}. {result.why}",
        f"![{result.plot.title}]({PICTURES}/{result.id}.svg)",
        table(result.rows),
        conditions(result),
        objections(result),
        f"Both sides: {code}. Measured on {result.measured_on}, in {result.seconds:.0f} s{where}.",
    ]
    return "\n\n".join(filter(None, parts))


def table(rows: list[Row]) -> str:
    """The rows, each with what its process was run with where that was not the same of all that were measured."""
    cells = [["measured", "figure", "median", "least to most", "N"], ["---"] * 5, *map(line, rows)]
    if len(runtimes(rows)) > 1:
        column = ["run with", "---", *(as_code(row.runtime or {}) for row in rows)]
        cells = [[*row, last] for row, last in zip(cells, column, strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def line(row: Row) -> list[str]:
    least, most = shown_value(min(row.values), row.unit), shown_value(max(row.values), row.unit)
    spread = f"{least} to {most}" if least != most else "the same"
    figure = f"`{row.figure}`" if row.figure in FIGURES else row.figure
    return [plain(row.what), figure, shown_value(row.median, row.unit), spread, str(len(row.values))]


def conditions(result: Result) -> str:
    """What was so for all of its rows, and the result depends on."""
    wanted = runtimes(result.rows)
    of_all = [f"Every process was run with {wanted[0]}."] if len(wanted) == 1 and wanted[0] else []
    return " ".join(["Conditions:", *of_all, *result.conditions]) if of_all or result.conditions else ""


def runtimes(rows: list[Row]) -> list[str]:
    """What processes that were measured were run with, each once."""
    return sorted({as_code(row.runtime) for row in rows if row.runtime is not None})


def as_code(runtime: dict[str, str]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in runtime.items())


def plain(text: str) -> str:
    """The text in a cell of a table, whatever is in it."""
    return text.replace("|", "&#124;").replace("<", "&lt;")


def objections(result: Result) -> str:
    if not result.objections:
        return ""
    tried = [f"- {objection} {outcome}" for objection, outcome in result.objections.items()]
    return "\n".join(["Objections that were tried:", "", *tried])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
