"""Keeps what the scenarios found and prints it as a table."""

from dataclasses import dataclass, field


@dataclass
class Result:
    """What came out of one scenario."""

    name: str
    expected: int
    seen: int = 0
    tasks: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return "FAILED" if self.problems else "ok"


def table(results: list[Result]) -> str:
    """Returns the results, one line each, and below them every problem in words."""
    width = max(len(result.name) for result in results)
    lines = [f"{'scenario':{width}}  paid calls: expected  seen  of these client tasks  verdict"]
    for result in results:
        lines.append(f"{result.name:{width}}  {result.expected:20}  {result.seen:4}  {result.tasks:21}  {result.verdict}")
    problems = [f"{result.name}: {problem}" for result in results for problem in result.problems]
    return "\n".join([*lines, "", *problems])
