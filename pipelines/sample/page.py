"""Twelve kinds of page as the Korean web writes them, one a file in `templates/` beside the parts that they share. Every
draw comes in the order in which it stands there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.texts import Chrome, chrome

TEMPLATES = (
    "portal", "seblog", "diary", "forum", "manual", "shop", "wiki", "notice", "magazine", "tables", "amp", "gnuboard",
)  # fmt: skip
HOSTS = ("www", "m", "news", "blog", "board", "docs", "shop", "wiki")
CLASSES = ("header", "gnb", "lnb", "wrap", "container", "content", "aside", "banner", "card", "list", "btn", "tab")
PROPERTIES = (
    "margin:0 auto", "padding:12px 16px", "display:flex", "position:relative", "color:#333", "font-size:14px",
    "background:#fff", "border-bottom:1px solid #e5e5e5", "line-height:1.6", "overflow:hidden", "width:100%",
    "max-width:1180px", "float:left", "text-decoration:none", "letter-spacing:-.02em", "z-index:100",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Article:
    """What a page is about. `body` is ready-made inner HTML that replaces the paragraphs, for pages without prose."""

    title: str
    paragraphs: tuple[str, ...]
    author: str
    date: str
    comments: tuple[str, ...]
    related: tuple[str, ...]
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One invented site: its template, its words and the parts that all its pages share."""

    name: str
    host: str
    language: str
    template: str
    words: Chrome
    style: str
    script: str
    footer: str

    def label(self, key: str) -> str:
        """A word of the interface."""
        return self.words.labels[key]


@cache
def site(language: str, template: str, number: int, seed: int) -> Site:
    """Site `number` of those in a language that use a template."""
    dice = Dice(seed, "site", language, template, number)
    words = chrome(language)
    name = dice.pick(words.sites)
    host = f"{dice.pick(HOSTS)}.{template}{number}-{language}.example"
    return Site(name, host, language, template, words, _style(dice), _script(dice, host), _footer(dice, name, words))


def text(value: str) -> str:
    """Text as HTML character data."""
    return escape(value, quote=False)


def _style(dice: Dice) -> str:
    rules = (
        f".{dice.pick(CLASSES)}-{dice.pick(CLASSES)}{dice.below(40)}{{{';'.join(dice.sample(PROPERTIES, 4))}}}"
        for _ in range(dice.between(30, 110))
    )
    return "<style>\n" + "\n".join(rules) + "\n</style>"


def _script(dice: Dice, host: str) -> str:
    keys = ",".join(f'"{dice.pick(CLASSES)}{n}":{dice.below(100000)}' for n in range(dice.between(20, 80)))
    return (
        f'<script>(function(w,d){{w.dataLayer=w.dataLayer||[];var cfg={{{keys}}};w.dataLayer.push({{"site":"{host}",'
        '"cfg":cfg});var s=d.createElement("script");s.async=true;s.src="/static/js/vendor.bundle.js";'
        "if(w.innerWidth<768&&!/pc=1/.test(d.cookie)){d.documentElement.className+=' mobile';}"
        "var f=d.getElementsByTagName('script')[0];f.parentNode.insertBefore(s,f);})(window,document);</script>"
    )


def _footer(dice: Dice, name: str, words: Chrome) -> str:
    links = " | ".join(f'<a href="/policy/{n}">{text(w)}</a>' for n, w in enumerate(words.menu[-6:]))
    notes = "".join(f"<p>{text(note)}</p>" for note in words.footer)
    company = ""
    if words is chrome("ko"):
        company = (
            f"<address>상호: (주){name} | 대표: {dice.pick(words.authors)} | 사업자등록번호: "
            f"{dice.below(1000):03d}-{dice.below(100):02d}-{dice.below(100000):05d} | 통신판매업신고: 제20{dice.between(10, 24)}"
            f"-물푸레-{dice.below(10000):04d}호<br>주소: 가온도 한가람시 느티나무로 {dice.between(1, 300)}, {dice.between(2, 9)}층 | "
            f"전화: 000-{dice.below(10000):04d}-0000 | 팩스: 000-{dice.below(10000):04d}-0001</address>"
        )
    return (
        f'<footer id="footer" class="footer"><div class="footer-links">{links}</div>{notes}{company}'
        f'<p class="copyright">Copyright &copy; {name}. All rights reserved.</p></footer>'
    )


def linked_data(article: Article, here: Site) -> str:
    """The article as schema.org tells it."""
    data = {"@context": "https://schema.org", "@type": "Article", "headline": article.title}
    people = {
        "datePublished": article.date,
        "author": {"@type": "Person", "name": article.author},
        "publisher": {"@type": "Organization", "name": here.name},
    }
    return json.dumps(data | people, ensure_ascii=False)


def paragraphs(article: Article, before: str = "<p>", after: str = "</p>\n") -> str:
    """The article's text in a template's own markup, or the ready-made body."""
    if article.body is not None:
        return article.body
    return "".join(f"{before}{text(paragraph)}{after}" for paragraph in article.paragraphs)


def payload(here: Site, dice: Dice) -> str:
    """The state that a client-side framework leaves at the end of the page: large, and no text of the page."""
    state = {
        f"{dice.pick(CLASSES)}{n}": {"id": f"component-{n}", "on": dice.chance(0.9), "width": 100, "order": n}
        for n in range(dice.between(10, 140))
    }
    return f'<script>window.__STATE__={json.dumps(state)};</script><script src="https://{here.host}/static/js/app.js" defer></script>'


def render(template: str, article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A page of one of TEMPLATES that declares `charset`."""
    page = _environment().get_template(f"{template}.html")
    return page.render(article=article, here=here, dice=dice, charset=charset)


@cache
def _environment() -> Environment:
    # Texts are escaped by `text`, as their place in the page needs it; most of a template is markup made by the parts.
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=folder, trim_blocks=True, undefined=StrictUndefined, autoescape=False)
    environment.globals.update({part.__name__: part for part in (escape, linked_data, paragraphs, payload, text)})
    return environment
