"""Connect Four: a tree search in compiled code, with a net that judges the leaves.

    python scripts/examples/tree_search.py [--quick]

The net learns from games of random players who tends to win a position. Alpha-beta search asks it wherever the depth
is used up, some million times a second.

A board is two 64-bit numbers, the stones of the player to move and those of the other. Column c holds the bits 7c to
7c + 5, from below; the bit above stays empty, so that no line of four goes around the edge.
"""

from __future__ import annotations

import argparse
from typing import Any

import beside_torch
import numpy as np
from numba import njit, prange

from nbdl import Sequential
from nbdl.layers import Dense

COLUMNS, ROWS = 7, 6
ORDER = (3, 2, 4, 1, 5, 0, 6)  # the middle is best more often
WON = 2.0  # above all that the net can say


@njit(cache=True)
def has_four(stones: int) -> bool:
    """Whether there are four in a line."""
    for step in (1, 6, 7, 8):
        pairs = stones & (stones >> step)
        if pairs & (pairs >> 2 * step):
            return True
    return False


@njit(cache=True)
def dropped(mine: int, theirs: int, column: int) -> int:
    """My stones with one more in that column, or 0 if the column is full."""
    taken = mine | theirs
    place = (taken + (1 << 7 * column)) & (0b111111 << 7 * column) & ~taken
    return mine | place if place else 0


@njit(cache=True)
def draw_board(mine: int, theirs: int, x: Any) -> None:
    """The board as the net sees it: 1 my stones, -1 theirs."""
    for column in range(COLUMNS):
        for row in range(ROWS):
            bit = 7 * column + row
            x[ROWS * column + row] = ((mine >> bit) & 1) - ((theirs >> bit) & 1)


@njit(cache=True)
def search(net: Any, mine: int, theirs: int, depth: int, low: float, high: float, x: Any, y: Any, count: Any) -> float:
    """The value for the player to move, by alpha-beta; `count` counts the leaves."""
    if depth == 0:
        count[0] += 1
        draw_board(mine, theirs, x)
        return net(x, y)[0]
    for column in ORDER:
        if has_four(dropped(mine, theirs, column)):
            return WON + depth  # sooner is better
    best = -np.inf
    for column in ORDER:
        moved = dropped(mine, theirs, column)
        if moved:
            best = max(best, -search(net, theirs, moved, depth - 1, -high, -max(low, best), x, y, count))
        if best >= high:
            break
    return best if best > -np.inf else 0.0  # the board is full


@njit(cache=True)
def values_of_moves(net: Any, mine: int, theirs: int, depth: int, count: Any) -> Any:
    """The value of each column for the player to move; minus infinity for a full one."""
    x, y, values = np.empty(net.inputs, np.float32), np.empty(1, np.float32), np.full(COLUMNS, -np.inf)
    for column in range(COLUMNS):
        moved = dropped(mine, theirs, column)
        if moved and has_four(moved):
            values[column] = WON + depth
        elif moved:
            values[column] = -search(net, theirs, moved, depth - 1, -np.inf, np.inf, x, y, count)
    return values


@njit(cache=True)
def random_game(x: Any, y: Any) -> int:
    """Play at random; writes the boards, and for each who won it at last (1 the player to move); returns how many."""
    mine, theirs, moves, winner = 0, 0, 0, 0.0
    while moves < COLUMNS * ROWS and winner == 0.0:
        draw_board(mine, theirs, x[moves])
        moved = 0
        while not moved:
            moved = dropped(mine, theirs, np.random.randint(COLUMNS))
        mine, theirs, moves = theirs, moved, moves + 1
        if has_four(moved):
            winner = 1.0
    for before in range(moves):
        y[before, 0] = winner if (moves - before) % 2 else -winner
    return moves


@njit(cache=True)
def random_games(count: int) -> Any:
    """Boards and who won, of so many games; three in a row of each game, from its later half."""
    x, y = np.empty((count, 3, COLUMNS * ROWS), np.float32), np.empty((count, 3, 1), np.float32)
    np.random.seed(0)
    for i in range(count):
        boards = np.empty((COLUMNS * ROWS, COLUMNS * ROWS), np.float32)
        results = np.empty((COLUMNS * ROWS, 1), np.float32)
        moves = random_game(boards, results)
        first = np.random.randint(moves // 3, moves - 3)
        x[i], y[i] = boards[first : first + 3], results[first : first + 3]
    return x.reshape(-1, COLUMNS * ROWS), y.reshape(-1, 1)


@njit(cache=True, parallel=True)
def wins_against_random(net: Any, games: int, depth: int) -> float:
    """The share of games that the search wins; it begins every other one. A draw is half a win."""
    points = np.empty(games)
    for game in prange(games):
        np.random.seed(game)
        mine, theirs, moves, points[game] = 0, 0, 0, 0.5
        count = np.zeros(1, np.int64)
        while moves < COLUMNS * ROWS:
            searcher = (moves + game) % 2 == 0
            if searcher:
                moved = dropped(mine, theirs, np.argmax(values_of_moves(net, mine, theirs, depth, count)))
            else:
                moved = 0
                while not moved:
                    moved = dropped(mine, theirs, np.random.randint(COLUMNS))
            if has_four(moved):
                points[game] = 1.0 if searcher else 0.0
                break
            mine, theirs, moves = theirs, moved, moves + 1
    return points.mean()


def learn(quick: bool) -> Sequential:
    """A net that judges boards."""
    x, y = random_games(10_000 if quick else 100_000)
    model = Sequential([Dense(32, activation="tanh", input_dim=COLUMNS * ROWS), Dense(1, activation="tanh")], seed=1)
    model.compile(loss="mse", optimizer="adam")
    model.fit(x, y, batch_size=128, epochs=10, verbose=0)
    return model


def board(text: str) -> tuple[int, int]:
    """(mine, theirs) from a drawing, the top row first: x is mine, o theirs."""
    stones = {"x": 0, "o": 0, ".": 0}
    for row, line in enumerate(reversed(text.split())):
        for column, stone in enumerate(line):
            stones[stone] |= 1 << 7 * column + row
    return stones["x"], stones["o"]


WIN = """
    .......
    .......
    .......
    .x.....
    .x.....
    .xoo.o.
"""
BLOCK = """
    .......
    .......
    .......
    .o.....
    .o.x...
    xo.x...
"""
TWO_THREATS = """
    .......
    .......
    .......
    .......
    ...o...
    ..xx.o.
"""


def compare(model: Sequential, depth: int, rounds: int) -> None:
    """The same search with PyTorch at the leaves; all leaves below a board in one batch, which pruning cannot have."""
    import torch

    eager = beside_torch.copied(model)
    script, net = beside_torch.scripted(eager), model.as_njit()

    def torch_search(judge: Any, mine: int, theirs: int, depth: int, low: float, high: float) -> float:
        moves = [moved for column in ORDER if (moved := dropped(mine, theirs, column))]
        if any(has_four(moved) for moved in moves):
            return WON + depth
        if not moves:
            return 0.0
        if depth == 1:
            x = np.empty((len(moves), COLUMNS * ROWS), np.float32)
            for moved, row in zip(moves, x, strict=True):
                draw_board(theirs, moved, row)
            return float(-judge(torch.from_numpy(x)).min())
        best = -np.inf
        for moved in moves:
            best = max(best, -torch_search(judge, theirs, moved, depth - 1, -high, -max(low, best)))
            if best >= high:
                break
        return best

    x, y, count = np.empty(net.inputs, np.float32), np.empty(1, np.float32), np.zeros(1, np.int64)
    given = (*board(TWO_THREATS), depth, -np.inf, np.inf)
    value = search(net, *given, x, y, count)
    calls = {
        "nbdl, compiled": lambda: search(net, *given, x, y, np.zeros(1, np.int64)),
        "PyTorch at the leaves": lambda: torch_search(eager, *given),
        "TorchScript at the leaves": lambda: torch_search(script, *given),
    }
    with torch.inference_mode():
        np.testing.assert_allclose(torch_search(eager, *given), value, atol=1e-5)
        beside_torch.show(f"a search of depth {depth}, {count[0]} leaves", calls, rounds)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Learn, solve positions, play; returns what the tests look at."""
    parser = argparse.ArgumentParser(description="Connect Four by a compiled tree search with a net at its leaves")
    parser.add_argument("--quick", action="store_true", help="train less, measure less")
    quick = parser.parse_args(arguments).quick

    model = learn(quick)
    net, found = model.as_njit(), {}
    for name, text in (("win", WIN), ("block", BLOCK), ("two threats", TWO_THREATS)):
        count = np.zeros(1, np.int64)
        values = values_of_moves(net, *board(text), 6, count)
        found[name] = int(values.argmax())
        print(f"{name}: column {found[name]} of 0-6 is best, after {count[0]} leaves; values {np.round(values, 2)}")
    share = wins_against_random(net, 20 if quick else 200, 4)
    print(f"against a random player it wins {share:.1%} of the games")

    if beside_torch.INSTALLED:
        compare(model, 5 if quick else 7, rounds=3 if quick else 9)
    else:
        print("PyTorch is not installed: nothing to compare with")
    return {**found, "wins": float(share)}


if __name__ == "__main__":
    main()
