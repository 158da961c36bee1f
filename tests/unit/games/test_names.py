"""Names of games: what they are taken apart into, and that equal games have equal names."""

from __future__ import annotations

import pytest

from sparring.errors import ConfigurationError
from sparring.games import (
    board_style,
    canonical,
    is_built_in,
    is_own,
    label,
    make,
    names,
    player_numbers,
    spec_of,
    with_players,
)
from sparring.games.names import GameName, parse


@pytest.mark.parametrize(
    ("text", "parts", "text_again", "file_name"),
    [
        ("connect_four", GameName("", "connect_four"), "connect_four", "connect_four"),
        (
            " ludo( num_players = 4 ) ",
            GameName("", "ludo", {"num_players": 4}),
            "ludo(num_players=4)",
            "ludo",
        ),
        ("a.b:C", GameName("a.b", "C"), "a.b:C", "C"),
        (
            "a:C.D(x=1.5,w=word)",
            GameName("a", "C.D", {"x": 1.5, "w": "word"}),
            "a:C.D(w=word,x=1.5)",
            "C_D",
        ),
        (
            "openspiel:go(k=7.5,b=5)",
            GameName("openspiel", "go", {"k": 7.5, "b": 5}),
            "openspiel:go(b=5,k=7.5)",
            "go",
        ),
        ("openspiel:2048", GameName("openspiel", "2048"), "openspiel:2048", "2048"),
        (
            "pettingzoo:a.b:own/c-v0(d=1)",
            GameName("pettingzoo", "a.b:own/c-v0", {"d": 1}),
            "pettingzoo:a.b:own/c-v0(d=1)",
            "c-v0",
        ),
        ("pettingzoo:a:c-v0", GameName("pettingzoo", "a:c-v0"), "pettingzoo:a:c-v0", "c-v0"),
        (
            "openspiel:x(game=go(a=1,b=2))",
            GameName("openspiel", "x", {"game": "go(a=1,b=2)"}),
            "openspiel:x(game=go(a=1,b=2))",
            "x",
        ),
        (
            "a:B(x=f(y=1,z=g(w=2)),v=[1])",
            GameName("a", "B", {"x": "f(y=1,z=g(w=2))", "v": "[1]"}),
            "a:B(v=[1],x=f(y=1,z=g(w=2)))",
            "B",
        ),
        (
            "a:B(x=-3,y=1e3,z=None)",
            GameName("a", "B", {"x": -3, "y": 1000.0, "z": None}),
            "a:B(x=-3,y=1000.0,z=None)",
            "B",
        ),
        ("a:B(x=.5)", GameName("a", "B", {"x": 0.5}), "a:B(x=0.5)", "B"),
        (
            "a:B(x=----1,y=1_0,z=inf)",
            GameName("a", "B", {"x": "----1", "y": "1_0", "z": "inf"}),
            "a:B(x=----1,y=1_0,z=inf)",
            "B",
        ),
        (
            "openspiel:x(f=true)",
            GameName("openspiel", "x", {"f": True}),
            "openspiel:x(f=true)",
            "x",
        ),
        (
            "pettingzoo:classic/go-v5",
            GameName("pettingzoo", "classic/go-v5"),
            "pettingzoo:classic/go-v5",
            "go-v5",
        ),
    ],
)
def test_a_name_is_taken_apart_and_put_together(text, parts, text_again, file_name):
    assert parse(text) == parts
    assert str(parse(text)) == text_again
    assert parse(text_again) == parts
    assert label(text) == file_name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4ludo",
        "ludo(",
        "ludo)",
        "a:",
        ":b",
        "ludo(4)",
        "ludo(a b=4)",
        "../x",
        "a b",
        "a(x=1,x=2)",
        "a(,)",
        "a" * 501,
    ],
)
def test_what_is_no_name(text):
    with pytest.raises(ConfigurationError, match="expected"):
        parse(text)


def test_equal_games_have_equal_names():
    assert canonical("ludo") == canonical("ludo(num_players=2)") == spec_of("ludo").name == "ludo"
    assert make("ludo(num_players=2)", 1).spec.name == "ludo"
    assert (
        canonical("ludo(num_players=3)")
        == spec_of("ludo(num_players=3)").name
        == "ludo(num_players=3)"
    )
    raw = "ludo(observation=raw)"
    assert canonical("ludo(observation=facts)") == "ludo"
    assert canonical("ludo(observation='raw',num_players=2)") == canonical(raw) == raw
    assert canonical('ludo(observation="raw")') == raw
    assert raw in names()
    for name in names():
        for number in player_numbers(name):
            game = with_players(name, number).name
            assert spec_of(game).num_players == number
            assert spec_of(game).name == game


def test_the_number_of_players_of_a_game():
    assert with_players("ludo", 4).name == "ludo(num_players=4)"
    assert with_players("ludo(num_players=4)", 4).name == "ludo(num_players=4)"
    assert with_players("connect_four", 2).name == "connect_four"
    for name, number in (("connect_four", 3), ("ludo(num_players=4)", 3), ("ludo", 5)):
        with pytest.raises(ConfigurationError, match=rf"num_players.*got {number}"):
            with_players(name, number)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("conect_four", "did you mean 'connect_four'"),
        ("ludo(num_players=5)", "num_players of ludo: got 5, expected 2 or 3 or 4"),
        ("ludo(size=5)", "takes no such argument: got size, expected num_players and observation"),
        ("ludo(observation=row)", "observation of ludo: got row, expected facts or raw"),
        ("connect_four(num_players=2,size=3)", "takes no such argument"),
    ],
)
def test_games_that_are_not_there(name, words):
    for ask in (spec_of, canonical):
        with pytest.raises(ConfigurationError, match=words.replace("(", r"\(")):
            ask(name)


def test_whose_code_a_game_runs():
    assert [
        is_own(name)
        for name in ("ludo", "openspiel:go", "pettingzoo:classic/go-v5", "a:B", "compiled:a")
    ] == [False] * 3 + [True] * 2
    assert [is_built_in(name) for name in ("ludo(num_players=3)", "openspiel:go", "a:B")] == [
        True,
        False,
        False,
    ]


def test_compiled_rules_take_no_arguments():
    name = "compiled:sparring.games.connect_four"
    for argument in ("goal", "num_players"):
        with pytest.raises(
            ConfigurationError, match=f"takes no arguments: got {argument}, expected none"
        ):
            make(f"{name}({argument}=2)", 1)
    assert with_players(name, 2).name == name
    with pytest.raises(ConfigurationError, match=r"^num_players: got 5, expected 2, as compiled:"):
        with_players(name, 5)


def test_the_style_of_a_board_stands_with_the_rules():
    assert board_style("connect_four").marks == board_style("tic_tac_toe").marks == "XO"
    for number in player_numbers("ludo"):
        assert board_style(f"ludo(num_players={number})").marks == "ABCD"
    for name in names():
        assert board_style(name).colours
    assert board_style("openspiel:go") == board_style("a:B") == ("", ())
