"""The declaration of a classifier: which texts, which label, which features, which fastText settings.

Recipes are YAML files; the ones that ship lie in `classifiers/recipes/`. A recipe of one's own over JSONL files:

    name: my-quality
    language: ko
    positive: good
    licence: Apache-2.0
    sources:
      - {name: mine, folder: ., files: "*.jsonl", reader: jsonl, text: text, label_column: label, licence: own}
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from winnow.classifiers.features import Features
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
    cutoff: int = 0  # features kept when quantizing; 0 keeps all
    retrain: bool = False
    qnorm: bool = True
    dsub: int = 2


class SourceSpec(_Part):
    """One set of texts. `label` gives all of them one label, `label_column` with `labels` maps a column's values;
    values that `labels` leaves out are not used. `join` = (least, most) characters of the documents that
    consecutive texts of the same label are joined into; without it every text is an example. `where` keeps rows whose
    column equals a value, `match` rows whose column holds a regular expression: weak labels, for want of better. A text
    that several sources give belongs to the first. `weak` leaves the label to the recipe's lexicon, `merge` makes one text
    of the `text` columns, `sentences` a text of every sentence, `polite` rewrites Korean sentence ends in the polite spoken style. `limit` is that of each label where labels are weak."""

    name: str
    folder: str
    files: str
    reader: Literal["table", "jsonl", "json", "conllu", "markdown", "paragraphs", "lines"]
    text: tuple[str, ...] = ()
    delimiter: str = "\t"
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
    join: tuple[int, int] | None = None
    limit: int | None = None
    repeat: int = Field(default=1, ge=1)
    split: Literal["text", "group", "train", "test"] = "text"
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

    `kinds` maps a kind (keywords, menu, shuffled, repeated, spam, adverts) to how many documents of it are made for
    the fit; a tenth as many, from held-out words, for the test. `navigation` and `spam` are stock phrases, `adverts`
    names a file of advertising sentences beside the recipes.
    """

    label: str
    kinds: dict[Literal["keywords", "menu", "shuffled", "repeated", "spam", "adverts"], int]
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

    name: str
    language: str
    about: str = ""
    limits: str = ""
    licence: str
    positive: str | None = None
    features: Features = Features()
    train: Train = Train()
    holdout: int = Field(default=10, ge=1, le=50)  # percent of texts (or groups) held out by hash
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
        return self


def recipes() -> list[str]:
    """Names of the recipes that ship, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def word_files() -> list[str]:
    """Names of the files of words and sentences that lie beside the recipes, sorted."""
    return sorted(path.name for path in FOLDER.glob("*.txt"))


def load_recipe(recipe: str | Path) -> Recipe:
    """A recipe by its shipped name or by path. Raises RecipeError."""
    path = FOLDER / f"{recipe}.yaml"
    if not path.is_file():
        path = Path(recipe)
    if not path.is_file():
        raise RecipeError(
            f"no recipe '{recipe}': expected a YAML file or one of {', '.join(recipes())}{hint(str(recipe), recipes())}"
        )
    try:
        return Recipe.model_validate(load(read_text(path), Texts))
    except (ValidationError, OutOfBounds) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the recipe"
            raise RecipeError(f"{path.name}: {where}: {first['msg']}") from error
        raise RecipeError(f"{path.name}{f':{error.line}' if error.line else ''}: {error}") from error
