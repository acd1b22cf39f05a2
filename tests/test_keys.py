"""Laws of the one key: all that a stage computes with is in it, and nothing that only shows."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from songtitle import cache
from songtitle.cache import ROOT, changed_code, code_of, code_of_text
from songtitle.metrics.bleu import DEFINITIONS, score

# What shows, teaches or runs, and computes nothing that a record holds.
SHOWING = ("__main__", "book", "figures", "paper", "studies", "tables")
KEPT = {
    "songtitle.paper.printed",  # the paper's own numbers, which some stages compare with
    "songtitle.book.demo",  # a stage: the model that readers' browsers run
}


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


LIBRARY = {module_of(p): p for p in sorted((ROOT / "songtitle").rglob("*.py"))}
STAGES = [
    name
    for name, path in LIBRARY.items()
    if name != "songtitle.cache"
    and re.search(r"\brun_stage\(|^@stage$", path.read_text("utf-8"), re.M)
]
CLOSURES = {stage: code_of_text(cache._source(stage), stage) for stage in STAGES}
COMPUTING = sorted({name for found in CLOSURES.values() for name in found if "/" not in name})


def key_of(stage):
    return cache.digest(["any", {}, {}, code_of_text(cache._source(stage), stage)])


@pytest.fixture
def edited(monkeypatch):
    """Let a module have another text, as its file would after an edit."""

    def edit(module, text):
        real = cache._source
        monkeypatch.setattr(cache, "_source", lambda name: text if name == module else real(name))

    return edit


def assigned(tree):
    """Every assignment of a module, those within `if` and `with` included, but of no function."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += getattr(node, "body", []) + getattr(node, "orelse", [])


def test_there_are_stages_and_they_rest_on_much():
    assert len(STAGES) >= 10
    assert len(COMPUTING) >= 50


@pytest.mark.parametrize("module", COMPUTING)
def test_every_constant_and_table_that_a_stage_holds_is_in_its_key(module, monkeypatch):
    source = cache._source(module)
    stage = next(stage for stage in STAGES if module in CLOSURES[stage])
    before, real, tree = key_of(stage), cache._source, ast.parse(source)
    for node in assigned(tree):
        kept, node.value = node.value, ast.Tuple([node.value, ast.Constant("changed")], ast.Load())
        text = ast.unparse(ast.fix_missing_locations(tree))
        node.value = kept
        monkeypatch.setattr(cache, "_source", lambda n, t=text: t if n == module else real(n))
        assert key_of(stage) != before, (
            f"{module}, line {node.lineno}, is not in the key of {stage}"
        )


@pytest.mark.parametrize("module", COMPUTING)
def test_the_body_of_every_function_that_a_stage_can_reach_is_in_its_key(module, edited):
    tree = ast.parse(cache._source(module))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    if not functions:
        pytest.skip("holds no function")
    resting = [stage for stage in STAGES if module in CLOSURES[stage]]
    before = [key_of(stage) for stage in resting]
    functions[-1].body.append(ast.parse("0").body[0])
    edited(module, ast.unparse(ast.fix_missing_locations(tree)))
    assert not set(before) & {key_of(stage) for stage in resting}


@pytest.mark.parametrize("module", COMPUTING)
def test_comments_docstrings_and_layout_are_in_no_key(module, edited):
    before = {stage: key_of(stage) for stage in STAGES}
    tree = ast.parse(cache._source(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
            node.value = ast.Constant("Other words.")
    # Unparsed, a module has no comments and another layout.
    edited(module, "# A comment.\n\n" + ast.unparse(tree) + "  # another\n")
    assert {stage: key_of(stage) for stage in STAGES} == before


def test_what_only_shows_is_in_no_key():
    shown = {name for name in LIBRARY if name.partition(".")[2].split(".")[0] in SHOWING} - KEPT
    assert len(shown) > 20
    assert not shown & set(COMPUTING)


def test_a_table_of_the_manifest_counts_with_the_module_that_names_it(monkeypatch):
    stage = "songtitle.experiment.forensics"
    assert "data_manifest/claims.toml" in CLOSURES[stage]
    before, real = key_of(stage), cache._table
    monkeypatch.setattr(cache, "_table", lambda n: "x" if n.endswith("claims.toml") else real(n))
    assert key_of(stage) != before


@pytest.fixture(scope="module")
def pages():
    """What each page rests on: module -> hash of its code, by page."""
    from songtitle.book.reproduce import code_of_page

    def ask():
        found = sorted((ROOT / "notebooks").glob("*.ipynb"))
        return {path.stem: code_of_page(path) for path in found}

    return ask


BY_HAND = [
    ("songtitle.experiment.similarity", "PERPLEXITIES = (5, 30, 60)", "PERPLEXITIES = (5, 15, 60)"),
    ("songtitle.experiment.labs", '"join": (Way(), Way(by_title=True))', '"join": (Way(), Way())'),
    ("songtitle.metrics.bleu", 'name="words, BLEU-1"', 'name="words, BLEU-1", brevity=False'),
    ("songtitle.metrics.pairs", "len(words) + 1 if", "len(words) + 2 if"),
]


@pytest.mark.parametrize(("module", "old", "new"), BY_HAND, ids=[each[0] for each in BY_HAND])
def test_an_edit_of_what_a_page_shows_makes_the_page_again(module, old, new, edited, pages):
    before = pages()
    assert old in cache._source(module)
    edited(module, cache._source(module).replace(old, new))
    now = pages()
    assert all(now[name] != before[name] for name in before if module in before[name])
    assert any(module in found for found in before.values())


def test_the_pdf_is_behind_no_page(pages):
    found = pages()
    assert found
    assert not [name for name, code in found.items() if "songtitle.book.pdf" in code]


def test_a_name_that_a_package_passes_on_counts_where_it_comes_from(edited):
    asked, search = "from songtitle.search import Hypotheses", "songtitle.search"
    found = code_of_text(asked)
    assert f"{search}.candidates" in found
    assert f"{search}.beam" not in found
    whole = {search, f"{search}.beam", f"{search}.candidates"}
    assert whole <= set(code_of_text("from songtitle import search"))
    # A package that does more than pass names on counts whole.
    edited(search, cache._source(search) + "\nfor _ in ():\n    pass\n")
    assert whole <= set(code_of_text(asked))


def test_what_is_imported_within_a_function_counts_and_is_not_imported_for_it():
    code = (
        "import sys\n"
        "from songtitle.cache import code_of_text, _source\n"
        "found = code_of_text(_source('songtitle.corpora.shards'), 'x')\n"
        "assert 'songtitle.corpora.worker' in found\n"
        "sys.exit('img2dataset' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_changed_since_a_record_was_made_is_told_by_name(edited):
    code = CLOSURES["songtitle.experiment.similarity"]
    assert changed_code(code) == []
    edited("songtitle.metrics.clouds", "x = 1\n")
    assert changed_code(code) == ["songtitle.metrics.clouds"]
    for earlier in (None, "4f1e", 7):
        assert changed_code(earlier) == ["songtitle"]


def test_a_function_of_no_module_of_ours_counts_by_its_own_source():
    def stage(folder):
        return {}

    found = code_of(stage)
    assert stage.__module__ in found
    assert "songtitle.metrics.bleu" in found  # this file imports it


def interpreters():
    """Other versions of Python at hand, one each: those that promise to make the same keys."""
    named = [shutil.which(f"python3.{minor}") for minor in (11, 12, 13)]
    kept = [*Path.home().glob(".pyenv/versions/3.*/bin/python"), *ROOT.glob(".venv*/bin/python")]
    found = {}
    for path in [*filter(None, named), *map(str, kept)]:
        asked = [path, "-c", "import sys; print(sys.version_info[:2])"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if told in ("(3, 11)", "(3, 12)", "(3, 13)") and told != str(sys.version_info[:2]):
            found.setdefault(told, path)
    return [found[told] for told in sorted(found)]


def test_every_version_of_python_makes_the_same_keys():
    """The record that one made is current for another: `ast.dump` alone would part them."""
    others = interpreters()
    if not others:
        pytest.skip("no other version of Python is at hand")
    script = (
        "import sys, json\n"
        "from unittest.mock import MagicMock\n"
        "for name in ('filelock', 'psutil', 'platformdirs', 'pydantic'):\n"
        "    sys.modules[name] = MagicMock()\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from songtitle import cache\n"
        "stages = json.loads(sys.argv[2])\n"
        "print(json.dumps([cache.code_of_text(cache._source(s), s) for s in stages]))\n"
    )
    command = ["-I", "-c", script, str(ROOT), json.dumps(STAGES)]
    for other in others:
        told = subprocess.run([other, *command], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr[-2000:]
        assert json.loads(told.stdout) == list(CLOSURES.values()), other


def signed(definition):
    return dict(part.split(":", 1) for part in definition.signature.split("|"))


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_signature_says_what_the_definition_does(name):
    definition = DEFINITIONS[name]
    said = signed(definition)

    def scored(hypothesis, reference):
        return score([hypothesis], [[reference]], definition).score

    long = ["a", "b", "c", "d", "e", "f"]
    pays = scored(long[:5], long) < scored(long[:5], long[:5])
    assert said["brevity"] == ("yes" if pays else "no")
    letters = scored(["abcde"], ["abcdf"]) > 0
    assert said["tokens"] == ("letters" if letters else "words")
    orders = len(definition.weights)
    assert said["order"] == str(orders)
    alone = [word for pair in zip("vwxyz", long, strict=False) for word in pair]  # no bigram of it
    zero = orders > 1 and scored(long[:5], alone) == 0
    assert said["smooth"] == ("none" if zero or orders == 1 else "none,zero-orders-dropped")


def test_the_signature_under_a_table_is_of_the_definition_that_scored(monkeypatch):
    from songtitle.metrics.bleu import Definition, signatures

    before = signatures("bleu1")["bleu1"]["signature"]
    assert "brevity:yes" in before
    bare = Definition(name="words, BLEU-1", brevity=False)
    monkeypatch.setitem(DEFINITIONS, "bleu1", bare)
    assert "brevity:no" in signatures("bleu1")["bleu1"]["signature"]


def test_no_study_or_figure_asks_a_definition_for_a_signature():
    """They read it from the record that was scored by it."""
    for name in LIBRARY:
        if name.startswith(("songtitle.studies", "songtitle.figures")):
            tree = ast.parse(cache._source(name))
            asked = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
            found = [n.lineno for n in asked if n.attr == "signature"]
            assert not found, (name, found)
