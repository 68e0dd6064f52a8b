"""Pictures of economies: known tiles, curves worked by hand, and frames of real episodes."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxrl
from jaxrl.envs.economy.components.bracket_tax import PeriodicBracketTax, TaxState
from jaxrl.envs.economy.market import Trades
from jaxrl.envs.economy.state import State
from jaxrl.rendering import draw
from jaxrl.rendering.economy import economy_report, history, land, lorenz, map_picture, panels
from jaxrl.rendering.economy import picture as gather_trade_build
from jaxrl.rendering.economy.history import bracket_cutoffs, ginis, houses
from jaxrl.rendering.economy.one_step import one_step
from jaxrl.rendering.economy.picture import HEIGHT, LAND, MARGIN, WIDTH
from jaxrl.rendering.episode import Episode, moment_only
from jaxrl.rendering.frames import Frames, Moment, find_renderer
from tests.unoptimised import jit

TILE = 20
CUTOFFS = (0.0, 10.0, 40.0)


def village(steps=2):
    """An episode of `steps` + 1 states, of 3 x 4 tiles and two agents.

    Row 0: water, soil, wood, stone. Row 1: the two sources without a unit, houses of 0 and of 1.
    Row 2: agents 0 and 1 on soil, soil, soil; in the last state agent 1 is on its house.
    """
    sources, resources = np.zeros((2, 2, 3, 4), np.int8)
    sources[1, [0, 1], [2, 0]] = sources[0, [0, 1], [3, 1]] = 1
    resources[1, 0, 2] = resources[0, 0, 3] = 1
    water, house = np.zeros((3, 4), bool), np.full((3, 4), -1, np.int8)
    water[0, 0] = True
    house[1, 2:] = [0, 1]
    location = np.tile(np.array([[2, 0], [2, 1]], np.int32), (steps + 1, 1, 1))
    location[-1, 1] = [1, 3]
    count = np.arange(steps + 1)

    def still(leaf):
        return np.broadcast_to(leaf, (steps + 1, *np.shape(leaf)))

    tax = TaxState(
        position=1 + count,
        rates=still(np.zeros((1, 3))),
        shown_rates=np.stack([np.array([[0.5, 0.0, 1.0]]) * (t > 0) for t in count]),
        limit=still(1.0),
        last_coin=still(np.array([2.0, 0.0])),
        last_income=still(np.zeros(2)),
        last_rate=still(np.zeros(2)),
        saez=(),
    )
    states = State(
        time=count,
        resources=still(resources),
        sources=still(sources.astype(bool)),
        water=still(water),
        house=still(house),
        location=location,
        coin=np.stack([2.0 + 0 * count, 10.0 * count], axis=1),
        coin_escrow=np.stack([0 * count, 0.5 * (count > 0)], axis=1),
        units=still(np.array([[1, 2], [3, 4]])),
        units_escrow=still(np.array([[0, 1], [0, 0]])),
        labor=np.stack([1.0 * count, 3.0 * count], axis=1),
        utility=still(np.zeros(2)),
        welfare=still(np.zeros(1)),
        completions=still(0),
        positive_steps=still(0),
        own={"PeriodicBracketTax": tax},
    )
    # In the second step agent 1 buys stone of agent 0 for 4; nothing else is traded.
    happened = np.zeros((steps, 2, 2), bool)
    happened[1, 0, 0] = True
    seller = np.zeros((steps, 2, 2), np.int32)
    trades = Trades(happened, seller + 1, seller, seller + 4, seller + 7)
    returns = np.zeros(steps + 1, np.float32)
    infos = {"ContinuousDoubleAuction": trades}
    return Episode(states, None, None, returns[1:], returns, 0, True, False, infos)


ECONOMY = SimpleNamespace(
    name="GatherTradeBuild-v1",
    components=(
        SimpleNamespace(name="ContinuousDoubleAuction", max_bid=10),
        PeriodicBracketTax(system="fixed", cutoffs=CUTOFFS),
    ),
)


def state_of(episode, index):
    return jax.tree.map(lambda leaf: leaf[index], episode.states)


def centre(frame, row, column, tile=TILE, down=0.5):
    return tuple(frame[int((row + down) * tile), column * tile + tile // 2])


def test_every_tile_has_its_colour():
    frame = map_picture(state_of(village(), 0), TILE)
    assert frame.shape == (60, 80, 3) and frame.dtype == np.uint8
    expected = [
        [land.WATER, land.SOIL, land.TREE, land.STONE],
        [land.STUMP, None, draw.BLUE, draw.ORANGE],
        [None, None, land.SOIL, land.SOIL],
    ]
    for row, colours in enumerate(expected):
        for column, colour in enumerate(colours):
            if colour is not None:
                # A little below the middle is a house's wall; its roof and its door are not.
                x = column * TILE + (TILE // 4 if row == 1 and column > 1 else TILE // 2)
                y = row * TILE + (11 if row == 1 else 10)
                assert tuple(frame[y, x]) == draw.rgb(colour), (row, column)
    # Pebbles are small: most of the tile is soil.
    pebbles = frame[20:40, 20:40]
    assert (pebbles == draw.rgb(land.PEBBLE)).all(axis=2).sum() > 10
    assert (pebbles == draw.rgb(land.SOIL)).all(axis=2).sum() > 200
    house = frame[20:40, 40:60]
    assert (house == draw.rgb(land._LIGHT)).all(axis=2).any()  # the door


def test_agents_have_their_own_colours_and_shapes_and_are_above_all():
    frame = map_picture(state_of(village(), 0), TILE)
    for agent, colour in ((0, draw.BLUE), (1, draw.ORANGE)):
        here = frame[40:60, 20 * agent : 20 * agent + 20]
        assert (here == draw.rgb(colour)).all(axis=2).sum() > 60
        # The square has a white corner where the disc shows soil.
        assert (here[2, 2] == draw.rgb([land.SOIL, land._LIGHT][agent])).all()
    moved = map_picture(state_of(village(), -1), TILE)
    assert tuple(moved[50, 30]) == draw.rgb(land.SOIL)
    on_its_house = moved[20:40, 60:80]
    assert (on_its_house != frame[20:40, 60:80]).any()
    np.testing.assert_array_equal(on_its_house[3:17, 3:17], frame[43:57, 23:37])
    tiles = land.make_tiles(TILE, 41)
    looks = np.concatenate([tiles.agents, np.repeat(tiles.shapes, 3, axis=3)], axis=3)
    plain = land.make_tiles(8, 41)  # too small for numbers
    assert len({x.tobytes() for x in looks}) == 41
    small = [a.tobytes() + s.tobytes() for a, s in zip(plain.agents, plain.shapes, strict=True)]
    assert len(set(small)) == 40 and small[0] == small[40]


@pytest.mark.parametrize("tile", [4, 7, 31])
def test_maps_of_any_size(tile):
    assert map_picture(state_of(village(), 0), tile).shape == (3 * tile, 4 * tile, 3)


def test_a_map_is_of_pixels():
    with pytest.raises(ValueError, match="tile must be at least 4 pixels, got 3"):
        map_picture(state_of(village(), 0), 3)


def test_lorenz_curve():
    """4, 1, 0 and 3 coins: in order 0, 1, 3, 4 of 8."""
    agents, shares, order = lorenz([4, 1, 0, 3])
    np.testing.assert_array_equal(agents, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(shares, [0, 0, 0.125, 0.5, 1])
    assert order.tolist() == [2, 1, 3, 0]
    np.testing.assert_array_equal(lorenz([0.0, 0.0])[1], [0, 0.5, 1])
    np.testing.assert_array_equal(lorenz([5.0])[1], [0, 1])
    # Twice the area between the diagonal and the curve, times N / (N - 1), is the Gini index.
    coin = np.random.default_rng(0).exponential(size=7)
    agents, shares, _ = lorenz(coin)
    area = np.trapezoid(agents - shares, agents)
    assert ginis(coin[None])[0] == pytest.approx(2 * area * 7 / 6, abs=1e-6)


@pytest.mark.parametrize("wrong", [[], [1.0, -0.1], [[1.0]], [np.nan, 1.0]])
def test_lorenz_curves_are_of_coin(wrong):
    with pytest.raises(ValueError, match="a Lorenz curve is of at least one agent's coin"):
        lorenz(wrong)


def test_an_episode_in_numbers():
    told = history(ECONOMY, village())
    np.testing.assert_array_equal(told.coin, [[2, 0], [2, 10.5], [2, 20.5]])
    np.testing.assert_array_equal(told.units[-1], [[1, 3], [3, 4]])
    np.testing.assert_array_equal(told.productivity, [2, 12.5, 22.5])
    # Of two the Gini index is the difference over the sum.
    np.testing.assert_allclose(told.equality, [0, 1 - 8.5 / 12.5, 1 - 18.5 / 22.5], atol=1e-6)
    np.testing.assert_array_equal(told.cutoffs, CUTOFFS)
    np.testing.assert_array_equal(told.rates[:, 0], [[0, 0, 0], [0.5, 0, 1], [0.5, 0, 1]])
    np.testing.assert_array_equal(told.income, [[0, 0], [0, 10.5], [0, 20.5]])
    assert [column.tolist() for column in told.deals] == [[2], [0], [1], [0], [4]]
    assert told.deals.until(1).step.size == 0 and told.deals.until(2).price.tolist() == [4]
    assert houses(state_of(village(), 0), 3).tolist() == [1, 1, 0]
    later = history(ECONOMY, village()._replace(first_step=100))
    assert later.first_step == 100 and later.deals.step.tolist() == [102]
    untold = history(ECONOMY, village()._replace(infos=None))
    assert untold.deals.step.size == 0
    free = SimpleNamespace(components=(PeriodicBracketTax(system="none"),))
    np.testing.assert_allclose(bracket_cutoffs(free)[[1, -1]], [9.7, 510.3])


def test_an_economy_without_taxes_and_market():
    episode = village()
    episode = episode._replace(states=episode.states.replace(own={}), infos={})
    bare = SimpleNamespace(name="Bare-v0", components=())
    told = history(bare, episode)
    assert told.cutoffs.size == told.rates.size == told.deals.step.size == 0
    assert gather_trade_build(Moment(bare, None, "Bare-v0", episode, 1)).shape[2] == 3
    assert len(economy_report(bare, episode).axes) == 9


def test_places_on_axes():
    """Brackets from 0, 10 and 40 are 1 wide each; the last is drawn as if it ended at 80."""
    places = panels.bracket_place([-3, 5, 10, 25, 60, 900], np.array(CUTOFFS))
    np.testing.assert_allclose(places, [0, 0.5, 1, 1.5, 2.5, 3])
    assert panels.ticks(0, 10) == [0, 5, 10]
    assert panels.ticks(3, 17) == [5, 10, 15]
    np.testing.assert_allclose(panels.ticks(0, 1.04), [0, 0.5, 1])
    np.testing.assert_allclose(panels.ticks(0, 0.7), [0, 0.2, 0.4, 0.6])


CARD = (0.0, 0.0, 246.0, 146.0)  # whose axes are 200 x 100 pixels, from (34, 26) to (234, 126)


def panel(draws, *args):
    """Pixels of a panel, uint8 [146, 246, 3]."""
    canvas = draw.Canvas(246, 146)
    draws(canvas, CARD, *args)
    return canvas.pixels()


def where(frame, colour):
    """Mean x and y of the pixels of a colour."""
    rows, columns = np.nonzero((frame == draw.rgb(colour)).all(axis=2))
    assert rows.size, "no such pixels"
    return columns.mean() + 0.5, rows.mean() + 0.5


def test_coin_over_time():
    """The newest value has a dot; the axis ends at 1.05 times the highest of the episode."""
    coin = np.array([[0.0, 0], [4, 8], [0, 0], [0, 0]])
    frame = panel(panels.coins, coin, 1, 0)
    x = 34 + 200 / 3
    for colour, value in ((draw.BLUE, 4), (draw.ORANGE, 8)):
        near = frame[:, int(x) - 1 : int(x) + 4]
        rows = np.nonzero((near == draw.rgb(colour)).all(axis=2))[0]
        assert rows.mean() + 0.5 == pytest.approx(126 - 100 * value / 8.4, abs=1.5)
        assert not (frame[30:120, int(x) + 6 :] == draw.rgb(colour)).all(axis=2).any()


def test_trades_have_the_colours_of_buyer_and_seller():
    deals = history(ECONOMY, village()).deals
    early = panel(panels.market, deals, 1, (0, 4), 10.0)
    for colour in (draw.BLUE, draw.ORANGE):
        assert not (early == draw.rgb(colour)).all(axis=2).any()
    frame = panel(panels.market, deals, 2, (0, 4), 10.0)
    at = pytest.approx((34 + 100, 126 - 100 * 4 / 10.6), abs=1)
    assert where(frame, draw.ORANGE) == at and where(frame, draw.BLUE) == at  # buyer, seller
    row, column = (round(v) for v in reversed(where(frame, draw.ORANGE)))
    assert tuple(frame[row, column]) == draw.rgb(draw.ORANGE)
    assert (frame == draw.rgb(draw.BLUE)).all(axis=2)[row - 4, column - 4 : column + 4].all()


def test_tax_schedule():
    """Rates of 50, 0 and 100%: the first bar is half as high as the axis up to 100%, of 104."""
    income = np.array([5.0, 60.0])
    frame = panel(panels.schedule, np.array(CUTOFFS), np.array([[0.5, 0.0, 1.0]]), income)
    third = 200 / 3
    height = 100 / 1.04
    filled = (frame == draw.rgb(draw.GROUND)).all(axis=2)
    for bracket, rate in enumerate((0.5, 0.0, 1.0)):
        column = filled[:, int(34 + (bracket + 0.3) * third)]
        lines = 4 if rate < 1 else 0  # of the grid, and what is left of the bar
        assert column.sum() == pytest.approx(rate * height, abs=3 + lines)
    assert where(frame, draw.BLUE) == pytest.approx((34 + 0.5 * third, 126), abs=1)
    assert where(frame, draw.ORANGE) == pytest.approx((34 + 2.5 * third, 126), abs=1)
    several = panel(panels.schedule, np.array(CUTOFFS), np.eye(2, 3), income)
    for colour in panels.PLANNERS[:2]:
        assert (several == draw.rgb(colour)).all(axis=2).sum() > 100


def test_lorenz_panel():
    """Agent 1 owns 3 of 4 coins: agent 0 is at a half and a quarter, agent 1 at the corner."""
    frame = panel(panels.inequality, np.array([1.0, 3.0]), 0.5)
    side = (200 / 1.04, 100 / 1.04)
    assert where(frame, draw.BLUE) == pytest.approx((34 + side[0] / 2, 126 - side[1] / 4), abs=0.6)
    assert where(frame, draw.ORANGE) == pytest.approx((34 + side[0], 126 - side[1]), abs=0.6)


def test_frame_is_map_and_panels():
    episode = village()
    frame = gather_trade_build(Moment(ECONOMY, None, ECONOMY.name, episode, 2))
    assert frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8
    pixels = map_picture(state_of(episode, 2), 40)  # the largest tiles
    top, left = MARGIN + (LAND - 120) // 2, MARGIN + (LAND - 160) // 2
    np.testing.assert_array_equal(frame[top : top + 120, left : left + 160], pixels)
    earlier = gather_trade_build(Moment(ECONOMY, None, ECONOMY.name, episode, 1))
    assert (frame != earlier)[:, LAND + 2 * MARGIN :].any()
    alone = moment_only(state_of(episode, 2), None, 7, 0.0)
    frame = gather_trade_build(Moment(ECONOMY, None, ECONOMY.name, alone, 0))
    assert frame.shape == (HEIGHT, WIDTH, 3)


def test_large_maps_are_thinned_out():
    episode = village()
    wide = np.zeros((3, 3, 300), bool)
    states = episode.states.replace(
        water=wide,
        sources=np.stack([wide, wide], axis=1),
        resources=np.zeros((3, 2, 3, 300), np.int8),
        house=np.full((3, 3, 300), -1, np.int8),
    )
    episode = episode._replace(states=states)
    assert gather_trade_build(Moment(ECONOMY, None, "", episode, 0)).shape == (HEIGHT, WIDTH, 3)


def test_a_table_has_as_many_rows_as_fit():
    canvas = draw.Canvas(246, 146)
    panels.table(canvas, CARD, ["coin"], [[str(agent) for agent in range(12)]])
    frame = canvas.pixels()
    shown = [(frame == draw.rgb(land.colour_of(agent))).all(axis=2).any() for agent in range(8)]
    assert shown == [True] * 6 + [False] * 2  # and 6 more


def test_report(tmp_path):
    path = tmp_path / "report.png"
    figure = economy_report(ECONOMY, village(), "A village", path)
    with Image.open(path) as written:
        assert written.size == (1430, 792)
    assert figure.get_suptitle() == "A village"
    axes = {one.get_title(): one for one in figure.axes}
    np.testing.assert_array_equal(axes["coin"].lines[1].get_ydata(), [0, 10.5, 20.5])
    schedule = axes["tax rates by bracket of income"].lines[-1]
    np.testing.assert_array_equal(schedule.get_ydata(), [0.5, 0, 1, 1])
    (bought, *_) = axes["trades: buyers inside, sellers around"].collections
    np.testing.assert_array_equal(bought.get_offsets(), [[2, 4]])
    curve = axes["Lorenz curve of coin"].lines[2]
    np.testing.assert_allclose(curve.get_ydata(), [0, 2 / 22.5, 1])
    np.testing.assert_allclose(axes["labour"].lines[1].get_ydata(), [0, 3, 6])


def test_what_reports_are_of():
    with pytest.raises(ValueError, match="a report needs an episode of at least one step"):
        economy_report(ECONOMY, moment_only(state_of(village(), 0), None, 0, 0.0))
    with pytest.raises(ValueError, match="a report is of an economy with a map"):
        economy_report(ECONOMY, village()._replace(states=np.zeros(3)))


@pytest.fixture(scope="module")
def market():
    """A small map full of wood and stone, and agents who take what is legal at random."""
    env, params = jaxrl.make(
        "GatherTradeBuild-v1",
        layout="WSWS;SWSW;WS.W",
        agents=2,
        start="random",
        reach=1,
        starting_coin=20.0,
        max_steps_in_episode=40,
    )

    def step(state, obs, key):
        key_env, *keys = jax.random.split(key, 3)
        actions = {}
        for role, key_act in zip(obs, keys, strict=True):
            odds = jnp.where(obs[role]["action_mask"], jnp.float32(0), -jnp.inf)
            actions[role] = jax.random.categorical(key_act, odds).astype(jnp.int32)
        return env.step_env(key_env, state, actions, params)

    # Step by step in a program that compiles fast; `collect` of a game has its test elsewhere.
    step = jit(step)
    obs, state = jit(env.reset_env)(jax.random.key(0), params)
    states, infos = [state], []
    for key in jax.random.split(jax.random.key(1), 40):
        obs, state, _, terminated, info = step(state, obs, key)
        states.append(state)
        infos.append(info)
    assert terminated
    states, infos = (jax.tree.map(lambda *x: np.stack(x), *rows) for rows in (states, infos))
    returns = np.zeros(41, np.float32)
    episode = Episode(states, None, None, returns[1:], returns, 0, True, False, infos)
    return env, params, episode


def test_frames_of_a_real_episode(market):
    env, params, episode = market
    told = history(env, episode)
    counted = episode.states.own["ContinuousDoubleAuction"].trades.sum(axis=1)
    assert counted[-1] > 2
    for step in (0, 20, 40):
        assert told.deals.until(step).step.size == counted[step]
    assert (told.deals.buyer != told.deals.seller).all()
    frames = Frames(env, params, episode)
    assert len(frames) == 41 and frames[40].shape == (HEIGHT + draw.BAR_HEIGHT, WIDTH, 3)
    assert len(economy_report(env, episode).axes) == 9


def test_every_id_has_its_renderer():
    for name in jaxrl.registry.environments():
        found = find_renderer(SimpleNamespace(name=name)) if "brax" not in name else None
        if name.startswith("GatherTradeBuild-"):
            assert found.draw is gather_trade_build
        if name.startswith("OneStepEconomy-"):
            assert found.draw is one_step


@pytest.mark.parametrize("env_id", ["OneStepEconomy-v1", "OneStepEconomy-Planner-v1"])
def test_one_step_economy(env_id):
    """Two agents own 30 and 10; the first earned 40, the other nothing."""
    env, params = jaxrl.make(env_id, agents=2)
    _, state = env.reset_env(jax.random.key(0), params)
    state = state.replace(coin=jnp.asarray([30.0, 10.0]), production=jnp.asarray([40.0, 0.0]))
    episode = moment_only(state, None, 2, 0.0)
    frame = one_step(Moment(env, params, env_id, episode, 0))
    assert frame.shape == (400, 560, 3) and frame.dtype == np.uint8
    bars = frame[230:366, 48:262]
    heights = [
        (bars == draw.rgb(colour)).all(axis=2).sum(axis=0).max()
        for colour in (draw.BLUE, draw.ORANGE)
    ]
    # The axis is 135 pixels high and ends at 1.1 times the most of all.
    assert heights == pytest.approx([135 * 30 / 44, 135 * 10 / 44], abs=2)
