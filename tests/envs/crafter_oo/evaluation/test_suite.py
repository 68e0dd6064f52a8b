"""The suite and its command: scores, the ceiling, users' models, and every mistake one line."""

import json

import jax
import pytest

from jaxrl import cli
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.evaluation import arena, exploration, models, suite
from jaxrl.envs.crafter_oo.evaluation.learned import FactoredModel
from jaxrl.envs.crafter_oo.evaluation.scenarios import select
from jaxrl.envs.crafter_oo.evaluation.suite import Score
from jaxrl.envs.crafter_oo.evaluation.truth import true_step
from tests.envs.crafter_oo.evaluation import user_model

RULES = rule_sets.crafter()
FEW = ("craft_iron_sword_no_coal", "place_table", "cow_movement", "zombie_defeat", "wake_up")
HERE = user_model.__name__


@pytest.fixture(scope="module")
def results():
    """All models but the learned one, which is here fitted to the same few scenarios' steps."""
    made = {
        name: models.make(name, RULES, jax.random.key(0))
        for name in ("oracle", "random", "no-change", f"{HERE}:timekeeper", f"{HERE}:lazy_cows")
    }
    steps = []
    for scenario in select(FEW):
        state, actions = scenario.build(jax.random.key(9))
        for step, action in enumerate(actions.tolist()):
            after = true_step(jax.random.key(step), state, action, RULES)
            steps.append((state, action, after))
            state = after
    made["fitted"] = FactoredModel().fit(steps * 5)
    return suite.evaluate(made, select(FEW), RULES, trials=3)


def test_the_oracle_is_the_ceiling(results):
    for name, scores in results.items():
        for scenario, score in scores.items():
            ceiling = results["oracle"][scenario]
            assert score.mrr <= ceiling.mrr + 1e-9, (name, scenario)
            assert 0 <= score.rank_at_1 <= 1
            assert 0 < score.mrr <= 1
    for scenario in FEW:
        if scenario != "cow_movement":  # the others have one next state
            assert results["oracle"][scenario] == Score(1.0, 1.0, 0.0, 0.0)
    assert results["oracle"]["cow_movement"].rank_at_1 < 1


def test_who_knows_more_scores_more(results):
    means = suite.totals(results)
    assert means["oracle"].mrr > means["fitted"].mrr > means["random"].mrr > means["no-change"].mrr
    edits = [means[name].edits for name in ("oracle", "fitted", "no-change", "random")]
    assert edits == sorted(edits)


def test_the_model_without_change_by_hand(results):
    # Its own sample comes first; all else is impossible, the true state among 11 such: the mean of
    # 1 / 2 .. 1 / 12.
    guess = sum(1 / place for place in range(2, 13)) / 11
    for score in results["no-change"].values():
        assert score.rank_at_1 == 0
        assert score.mrr == pytest.approx(guess)
    # Hunger, thirst, fatigue, recovery; wood 2 -> 0, the achievement, the cell.
    assert results["no-change"]["place_table"].edits == 7
    assert results["no-change"]["craft_iron_sword_no_coal"].edits == 4


def test_users_models(results):
    # It misses what is placed, its price and the achievement: second behind its own sample.
    keeper = results[f"{HERE}:timekeeper"]
    assert keeper["place_table"][:3] == (0.0, 0.5, 3.0)
    assert keeper["craft_iron_sword_no_coal"] == Score(1.0, 1.0, 0.0, 0.0)
    lazy = results[f"{HERE}:lazy_cows"]
    assert lazy["place_table"] == results["oracle"]["place_table"]
    assert lazy["cow_movement"].mrr < results["oracle"]["cow_movement"].mrr


def test_scores_do_not_depend_on_the_company(results):
    alone = suite.evaluate({"random": FactoredModel()}, select(FEW[2:3]), RULES, trials=3)
    assert alone["random"][FEW[2]] == results["random"][FEW[2]]
    other = suite.evaluate({"random": FactoredModel()}, select(FEW[2:3]), RULES, trials=3, seed=1)
    assert other != alone


def test_means_and_wins_by_hand():
    a = {"one": Score(1.0, 1.0, 0.0, 0.0), "two": Score(0.0, 0.5, 4.0, 0.5)}
    b = {"one": Score(1.0, 1.0, 2.0, 0.1), "two": Score(1.0, 0.75, 9.0, 0.9)}
    results = {"a": a, "b": b}
    assert suite.totals(results)["a"] == Score(0.5, 0.75, 2.0, 0.25)
    # Alike in rank on "one", where fewer edits decide.
    assert suite.wins(results, "a", "b") == (1, 1)
    assert suite.wins(results, "a", "a") == (0, 0)


def test_nonsense_is_named():
    key = jax.random.key(0)
    wrong = {"wrong": user_model.wrong_shape(RULES, key)}
    with pytest.raises(ValueError, match=r"a model's materials is \[16, 16\], got \[15, 16\]"):
        suite.evaluate(wrong, select(FEW[:1]), RULES, trials=1)
    nan = {"nan": user_model.not_a_number(RULES, key)}
    with pytest.raises(ValueError, match="log-probability must be a number below inf, got nan"):
        suite.evaluate(nan, select(FEW[:1]), RULES, trials=1)
    with pytest.raises(ValueError, match="at least one model"):
        suite.evaluate({}, select(FEW), RULES)


@pytest.fixture
def command(capsys):
    """Runs `jaxrl evaluate-model`; returns (exit code, standard output, standard error)."""

    def run(*words):
        capsys.readouterr()
        code = cli.main(["evaluate-model", *map(str, words)])
        return code, *capsys.readouterr()

    return run


def test_command(command, tmp_path):
    out = tmp_path / "scores.json"
    words = ["no-change", f"{HERE}:timekeeper", "--scenarios", "place_table", "eat_plant_unripe"]
    code, shown, progress = command(*words, "--trials", 1, "--out", out)
    assert code == 0
    lines = shown.splitlines()
    assert lines[0].split() == ["oracle", "no-change", f"{HERE}:timekeeper"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:5]}
    assert list(rows) == ["place_table", "eat_plant_unripe", "mean"]
    assert " ".join(rows["place_table"][:8]) == "1.00 1.00 0.0 0.000 0.00 0.19 7.0 0.023"
    assert f"{HERE}:timekeeper beats no-change on 2 of 2 scenarios and loses on 0" in shown
    assert "1 of 2: place_table" in progress
    record = json.loads(out.read_text())
    assert record["scenarios"]["no-change"]["place_table"]["edits"] == 7
    assert record["mean"]["oracle"]["mrr"] == 1
    assert record["wins_and_losses"]["no-change"]["oracle"] == [0, 2]
    assert record["command"].startswith("jaxrl evaluate-model no-change")


def test_mistakes_are_one_line(command, tmp_path):
    (tmp_path / "there.json").write_text("{}")
    for words, code, message in [
        (["orcale"], 2, "unknown model 'orcale'; did you mean oracle"),
        (["--scenarios", "eat_cows"], 2, "unknown scenario 'eat_cows'; did you mean eat_cow"),
        (["--rules", "crofter"], 1, "unknown rules 'crofter'; known are crafter, fixed"),
        (["--trials", "0"], 2, "--trials must be at least 1"),
        (["--trails", "3"], 2, "--trials"),
        (["no.such:thing"], 1, "cannot import the model"),
        (["--out", tmp_path / "there.json"], 1, "exists; --overwrite replaces it"),
        (["--out", tmp_path / "no" / "x.json"], 1, "there is no folder"),
        (["--out", tmp_path], 1, "is a folder"),
    ]:
        got, shown, error = command(*words)
        assert (got, shown) == (code, ""), words
        assert message in error
        assert error.count("\n") == 1
    assert (tmp_path / "there.json").read_text() == "{}"


def test_help_names_models_and_scenarios(command):
    code, shown, _ = command("--help")
    assert code == 0
    for word in ("oracle, random, no-change, learned", "--scenarios", "published, further, all"):
        assert word in " ".join(shown.replace("│", " ").split())


def test_the_learned_model_end_to_end(command, monkeypatch):
    # The life of a small world has the shapes, and so the compiled step, of the arenas.
    monkeypatch.setattr(exploration, "AREA", arena.AREA)
    monkeypatch.setattr(exploration, "CAPACITY", arena.CAPACITY)
    code, shown, _ = command("learned", "--scenarios", "random_movement", "--trials", 1)
    assert code == 0
    assert shown.splitlines()[0].split() == ["oracle", "learned"]
