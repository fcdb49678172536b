from nbdl import Sequential
from nbdl.cli.app import app
from nbdl.layers import Dense


def test_units(nbdl_check):
    nbdl_check()


def test_every_weight_is_told(tmp_path, capsys):
    Sequential([Dense(3, input_dim=2)], seed=1).save(tmp_path / "model.nbdl")
    app(["my-unit", str(tmp_path / "model.nbdl")], standalone_mode=False)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["2x3", "3"]
