"""A small corpus and recipe for tests of the machine, a finished run of it, and a Ray."""

from __future__ import annotations

import fcntl
import json
import logging
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import vl_convert

from winnow.pipelines.sample.cases import FULL
from winnow.pipelines.sample.generate import generate

from .in_process import ray_here

ROOT = Path(__file__).resolve().parents[2]
DRAW = vl_convert.vegalite_to_svg

WORDS = [
    "오늘",
    "마을",
    "도서관",
    "에서는",
    "어린이",
    "들과",
    "함께",
    "새로운",
    "책을",
    "읽고",
    "이야기를",
    "나누는",
    "시간을",
    "가졌다",
    "참가자",
    "대부분은",
    "다음",
    "모임에도",
    "오겠다고",
    "말했으며",
    "담당자는",
    "내년부터",
    "행사를",
    "두",
    "배로",
    "늘릴",
    "계획이라고",
    "밝혔다",
    "시장",
    "골목에는",
    "오래된",
    "가게가",
    "많고",
    "주인들은",
    "손님의",
    "취향을",
    "잘",
    "기억한다",
    "강가를",
    "따라",
    "걷다",
    "보면",
    "작은",
    "다리와",
    "공원이",
    "나오고",
    "저녁에는",
    "등불이",
    "켜진다",
    "연구진은",
    "여러",
    "해",
    "동안",
    "자료를",
    "모아",
    "결과를",
    "발표했다",
    "학생들은",
    "실험을",
    "통해",
    "원리를",
    "배우고",
    "기록하는",
    "방법도",
    "익혔다",
    "농부는",
    "비가",
    "오기",
    "전에",
    "밭을",
    "갈고",
    "씨앗을",
    "심었다",
]


def prose(seed: int, words: int = 60) -> str:
    """Invented Korean prose, the same for the same seed."""
    dice = random.Random(seed)
    chosen = [dice.choice(WORDS) for _ in range(words)]
    return " ".join(w + ("." if n % 9 == 8 else "") for n, w in enumerate(chosen))


def english(seed: int) -> str:
    """Invented English prose."""
    dice = random.Random(seed)
    words = [
        "the",
        "river",
        "runs",
        "past",
        "old",
        "houses",
        "and",
        "people",
        "walk",
        "along",
        "it",
        "every",
        "evening",
        "with",
        "their",
        "children",
        "and",
        "dogs",
    ]
    return " ".join(dice.choice(words) for _ in range(60)) + "."


def write_corpus(folder: Path, files: int = 2, rows: int = 120) -> None:
    """JSONL files of Korean and English documents, exact duplicates, short ones, and lines that cannot be read."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        lines = []
        for row in range(rows):
            seed = number * rows + row
            kind = row % 6
            text = (
                prose(seed)
                if kind < 3
                else english(seed)
                if kind == 3
                else prose(seed // 12)
                if kind == 4
                else prose(seed, 8)
            )
            lines.append(
                json.dumps(
                    {"id": f"{number}-{row}", "url": f"https://example.org/{number}/{row}", "text": text},
                    ensure_ascii=False,
                )
            )
        if number == 0:
            lines.insert(3, "{not json")
        (folder / f"docs-{number}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture(scope="session")
def korean() -> Callable[..., str]:
    """Invented Korean prose from a seed and a number of words."""
    return prose


@pytest.fixture(scope="session")
def words() -> Callable[..., str]:
    """The same, for fixtures that several tests share."""
    return prose


DECLARATION = """name: small
language: ko
sources:
  docs: {{use: jsonl, id: id, url: url, paths: ["{folder}/in/*.jsonl"]}}
stages:
  language: {{use: langid}}
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 20"}}
  dedup: {{use: minhash, over: language, keep: representative}}
  mixture: {{use: mixture, by: language.label, max_epochs: 2, budget_tokens: 4000, shortage: shrink}}
  shards: {{use: tokenize, tokenizer: ko-bpe}}
"""


def write_declaration(path: Path, folder: Path) -> Path:
    """A declaration over the corpus of a folder, one partition per file."""
    path.write_text(DECLARATION.format(folder=folder), "utf-8")
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A declaration over a corpus in the same folder, one partition per file."""
    write_corpus(tmp_path / "in")
    return write_declaration(tmp_path / "small.yaml", tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `run` of such a declaration, beside its corpus. Nobody changes it."""
    import winnow
    from winnow.pipelines.engine.progress import Progress

    folder = tmp_path_factory.mktemp("finished")
    write_corpus(folder / "in")
    declaration = write_declaration(folder / "small.yaml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("winnow.pipelines.engine.inputs.PACK_FILES", 1)
        winnow.run(declaration, folder=folder / "run", local=True, progress=Progress(quiet=True))
    return folder / "run"


@pytest.fixture
def ran(finished: Path, tmp_path: Path) -> Path:
    """A declaration like `recipe`, whose run is finished in the folder `run` beside it; its corpus is not to be changed."""
    shutil.copytree(finished, tmp_path / "run")
    return write_declaration(tmp_path / "small.yaml", finished.parent)


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`winnow WORDS` in this process: its exit code, and all that it said. Longer lines than a terminal's are not cut."""
    from winnow.pipelines.cli import main

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["winnow", *map(str, words)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return int(code or 0) if not isinstance(code, str) else 1, said.out + said.err

    return run


@pytest.fixture(scope="module")
def ray_session() -> Iterator[None]:
    """One Ray on this machine for a file: it is busy also where nobody asks it."""
    with ray_here():
        yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server on this machine."""
    import moto.backends
    from moto.server import ThreadedMotoServer

    modules = sorted(moto.backends.list_of_moto_modules())  # which it lists at every request: a third of its time
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request, thousands
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moto.backends, "list_of_moto_modules", lambda: modules)
        server = ThreadedMotoServer("127.0.0.1", port=0)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


def s3_environment(address: str) -> dict[str, str]:
    """How s3:// finds a server."""
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    return {"AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1", **keys}


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty S3 server, for everything that opens s3:// while the test runs."""
    import fsspec
    from moto.moto_api._internal.models import moto_api_backend

    moto_api_backend.reset()  # type: ignore[no-untyped-call]  # buckets that another test made
    for name, value in s3_environment(s3_server).items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # one that was made for another address


@lru_cache(maxsize=1000)
def drawn(spec: str) -> str:
    """What a chart is drawn as; the same in every report of the same run, of which the tests ask for many."""
    return str(DRAW(json.loads(spec)))


@pytest.fixture(scope="module", autouse=True)
def drawn_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "vegalite_to_svg", lambda spec: drawn(json.dumps(spec)))
        yield


@pytest.fixture(scope="module", autouse=True)
def one_file_a_partition() -> Iterator[None]:
    """Small files would share a partition; these tests are about several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("winnow.pipelines.engine.inputs.PACK_FILES", 1)
        yield


def lay_out_sample(folder: Path, records: int = FULL) -> None:
    """Like a checkout: pipelines/*.yaml, and runs/sample, which they read."""
    generate(folder / "runs" / "sample", records=records)
    (folder / "pipelines").mkdir()
    for recipe in (ROOT / "pipelines").glob("*.yaml"):
        shutil.copy(recipe, folder / "pipelines")


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a checkout: pipelines/*.yaml, runs/sample (the bundled crawl) and runs/ko (curated by the command, on a
    Ray of its own)."""
    folder = tmp_path_factory.mktemp("sample")
    lay_out_sample(folder)
    done = subprocess.run(
        [sys.executable, "-m", "winnow.pipelines.cli", "run", "pipelines/ko.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)
    return folder


@pytest.fixture(scope="session")
def crawl_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str, data: Path) -> Path:
    """The folder of a run over the real mixed crawl, curated by the command, with its log beside it (crawl-run.log).
    Made once for all processes of pytest; nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "crawl-run"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be making it
        if not (folder / "run.json").exists():
            recipe, sets = (
                str(ROOT / "pipelines" / "ko.yaml"),
                f'sources.crawl.paths=["{data}/crawl/web-mixed.warc.gz"]',
            )
            words = ["run", recipe, "--folder", str(folder), "--local", "--set", sets]
            command = [sys.executable, "-m", "winnow.pipelines.cli", *words]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-3000:]
            folder.with_suffix(".log").write_text(done.stdout, "utf-8")
    return folder
