"""Twelve kinds of page as the Korean web writes them, each a function of an article, a site and a draw."""

from __future__ import annotations

from collections.abc import Callable

from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.page import (
    Article,
    Site,
    ads,
    comments,
    cookie,
    head,
    menu,
    paragraphs,
    payload,
    related,
    share,
    text,
    top,
)

Template = Callable[[Article, Site, Dice, str], str]


def portal(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A news portal."""
    return f"""<!DOCTYPE html>
<html lang="{here.language}">
<head>{head(article, here, charset)}</head>
<body class="article-page">{top(here, dice)}
<main id="container"><div class="article-wrap"><article id="articleView">
<h2 class="article-title">{text(article.title)}</h2>
<div class="info"><span class="reporter">{article.author}</span> <span class="date">{article.date} {dice.between(0, 23):02d}:{dice.below(60):02d}</span></div>
{share(here, dice)}<div id="articleBody" class="article-body" itemprop="articleBody">
<figure><img src="/photo/{dice.below(10**6)}.jpg" alt=""><figcaption>{here.label("photo")} {here.name}</figcaption></figure>
{paragraphs(article)}</div></article>{ads(here, dice, 2)}{related(article, here, dice)}{comments(article, here, dice)}</div>
<aside class="side">{related(article, here, dice, "popular")}{ads(here, dice, 3, "ad-side")}</aside></main>
{here.footer}{cookie(here)}{payload(here, dice)}</body></html>"""


def seblog(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A blog made with a block editor: every line deep in modules and spans."""
    before = (
        '<div class="se-component se-text"><div class="se-component-content"><div class="se-section"><div class="se-module se-module-text">'
        '<p class="se-text-paragraph"><span style="color:#000000;" class="se-fs-fs16 se-ff-nanumgothic">'
    )
    after = '</span></p><p class="se-text-paragraph"><span class="se-fs-">\u200b</span></p></div></div></div></div>\n'
    return f"""<!doctype html>
<html lang="{here.language}"><head>{head(article, here, charset)}</head>
<body>{menu(here, dice, depth=1, tag="div")}<div id="post-area"><div class="se-viewer se-theme-default">
<div class="se-main-container"><div class="se-documentTitle"><h3 class="se-fs-">{text(article.title)}</h3>
<div class="blog2_container"><span class="nick">{article.author}</span> <span class="se_publishDate">{article.date}</span></div></div>
{paragraphs(article, before, after)}</div></div>
<div class="post_tag">{" ".join(f'<a href="/tag/{n}">#{text(w)}</a>' for n, w in enumerate(dice.sample(here.words.menu, 4)))}</div>
{comments(article, here, dice)}</div><div id="blog-menu">{related(article, here, dice, "category")}</div>{here.footer}{payload(here, dice)}</body></html>"""


def diary(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A skinned blog with an entry, a table of other entries and a side bar."""
    others = "".join(
        f'<tr><th><a href="/{dice.below(900)}">{text(t)}</a></th><td>{article.date}</td></tr>'
        for t in article.related[:5]
    )
    return f"""<!DOCTYPE html>
<html lang="{here.language}"><head>{head(article, here, charset)}</head><body id="tt-body-page">
{top(here, dice)}<div id="wrap"><section class="container"><div class="post-cover"><h1>{text(article.title)}</h1>
<span class="meta">by {article.author} {article.date}</span></div>
<div class="entry-content"><div class="tt_article_useless_p_margin contents_style">{paragraphs(article, '<p data-ke-size="size16">')}</div>
<div class="container_postbtn">{share(here, dice)}</div></div><div class="another_category"><h4>{here.label("category")}</h4><table>{others}</table></div>
{comments(article, here, dice)}</section><aside class="sidebar">{related(article, here, dice, "popular")}{ads(here, dice, 2)}</aside></div>
{here.footer}{payload(here, dice)}</body></html>"""


def forum(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A forum thread with its comments and the list of threads below."""
    rows = "".join(
        f'<tr><td>{dice.below(99999)}</td><td class="subject"><a href="?no={dice.below(99999)}">{text(t)}</a> [{dice.below(30)}]</td>'
        f"<td>user{dice.below(999)}</td><td>{article.date[5:]}</td><td>{dice.below(5000)}</td></tr>"
        for t in article.related[:5]
    )
    below = f'<table class="bbs_list"><tbody>{rows}</tbody></table>' if dice.chance(0.3) else ""
    return f"""<!DOCTYPE html>
<html lang="{here.language}"><head>{head(article, here, charset)}</head><body>{top(here, dice)}
<div class="board"><div class="view_head"><h3 class="title">{text(article.title)}</h3>
<p class="nick">{article.author} | {article.date} | {here.label("views")} {dice.below(9000)} | {here.label("comments")} {len(article.comments)}</p></div>
<div class="view_content"><div class="xe_content">{paragraphs(article, "<p>", "</p><p>&nbsp;</p>")}</div></div>
<div class="vote"><button>{here.label("like")} {dice.below(300)}</button></div>{comments(article, here, dice)}
{below}</div>{ads(here, dice, 2)}{here.footer}{payload(here, dice)}</body></html>"""


def manual(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """Documentation with a sidebar, breadcrumbs and pager."""
    side = "".join(
        f'<li class="nav-item"><a class="nav-link" href="../{n}/">{text(t)}</a></li>'
        for n, t in enumerate(article.related)
    )
    code = f'<pre><code class="language-shell">$ tool --config ./app-{dice.below(90)}.toml --check\nok: {dice.below(60)} files\n</code></pre>'
    return f"""<!DOCTYPE html>
<html lang="{here.language}" data-theme="light"><head>{head(article, here, charset)}</head><body class="docs">
<a class="skip" href="#main">{here.label("toc")}</a>{menu(here, dice, depth=1)}
<div class="layout"><nav class="sidebar toc"><p>{here.label("toc")}</p><ul>{side}</ul></nav>
<main id="main" class="markdown-body"><ol class="breadcrumb"><li>{here.label("home")}</li><li>{here.name}</li></ol>
<h1>{text(article.title)}</h1>{paragraphs(article)}{code if article.body is None else ""}
<p class="pager"><a href="../a/">{here.label("prev")}</a> <a href="../b/">{here.label("next")}</a> <a href="#">{here.label("edit")}</a></p></main></div>
{here.footer}{payload(here, dice)}</body></html>"""


def shop(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A shop's page whose description is an essay."""
    cards = "".join(
        f'<li class="prd"><a href="/p/{dice.below(9999)}"><img src="/p/{n}.jpg" alt=""><p>{text(w)}</p><b>{dice.between(3, 99)},900</b></a></li>'
        for n, w in enumerate(dice.sample(here.words.ads, 6))
    )
    return f"""<!DOCTYPE html>
<html lang="{here.language}"><head>{head(article, here, charset)}</head><body>{top(here, dice)}
<div id="product"><div class="summary"><img src="/p/big{dice.below(999)}.jpg" alt=""><dl><dt>{here.label("price")}</dt><dd>{dice.between(5, 99)},000</dd></dl>
<select name="opt"><option>1</option><option>2</option></select><button>{here.label("cart")}</button><button>{here.label("buy")}</button></div>
<div class="detail"><h2>{text(article.title)}</h2>{paragraphs(article)}</div>{comments(article, here, dice)}
<ul class="recommend">{cards}</ul></div>{here.footer}{cookie(here)}{payload(here, dice)}</body></html>"""


def wiki(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A wiki page with an information box and a table of contents."""
    toc = "".join(f'<li><a href="#s{n}">{text(w)}</a></li>' for n, w in enumerate(dice.sample(here.words.menu, 4)))
    return f"""<!DOCTYPE html>
<html class="client-nojs" lang="{here.language}" dir="ltr"><head>{head(article, here, charset)}</head><body class="mediawiki ltr">
<div id="mw-page-base"></div><div id="content" class="mw-body" role="main"><h1 id="firstHeading">{text(article.title)}</h1>
<div id="bodyContent"><div id="mw-content-text" class="mw-body-content"><div class="mw-parser-output">
<table class="infobox"><tbody><tr><th>{here.label("author")}</th><td>{article.author}</td></tr><tr><th>{here.label("date")}</th><td>{article.date}</td></tr></tbody></table>
<div id="toc" class="toc"><h2>{here.label("toc")}</h2><ul>{toc}</ul></div>{paragraphs(article)}</div></div>
<div id="catlinks"><a href="/c">{here.label("category")}</a>: {related(article, here, dice)}</div></div></div>
<div id="mw-navigation">{menu(here, dice)}<a href="?edit">{here.label("edit")}</a> <a href="?history">{here.label("history")}</a></div>
{here.footer}{payload(here, dice)}</body></html>"""


def notice(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A public office's notice: text in the cell of a table on older sites, in blocks on newer ones."""
    return f"""<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="{here.language}" lang="{here.language}"><head>{head(article, here, charset)}</head>
<body>{top(here, dice)}<div id="sub_container"><div class="lnb">{menu(here, dice, depth=1)}</div>
<div id="contents">{(_notice_table if dice.chance(0.3) else _notice_blocks)(article, here, dice)}
<div class="btns"><a href="./list.do">{here.label("list")}</a> <a href="#" onclick="print()">{here.label("print")}</a></div></div></div>{here.footer}</body></html>"""


def _notice_table(article: Article, here: Site, dice: Dice) -> str:
    return f"""<table class="view_table" summary=""><tbody><tr><th scope="row">{here.label("dept")}</th><td>{here.name}</td>
<th scope="row">{here.label("date")}</th><td>{article.date}</td></tr><tr><td colspan="4" class="subject"><h4>{text(article.title)}</h4></td></tr>
<tr><td colspan="4" class="view_con"><div class="con">{paragraphs(article)}</div></td></tr>
<tr><th>{here.label("file")}</th><td colspan="3"><a href="/download?f={dice.below(9999)}">attach_{dice.below(99)}.hwp</a></td></tr></tbody></table>"""


def _notice_blocks(article: Article, here: Site, dice: Dice) -> str:
    return f"""<div class="bbs_view"><h4 class="subject">{text(article.title)}</h4>
<ul class="info"><li>{here.label("dept")} {here.name}</li><li>{here.label("date")} {article.date}</li></ul>
<div class="view_con">{paragraphs(article)}</div>
<div class="file"><a href="/download?f={dice.below(9999)}">attach_{dice.below(99)}.hwp</a></div></div>"""


def magazine(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A magazine with figures and large type."""
    return f"""<!DOCTYPE html>
<html lang="{here.language}" prefix="og: http://ogp.me/ns#"><head>{head(article, here, charset)}</head><body>
{top(here, dice)}<article class="story"><header class="hero" style="background-image:url(/hero/{dice.below(999)}.webp)"><h1>{text(article.title)}</h1>
<p class="byline">{here.label("author")} {article.author} <time datetime="{article.date}">{article.date}</time></p></header>
<section class="story-body"><picture><source srcset="/a.webp" type="image/webp"><img loading="lazy" src="/a.jpg" alt=""></picture>
{paragraphs(article)}</section><footer class="story-foot">{share(here, dice)}<a class="subscribe" href="/s">{here.label("subscribe")}</a></footer></article>
{related(article, here, dice)}{ads(here, dice, 2)}{here.footer}{cookie(here)}{payload(here, dice)}</body></html>"""


def tables(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A page of about 2001: no doctype, nested tables, <font>, lines ended by <br>."""
    links = "".join(
        f'<tr><td bgcolor="#eeeecc"><font size=2><a href="page{n}.html">{text(w)}</a></font></td></tr>'
        for n, w in enumerate(dice.sample(here.words.menu, 12))
    )
    return f"""<HTML>
<HEAD><META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset={charset}">
<TITLE>{text(article.title)}</TITLE>
<SCRIPT LANGUAGE="JavaScript">
<!--
function openWin(u) {{ window.open(u, "pop", "width=400,height=500"); }}
//-->
</SCRIPT></HEAD>
<BODY BGCOLOR=white TEXT=black LINK=blue topmargin=0>
<center><table width=760 border=0 cellpadding=0 cellspacing=0><tr><td colspan=2><img src="images/top{dice.below(9)}.gif" width=760 height=80></td></tr>
<tr><td width=150 valign=top><table width=140 cellpadding=3>{links}</table></td>
<td valign=top><table width=590 cellpadding=8><tr><td><font size=4 color="#003366"><b>{text(article.title)}</b></font><hr noshade size=1>
<font size=2>{paragraphs(article, "", "<br><br>")}</font></td></tr></table></td></tr>
<tr><td colspan=2 align=center><font size=1>{text(here.words.footer[0])}<br>{here.name} webmaster</font></td></tr></table></center>
</BODY></HTML>"""


def amp(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A page for telephones in the AMP dialect."""
    return f"""<!doctype html>
<html amp lang="{here.language}"><head>{head(article, here, charset)}<script async src="https://cdn.example/v0.js"></script></head>
<body><amp-analytics type="gtag"><script type="application/json">{{"vars":{{"id":"X-{dice.below(10**6)}"}}}}</script></amp-analytics>
<header class="amp-header"><a href="/">{here.name}</a><button on="tap:sidebar.toggle">&#9776;</button></header>
<amp-sidebar id="sidebar" layout="nodisplay">{menu(here, dice, depth=1)}</amp-sidebar>
<article class="amp-article"><h1>{text(article.title)}</h1><p class="meta">{article.author} {article.date}</p>
<amp-img src="/p.jpg" width="600" height="400" layout="responsive"></amp-img>{paragraphs(article)}</article>
<amp-ad width="300" height="250" type="x"></amp-ad>{related(article, here, dice)}{here.footer}</body></html>"""


def gnuboard(article: Article, here: Site, dice: Dice, charset: str) -> str:
    """A club's board in a PHP board package."""
    return f"""<!doctype html>
<html lang="{here.language}"><head>{head(article, here, charset)}</head><body><div id="skip_to_container"><a href="#container">{here.label("toc")}</a></div>
{top(here, dice)}<div id="container"><article id="bo_v"><header><h2 id="bo_v_title"><span class="bo_v_tit">{text(article.title)}</span></h2></header>
<section id="bo_v_info"><strong>{article.author}</strong> {here.label("comments")} {len(article.comments)} {here.label("views")} {dice.below(3000)} {article.date}</section>
<section id="bo_v_atc"><div id="bo_v_con">{paragraphs(article)}</div></section>
<ul class="bo_v_nb"><li>{here.label("prev")} <a href="?wr_id=1">{text(article.related[0])}</a></li><li>{here.label("next")} <a href="?wr_id=3">{text(article.related[1])}</a></li></ul>
{comments(article, here, dice)}</article></div>{ads(here, dice, 2)}{here.footer}{payload(here, dice)}</body></html>"""


TEMPLATES: dict[str, Template] = {
    page.__name__: page
    for page in (portal, seblog, diary, forum, manual, shop, wiki, notice, magazine, tables, amp, gnuboard)
}
