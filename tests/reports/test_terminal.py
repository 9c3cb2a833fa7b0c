from io import StringIO

import pytest
from reports.synthetic import analysis, attacked, capture, hostile, hostile_analysis
from rich.cells import cell_len
from rich.console import Console

from analyzer.reports import terminal
from analyzer.reports.answer import answer
from analyzer.tables import TABLES
from analyzer.tools.signatures import load_signatures


def printed(write, *args, width=80, colour=False, **options):
    file = StringIO()
    console = Console(
        file=file, width=width, force_terminal=colour, color_system="truecolor" if colour else None, highlight=False
    )
    write(*args, console=console, **options)
    return file.getvalue()


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("told", [attacked, hostile_analysis], ids=["attacked", "hostile"])
def test_no_line_is_too_long(told, width):
    lines = str(terminal.render(told(), report="report/report.html", width=width)).splitlines()

    assert max(map(cell_len, lines)) <= width


def test_all_words_of_the_answer_are_there():
    told = attacked()
    shown = words(str(terminal.render(told)))

    for line in answer(told).lines:
        if line.role != "campaign":
            assert words(line.text) in shown
        for cell in line.cells:
            assert cell in shown


def test_campaigns_stand_in_columns_where_they_fit():
    shown = str(terminal.render(attacked(), width=120))
    wide = [line for line in shown.splitlines() if line.startswith(("  k7f2", "  m3qd"))]

    assert wide[0].endswith("password guessing      1 source  09:14-09:41     1 target  breached")
    assert wide[0].index("09:14") == wide[1].index("09:50")


def test_the_label_of_an_advice_is_said_once():
    assert str(terminal.render(attacked())).count("DO NOW") == 1


def test_each_advice_begins_with_a_bullet():
    told = attacked()
    lines = str(terminal.render(told)).splitlines()

    assert sum(line[10:12] == "- " for line in lines) == len(answer(told).of("advice"))


def test_an_address_is_never_cut():
    address = "2001:db8:1111:2222:3333:4444:5555:6666"
    told = analysis(
        captures=[capture(packets=0)],
        attacks=[{"attack": "a", "source": address}],
        sources=[{"source": address, "verdict": "attacking"}],
    )

    assert address in str(terminal.render(told, width=60))


def test_hostile_text_holds_no_control_character():
    shown = str(terminal.render(hostile_analysis()))

    assert all(character.isprintable() or character == "\n" for character in shown)


def test_without_a_terminal_the_answer_is_plain():
    assert "\x1b" not in printed(terminal.print_answer, attacked())


def test_a_terminal_gets_colour_and_the_same_words():
    told = attacked()
    coloured = printed(terminal.print_answer, told, colour=True)

    assert "\x1b[1;31mBREACH" in coloured
    assert "\x1b[1;31mbreached" in coloured
    assert "\x1b[1mk7f2" in coloured
    assert printed(terminal.print_answer, told) == str(terminal.render(told))


@pytest.mark.parametrize("name", sorted(TABLES))
@pytest.mark.parametrize("rows", [attacked(), hostile_analysis()], ids=["attacked", "hostile"])
def test_a_table_fits_the_terminal(name, rows):
    shown = printed(terminal.print_table, name, getattr(rows, name))

    assert all(character.isprintable() or character == "\n" for character in shown)
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_a_table_says_how_many_rows_it_has():
    frame = hostile("sources")

    assert f"{len(frame)} sources" in printed(terminal.print_table, "sources", frame)


def test_the_tools_are_listed_by_name():
    signatures = load_signatures()
    shown = printed(terminal.print_tools, signatures, width=100)

    assert "SIPVicious" in shown
    assert max(map(len, shown.splitlines())) <= 100
