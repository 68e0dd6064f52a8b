"""The README's generated tables are those of the registry, and what it refers to exists."""

import re
from pathlib import Path

import pytest

from jaxrl import catalogue, registry

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_tables_are_up_to_date():
    assert catalogue.filled_in(README) == README, "run: python -m jaxrl.catalogue README.md"


def test_every_environment_and_algorithm_is_in_a_table_once():
    table = catalogue.environments_table() + catalogue.algorithms_table()
    listed = re.findall(r"`([^`]+)`", table)
    assert sorted(listed) == sorted([*registry.environments(), *registry.algorithms()])


def test_every_quirk_has_both_sides():
    rows = catalogue.quirks_table().splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert len(cells) == 4 and all(len(row) == 3 and all(row) for row in cells)
    assert cells[1][2] == "Lava kills."


def test_every_quirk_of_arcle_has_both_sides():
    rows = catalogue.arcle_quirks_table().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    assert len(cells) == 6 and all(len(row) == 3 and all(row) for row in cells)
    assert "`reference`, as in the package" in rows[0]
    assert cells[0][2] == "They stay unlimited."


def test_missing_marks_are_an_error():
    with pytest.raises(ValueError, match="<!-- algorithms -->"):
        catalogue.filled_in("<!-- environments -->\n<!-- end environments -->")


def test_links_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if ":" not in link and not (ROOT / link).exists()] == []
