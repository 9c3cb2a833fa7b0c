"""The answer as a piece of a notebook: without a style of its own, so that it is light or dark as the notebook is."""

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from analyzer.reports.answer import answer

if TYPE_CHECKING:
    from analyzer.analysis import Analysis


def render_answer(analysis: "Analysis", *, show_secrets: bool = False) -> str:
    """Return the answer as HTML without a head; passwords that were found are masked unless show_secrets is true."""
    environment = Environment(
        loader=PackageLoader("analyzer.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("answer.html.j2").render(answer=answer(analysis, show_secrets=show_secrets))
