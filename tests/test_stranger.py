"""scripts/thirdparty.py notices a step that does not do what it should; what it does as a whole, `.ci/run` shows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from distributions import THIRD_PARTY

SCRIPT = Path(__file__).parents[1] / "scripts" / "thirdparty.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("thirdparty_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stranger(script: ModuleType, tmp_path: Path) -> Any:
    (tmp_path / "work").mkdir()
    return script.Stranger(tmp_path)


def test_a_right_step_is_printed_with_its_seconds(stranger: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code = "import os, pathlib; print(os.environ['NBDL_CACHE'], pathlib.Path.cwd().name)"
    said = stranger.run("look", sys.executable, "-c", code, says=("work",))
    assert said.split() == [str(stranger.folder / "cache"), "work"]
    assert f" s  look: {sys.executable} -c " in capsys.readouterr().out
    assert [title for title, _ in stranger.steps] == ["look"]


@pytest.mark.parametrize(
    ("code", "options", "why"),
    [
        ("raise SystemExit(2)", {}, "exit status 2"),
        ("print(1)", {"code": -1}, "exit status 0"),
        ("raise SystemExit(1)", {"code": -1}, "exit status 1"),
        ("print('hello')", {"says": ("hullo",)}, r"does not say \['hullo'\]"),
        ("print('Traceback'); raise SystemExit(4)", {"code": 4}, "a traceback"),
    ],
)
def test_a_step_that_goes_wrong_is_noticed(
    script: ModuleType, stranger: Any, code: str, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(script.StepFailed, match=why):
        stranger.run("wrong", sys.executable, "-c", code, **options)


def test_nothing_of_this_environment_reaches_a_step(stranger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "here")
    monkeypatch.setenv("NBDL_DISABLE_PLUGINS", "standard")
    code = "import os; print([name for name in os.environ if name.startswith(('PYTHON', 'NBDL_'))])"
    assert stranger.run("look", sys.executable, "-c", code).strip() == "['NBDL_CACHE']"


def test_a_failed_part_is_the_scripts_exit_status(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["thirdparty.py"])
    for parts, status in (((), 0), ((lambda stranger: script.require(False, "other bits"),), 1)):
        monkeypatch.setattr(script, "PARTS", parts)
        assert script.main() == status
    assert "FAILED: other bits" in capsys.readouterr().out


def test_every_package_is_tried(script: ModuleType) -> None:
    assert set(script.PACKAGES) == {path.parent.name for path in THIRD_PARTY.glob("*/pyproject.toml")}


def test_the_table_has_its_outliers(script: ModuleType, tmp_path: Path) -> None:
    script.write_table(tmp_path / "table.csv")
    rows = (tmp_path / "table.csv").read_text().splitlines()[1:]
    far = [number for number, row in enumerate(rows, 1) if float(row.split(",")[2]) > 10.0]
    assert (len(rows), tuple(far)) == (script.ROWS, script.OUTLIERS)
