"""The declaration of a classifier: which texts, which label, which features, and how it is fitted, by fastText or as a linear
model (`winnow fit fasttext RECIPE`, `winnow fit linear RECIPE`).

Recipes are YAML files; the ones that ship lie in `classifiers/recipes/`. A recipe of one's own:

    name: my-quality
    language: ko
    positive: good
    licence: Apache-2.0
    sources:
      - {name: essays, files: "essays/*.jsonl.gz", label: good, group: author, licence: CC-BY-4.0}
      - {name: votes, files: votes.tsv, label_column: vote, labels: {up: good, down: bad}, licence: own}
      - {name: crawl, files: runs/ko, reader: run, label: bad, limit: 20000, licence: mixed}
    thresholds: {strict: {precision: 0.95}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from winnow.classifiers.features import Features
from winnow.classifiers.linear_model import LinearFeatures, On
from winnow.filters.bounded_yaml import OutOfBounds, Texts, load, read_text
from winnow.nearest import hint

FOLDER = Path(__file__).parent / "recipes"


class RecipeError(ValueError):
    """A recipe or its data cannot be used: one sentence with what is wrong, where, and what was expected."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Train(_Part):
    """fastText's own settings (https://fasttext.cc/docs/en/options.html); one thread, so that fits repeat exactly."""

    dim: int = 16
    lr: float = 0.5
    epoch: int = 5
    min_count: int = 1
    minn: int = 2
    maxn: int = 4
    word_ngrams: int = 1
    bucket: int = 100_000
    seed: int = 1
    quantize: bool = True
    cutoff: int = 0  # features kept when quantizing; 0 keeps all
    retrain: bool = False
    qnorm: bool = True
    dsub: int = 2


class Linear(_Part):
    """A linear model: the n-grams of `linear_model.LinearFeatures`, and a logistic regression with squared weights, whose
    errors cost `c` times as much as those; `epochs` at most."""

    minn: int = 1
    maxn: int = 4
    across: bool = False
    words: int = 0
    bits: int = 18
    latin: bool = True  # False: Latin letters are all read alike
    c: float = Field(default=4.0, gt=0)
    epochs: int = Field(default=30, ge=1)
    seed: int = 1


class Rule(_Part):
    """How a threshold is chosen on the texts of the validation side: the lowest with this `precision`, the highest with this
    `recall`, or the one that keeps this `share` of the texts (of one label: `of`). `keep: below` keeps the texts below."""

    precision: float | None = Field(default=None, gt=0, le=1)
    recall: float | None = Field(default=None, gt=0, le=1)
    share: float | None = Field(default=None, gt=0, lt=1)
    of: str | None = None
    keep: Literal["above", "below"] = "above"

    @model_validator(mode="after")
    def _one(self) -> Rule:
        if sum(value is not None for value in (self.precision, self.recall, self.share)) != 1:
            raise ValueError("expected exactly one of precision, recall, share")
        if self.of is not None and self.share is None:
            raise ValueError("`of` goes with share alone")
        return self


class Search(_Part):
    """Looks for settings: of `tries` in a fixed order (`classifiers/search.py`) the one with the highest macro-F1 on the
    validation side, among models of at most `size` bytes."""

    tries: int = Field(default=8, ge=1)
    size: int | None = Field(default=None, ge=1000)


Patterns = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class SourceSpec(_Part):
    """One set of texts: files below `folder` by patterns, or with `reader: run` the documents of runs. `label` gives all of them one label, `label_column` with `labels` maps a column's values;
    values that `labels` leaves out are not used. `join` = (least, most) characters of the documents that
    consecutive texts of the same label are joined into; without it every text is an example. `where` keeps rows whose
    column equals a value, `match` rows whose column holds a regular expression: weak labels, for want of better. A text
    that several sources give belongs to the first. `weak` leaves the label to the recipe's lexicon, `merge` makes one text
    of the `text` columns, `sentences` a text of every sentence, `polite` rewrites Korean sentence ends in the polite spoken style, `plain` takes Markdown's marks, code and addresses out. `limit` is that of each label where labels are weak. Texts with the same value of the column `group` (with `split: group`
    and none, those of a file) are all on one side; `host` is also that of a column `url`."""

    name: str
    folder: str = "."
    files: Patterns
    reader: Literal[
        "auto", "table", "jsonl", "json", "parquet", "conllu", "markdown", "paragraphs", "lines", "document", "run"
    ] = "auto"
    text: Patterns = ()
    group: str | None = None
    delimiter: str | None = None  # that of the file's ending
    columns: tuple[str, ...] = ()  # names, for a table without a header
    encoding: str = "utf-8"
    where: dict[str, str] = {}
    match: dict[str, str] = {}
    label: str | None = None
    label_column: str | None = None
    labels: dict[str, str] = {}
    weak: bool = False
    merge: bool = False
    sentences: bool = False
    polite: bool = False
    plain: bool = False
    join: tuple[int, int] | None = None
    limit: int | None = None
    repeat: int = Field(default=1, ge=1)
    split: Literal["text", "group", "train", "validation", "test"] = "text"
    least_chars: int = 1
    hangul: float = 0.0  # least share of Hangul among the letters
    licence: str
    attribution: str = ""

    @model_validator(mode="after")
    def _labelled(self) -> SourceSpec:
        if (self.label is not None) + (self.label_column is not None) + self.weak != 1:
            raise ValueError(f"source '{self.name}' needs exactly one of label and label_column, or `weak: true`")
        return self


class Junk(_Part):
    """Made documents of one label: real words of the recipe's own texts in orders that nobody writes.

    `kinds` maps a kind (keywords, menu, shuffled, disordered, repeated, spam, adverts) to how many documents of it are made for
    the fit; a tenth as many, from held-out words, for the test. `navigation` and `spam` are stock phrases, `adverts`
    names a file of advertising sentences beside the recipes.
    """

    label: str
    kinds: dict[Literal["keywords", "menu", "shuffled", "disordered", "repeated", "spam", "adverts"], int]
    chars: tuple[int, int] = (200, 1500)
    navigation: tuple[str, ...] = ()
    spam: tuple[str, ...] = ()
    adverts: str | None = None


class Seeds(_Part):
    """Made documents of every topic of the lexicon: `count` each, of `words` (least, most) of its words, each with one of
    `particles`, among `background` words of texts that the lexicon gives no topic."""

    count: int
    words: tuple[int, int] = (3, 8)
    background: int = 30
    particles: tuple[str, ...] = ()


class Recipe(_Part):
    """A whole classifier. `positive` names the label whose probability is the score; without it the model is
    multi-class and its score is the probability of the likeliest label. `balance`: each line of a label is fitted
    (lines of the largest label / lines of this one) ** balance times, rounded."""

    name: str = Field(pattern=r"^\w[\w.-]*$")  # of its files, too
    language: str
    about: str = ""
    limits: str = ""
    licence: str
    positive: str | None = None
    on: On = "text"  # what of a document a linear model reads
    features: Features = Features()
    train: Train = Train()
    linear: Linear = Linear()
    search: Search | None = None
    holdout: int = Field(default=10, ge=1, le=50)  # percent of texts (or groups) held out by hash for the test
    validation: int = Field(default=10, ge=0, le=40)  # percent for calibration, thresholds and search; 0: none of them
    overlap: float | None = Field(default=0.2, gt=0, le=1)  # share of a text in held-out ones with which it is left out
    calibration: Literal["auto", "isotonic", "platt", "none"] = "auto"
    thresholds: dict[str, Rule] = {}
    seed: int = 0
    balance: float = Field(default=0.0, ge=0.0, le=1.0)
    sources: tuple[SourceSpec, ...]
    junk: Junk | None = None
    lexicon: str | None = None  # a file of words by topic: labels `weak` sources, feeds `seeds`
    seeds: Seeds | None = None

    @model_validator(mode="after")
    def _with_lexicon(self) -> Recipe:
        if self.lexicon is None and (self.seeds is not None or any(source.weak for source in self.sources)):
            raise ValueError("`weak` sources and `seeds` need a `lexicon`")
        if not self.validation and (self.thresholds or self.search):
            raise ValueError("`thresholds` and `search` need a `validation` side: expected more than 0 percent")
        if not self.sources:
            raise ValueError("sources: expected one at least")
        return self

    def linear_features(self) -> LinearFeatures:
        """What a linear model of this recipe reads. Raises RecipeError for n-grams that it cannot have."""
        shared = {name: getattr(self.features, name) for name in ("chars", "lower", "mask", "squeeze", "window", "top")}
        names = ("minn", "maxn", "across", "words", "bits", "latin")
        grams = {name: getattr(self.linear, name) for name in names}
        try:
            return LinearFeatures(on=self.on, **shared, **grams)
        except ValidationError as error:
            first = error.errors()[0]
            where = "".join(f".{part}" for part in first["loc"])
            raise RecipeError(f"recipe '{self.name}': linear{where}: {first['msg']}") from error


def recipes() -> list[str]:
    """Names of the recipes that ship, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def word_files() -> list[str]:
    """Names of the files of words and sentences that lie beside the recipes, sorted."""
    return sorted(path.name for path in FOLDER.glob("*.txt"))


def load_recipe(recipe: str | Path, changes: Sequence[str] = (), more: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe by its shipped name or by path, with `more` keys and `path=value` changes (`linear.maxn=5`). Raises
    RecipeError."""
    path = FOLDER / f"{recipe}.yaml"
    if not path.is_file():
        path = Path(recipe)
    if not path.is_file():
        raise RecipeError(
            f"no recipe '{recipe}': expected a YAML file or one of {', '.join(recipes())}{hint(str(recipe), recipes())}"
        )
    try:
        tree = load(read_text(path), Texts)
        return parsed(tree | dict(more or {}) if isinstance(tree, dict) else tree, path.name, changes)
    except OutOfBounds as error:
        raise RecipeError(f"{path.name}{f':{error.line}' if error.line else ''}: {error}") from error


def parsed(tree: Any, name: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe of a tree. Raises RecipeError."""
    for change in changes:
        path, equals, value = change.partition("=")
        if not equals or not path:
            raise RecipeError(f"'{change}': expected path=value, such as linear.maxn=5")
        inside, *keys = [tree, *path.split(".")]
        for key in keys[:-1]:
            inside = inside.setdefault(key, {}) if isinstance(inside, dict) else None
        if not isinstance(inside, dict):
            raise RecipeError(f"'{change}': {path} is not inside of a mapping of {name}")
        try:
            inside[keys[-1]] = load(value, Texts)
        except OutOfBounds as error:
            raise RecipeError(f"'{path}={value[:60]}': {error}") from error
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the recipe"
        near = ""
        if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
            near = hint(str(first["loc"][0]), Recipe.model_fields)
        raise RecipeError(f"{name}: {where}: {first['msg']}{near}") from error
