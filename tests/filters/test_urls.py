"""Rules on addresses: two spellings of one page are one page, lists reach what they name, and nothing fails."""

from __future__ import annotations

import gzip
import random
import string
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import tldextract
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.urls import lists
from winnow.filters.urls.address import HOSTING, cut, decoded, folded, host, is_registry_suffix, named, site
from winnow.filters.urls.hashes import distinct, hash_of, table
from winnow.filters.urls.lists import KINDS, OWN, THEMES, ListError, ListFile, found, own
from winnow.filters.urls.rules import ABSENT, Address, UrlRules

REFERENCE = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=(), include_psl_private_domains=True)
OURS = [file for theme in THEMES for file in own(theme)]

labels = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
names = st.lists(labels, min_size=1, max_size=3).map(".".join).map(lambda text: text + ".example.co.kr")
addresses = st.one_of(
    st.text(max_size=200),
    st.text("http:/?#[]@%.가ａ\ud800\0 \u202e-:0129", max_size=60),
    st.builds("http://{}{}".format, st.text(max_size=40), st.text(max_size=80)),
)


@pytest.fixture(scope="module")
def ours() -> UrlRules:
    return UrlRules(OURS)


def written(folder: Path, entries: str | bytes, kind: str = "domains", name: str = "mine") -> ListFile:
    path = folder / f"{name}.{kind}.txt"
    path.write_bytes(entries.encode() if isinstance(entries, str) else entries)
    return ListFile(name, kind, path)


def rules(folder: Path, **entries: str) -> UrlRules:
    return UrlRules([written(folder, text, kind) for kind, text in entries.items()])


def one(made: UrlRules, url: str | None) -> Address:
    return made.look([url])[0]


@pytest.mark.parametrize(
    ("url", "name", "domain", "suffix"),
    [
        ("https://WWW.Example.CO.KR./a", "www.example.co.kr", "example.co.kr", "co.kr"),
        ("http://user:p@ss@example.com:8080/x", "example.com", "example.com", "com"),
        ("example.com/path", "example.com", "example.com", "com"),
        ("example.com:8080/path", "example.com", "example.com", "com"),
        ("//example.com?x=http://other.org/", "example.com", "example.com", "com"),
        ("HTTP:\\\\example.com\\a", "example.com", "example.com", "com"),
        ("http:/example.com", "example.com", "example.com", "com"),
        ("http://ex%61mple.com/", "example.com", "example.com", "com"),
        ("http://도박.com/", "xn--hq1bt1n.com", "xn--hq1bt1n.com", "com"),
        ("http://XN--HQ1BT1N.com/", "xn--hq1bt1n.com", "xn--hq1bt1n.com", "com"),
        ("http://%EB%8F%84%EB%B0%95.com/", "xn--hq1bt1n.com", "xn--hq1bt1n.com", "com"),
        ("http://faß.de/", "xn--fa-hia.de", "xn--fa-hia.de", "de"),
        ("http://☃.net/", "xn--n3h.net", "xn--n3h.net", "net"),
        ("http://ｅｘａｍｐｌｅ。com/", "example.com", "example.com", "com"),
        ("http://a_b.example.com/", "a_b.example.com", "example.com", "com"),
        ("http://me.github.io/", "me.github.io", "me.github.io", "github.io"),
        ("http://me.tistory.com/1", "me.tistory.com", "me.tistory.com", "tistory.com"),
        ("http://www.city.kobe.jp/", "www.city.kobe.jp", "city.kobe.jp", "kobe.jp"),
        ("http://a.b.c.kobe.jp/", "a.b.c.kobe.jp", "b.c.kobe.jp", "c.kobe.jp"),
        ("http://a.b.nosuchsuffix/", "a.b.nosuchsuffix", "b.nosuchsuffix", "nosuchsuffix"),
        ("http://co.kr/", "co.kr", "co.kr", "co.kr"),
        ("http://localhost/", "localhost", "localhost", None),
        ("http://192.0.2.7:80/a", "192.0.2.7", "192.0.2.7", None),
        ("http://[2001:DB8:0::1]:80/a", "[2001:db8::1]", "[2001:db8::1]", None),
        (" http://exa\nmple.com/ ", "example.com", "example.com", "com"),
    ],
)
def test_hosts_and_sites(url: str, name: str, domain: str, suffix: str | None, ours: UrlRules) -> None:
    seen = one(ours, url)
    assert (seen.host, seen.domain, seen.suffix, seen.malformed) == (name, domain, suffix, False)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://",
            "mailto:a@b.kr",
            "dns:example.com",
            "http://a..b/",
            "http://[::1/",
            "http://a b.com/",
            "http://x:8x/",
        ),
        *("http://256.1.1.1/", "http://\ud800.com/", "http://" + "a." * 200 + "com/", "/path/only", "#", "data:,x"),
    ],
)
def test_what_is_no_address_is_malformed_and_has_nothing_else(url: str, ours: UrlRules) -> None:
    assert one(ours, url) == Address(malformed=True)


def test_no_address_is_absent(ours: UrlRules) -> None:
    assert ours.look([None, ""]) == [ABSENT, ABSENT]
    assert ours.look([]) == []


@settings(max_examples=200)
@given(st.lists(st.one_of(st.none(), addresses), max_size=8))
def test_no_address_fails_and_none_depends_on_the_batch(urls: list[str | None]) -> None:
    made = UrlRules(OURS)
    together = made.look(urls)
    assert together == [one(made.forget(), url) for url in urls]
    assert together == made.look(urls)
    for seen in together:
        for text in (seen.host, seen.domain, seen.suffix, *seen.hard, *seen.soft):
            assert text is None or text.encode("utf-8")


@given(st.text(string.ascii_letters + string.digits + "-._~가나다도박카지노사이트 ", max_size=60), st.randoms())
def test_case_and_percent_encoding_change_nothing(path: str, chance: random.Random) -> None:
    made = UrlRules(OURS)
    plain = one(made, f"http://a.example.com/x{path}")
    swapped = "".join(c.swapcase() if chance.random() < 0.5 else c for c in path)
    encoded = "".join(
        "".join(f"%{byte:02{chance.choice('xX')}}" for byte in c.encode()) if chance.random() < 0.5 else quote(c)
        for c in path
    )
    for other in (swapped, encoded, quote(swapped, safe="")):
        assert one(made, f"HTTP://A.eXample.com/x{other}") == plain


@given(name=names)
def test_a_subdomain_of_a_listed_domain_is_listed_and_a_name_that_ends_alike_is_not(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = rules(tmp_path_factory.mktemp("lists"), domains="Example.co.kr # a comment\n")
    assert one(made, f"https://{name.upper()}:443/").listed == "mine"
    assert one(made, "example.co.kr").listed == "mine"
    assert one(made, f"https://x{name.replace('.example', '-example')}/").listed is None


@given(
    st.lists(labels, min_size=1, max_size=4).map(".".join),
    st.sampled_from(["com", "co.kr", "kobe.jp", "github.io", "ck"]),
)
def test_sites_are_those_of_the_reference_implementation(name: str, under: str) -> None:
    seen = named(f"{name}.{under}")
    assert seen is not None
    expected = REFERENCE(seen.name)
    assert site(seen) == (expected.top_domain_under_public_suffix or seen.name, expected.suffix)


def test_a_page_sent_encoded_twice_is_decoded_once(ours: UrlRules) -> None:
    assert decoded("%2570orn") == "%70orn"
    assert one(ours, "http://a.kr/%2563asino-jackpot").soft == ("jackpot",)


def test_old_korean_sites_encode_in_cp949(ours: UrlRules) -> None:
    path = quote("토토사이트 추천".encode("cp949"))
    assert one(ours, f"http://a.kr/bbs/?q={path}").hard == ("토토사이트",)


@pytest.mark.parametrize(
    ("url", "hard", "soft"),
    [
        ("http://a.kr/%EC%95%BC%EB%8F%99%EC%9D%84", ("야동",), ()),
        ("http://xn--2q1bl84a.com/", ("야동",), ()),
        ("http://야동.com/", ("야동",), ()),
        ("http://best-카지노.kr/바카라", ("카지노",), ("바카라",)),
        ("http://free-porn.example/", ("porn",), ()),
        ("http://freeporn24.example/", ("porn",), ()),
        ("http://news.kr/uk-porn-law", (), ("porn",)),
        ("http://a.kr/CASINO/Slots?bonus", (), ("casino", "slots")),
        ("http://a.kr/casino_casino/casino", (), ("casino",)),
        ("http://essexshop.co.uk/sussex/sexual-health", (), ()),
        ("http://www.ville-pornic.fr/", (), ()),
        ("http://a.kr/야동초등학교/이웃집-토토로", (), ()),
        ("http://docs.kr/man/ssh-keygen", (), ()),
        ("http://porn:casino@a.kr/#blowjob", (), ()),
        ("http://a.porn/", (), ()),
        ("http://hentaigana.jp/hentai-gana", (), ()),
        ("http://hentai24.example/", ("hentai",), ()),
        ("http://www.yadong-tv.example/", ("yadong",), ()),
        ("http://yasul.example/", ("yasul",), ()),
        ("http://freenudecams.example/", ("nudecam",), ()),
        ("http://sportstoto7.example/", ("sportstoto",), ()),
        ("http://torrentkim12.example/", ("torrentkim",), ()),
        ("http://a.kr/강남오피후기", ("오피후기",), ()),
        ("http://a.kr/오피스-후기", (), ()),
        ("http://a.kr/무직자-당일대출", ("당일대출",), ()),
        ("http://a.kr/무선급전-기술", (), ()),
        ("http://192.0.2.1/casino", (), ("casino",)),
    ],
)
def test_words(url: str, hard: tuple[str, ...], soft: tuple[str, ...], ours: UrlRules) -> None:
    seen = one(ours, url)
    assert (seen.hard, seen.soft) == (hard, soft)


def test_hard_words_are_found_whatever_their_case_in_list_and_address(tmp_path: Path) -> None:
    made = rules(tmp_path, words="BadWord\nx4y\n")
    assert one(made, "http://a.kr/a-BADword/").hard == ("badword",)
    assert one(made, "http://a.kr/X4Y/badwords").hard == ("x4y",)


def test_an_exception_of_ours_does_not_undo_a_word_of_the_user(tmp_path: Path) -> None:
    made = UrlRules([*OURS, written(tmp_path, "pornic\n", "substrings")])
    assert one(made, "http://pornic.fr/").hard == ("pornic",)


@pytest.mark.parametrize("short", [0, lists.SHORT])
def test_kinds_of_lists(tmp_path: Path, short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "SHORT", short)
    made = rules(
        tmp_path,
        domains="tree.com\n*.star.kr\n.dot.kr\n192.0.2.1\n[2001:db8::1]\n한국.kr\n",
        hosts="only.com\n",
        urls="www.page.com/~a\nhttp://Query.com/x?id=1\n",
        suffixes="xxx\n",
    )
    listed = ["a.b.tree.com", "star.kr", "x.dot.kr", "192.0.2.1", "[2001:DB8:0::1]", "a.xn--3e0b707e.kr", "only.com"]
    listed += ["page.com/~a", "page.com/%7EA/b/c?d", "http://www.page.com:80/~a/", "query.com/x?id=1", "any.xxx"]
    free = ["tree.org", "a.only.com", "page.com/~ab", "page.com/", "query.com/x?id=12", "xxx.com", "x.page.com/~a"]
    assert [seen.listed for seen in made.look(listed)] == ["mine"] * len(listed)
    assert [seen.listed for seen in made.look(free)] == [None] * len(free)


PLACES = [
    "가야동",
    "대야동",
    "상야동",
    "하야동",
    "회야동",
    "야동동",
    "야동리",
    "야동길",
    "부산진구가야동",
    "시흥시대야동",
    "가야동주민센터",
    "대야동성당",
    "상야동마을회관",
    "독도박물관",
    "제주도박물관",
    "강화도박물관",
    "거제도박물관",
    "도토토기마을",
]


@pytest.mark.parametrize("place", PLACES)
def test_korean_places_are_no_words(place: str, ours: UrlRules) -> None:
    forms = [
        f"https://map.example.kr/경기도/{place}",
        f"https://map.example.kr/search?q={quote(place)}",
        f"https://news.example.kr/{place}-축제",
        f"https://{place}.kr/notice",
        f"https://xn--{place.encode('punycode').decode()}.kr/",
    ]
    assert [(seen.hard, seen.soft) for seen in ours.look(forms)] == [((), ())] * len(forms)


@pytest.mark.parametrize(
    "url",
    [
        "https://gayadong-church.example.kr/x",
        "https://daeya-dong.example.kr/",
        "https://www.sangyadong.example/",
        "https://yadong-ri.example.kr/",
        "https://yadongdong.example.kr/",
        "http://a.kr/심야동물병원",
        "http://a.kr/산업분야동향",
        "http://a.kr/분야설명",
        "http://a.cn/特色情况",
        "http://a.jp/ピエロ動画",
        "http://www.shentai.example/",
        "http://middlesexcampus.example/",
    ],
)
def test_words_in_the_middle_of_others_do_not_count(url: str, ours: UrlRules) -> None:
    assert (one(ours, url).hard, one(ours, url).soft) == ((), ())


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://a.kr/최신야동", "야동"),
        ("http://a.kr/고화질야동모음", "야동"),
        ("http://a.kr/가야동-야동", "야동"),
        ("http://19야동.kr/", "야동"),
        ("http://free-yadong.example/", "yadong"),
        ("http://koreayadong.example/", "yadong"),
        ("http://ya-dong.example/", "yadong"),
    ],
)
def test_compounds_and_parts_count(url: str, word: str, ours: UrlRules) -> None:
    assert word in one(ours, url).hard


def test_an_allowed_domain_has_nothing_against_it(tmp_path: Path) -> None:
    made = UrlRules([*OURS, written(tmp_path, "pornhub.com\n", "allow")], allow=("도박.com",))
    for url in ("http://www.pornhub.com/blowjob", "http://카지노.도박.com/casino/slots"):
        seen = one(made, url)
        assert (seen.listed, seen.hard, seen.soft, seen.malformed) == (None, (), (), False)
    with pytest.raises(ListError, match=r"allow: 'a b': expected a domain"):
        UrlRules([], allow=("a b",))


def test_the_first_of_several_lists_is_named(tmp_path: Path) -> None:
    files = [written(tmp_path, "a.kr\nx.a.kr\n", name="one"), written(tmp_path, "b.kr\na.kr\n", name="two")]
    assert [seen.listed for seen in UrlRules(files).look(["x.a.kr", "b.kr"])] == ["one", "two"]
    assert [seen.listed for seen in UrlRules(files[::-1]).look(["x.a.kr", "b.kr"])] == ["two", "two"]


@pytest.mark.parametrize("short", [0, lists.SHORT])
def test_hosts_files_gzip_and_ut1_folders(tmp_path: Path, short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "SHORT", short)
    text = "127.0.0.1 localhost\r\n::1 ip6-localhost\r\nfe80::1%lo0 localhost\r\n0.0.0.0 bad.kr worse.kr # why\r\n"
    packed = written(tmp_path, gzip.compress(b"\xef\xbb\xbf" + text.encode() + b"\n\n# end"))
    assert [a.listed for a in UrlRules([packed]).look(["bad.kr", "x.worse.kr", "localhost"])] == ["mine", "mine", None]
    folder = tmp_path / "ut1" / "adult"
    folder.mkdir(parents=True)
    (folder / "domains").write_text("bad.kr\nxxx\nsex.hu\n")
    (folder / "urls.gz").write_bytes(gzip.compress(b"good.kr/bad\n"))
    files = found("adult", "domains", folder)
    assert [file.kind for file in files] == ["domains", "urls"]
    seen = UrlRules(files).look(["bad.kr", "good.kr/bad/1", "good.kr/", "a.xxx", "a.sex.hu"])
    assert [a.listed for a in seen] == ["adult", "adult", None, "adult", "adult"]
    with pytest.raises(ListError, match=r"has no file named domains or urls; it has categories, name one: .*adult"):
        found("ut1", "domains", tmp_path / "ut1")


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("domains", "a.kr\nbad name.kr\n", r"line 2: 'bad name.kr': expected a domain such as example.com"),
        ("domains", "a.kr\n||ads.kr^\n", r"line 2: '\|\|ads.kr\^': expected a domain"),
        ("domains", "a.kr\n\n\nco.kr\n", r"line 4: 'co.kr': it is a public suffix, .* delete the line"),
        ("domains", "com.bd\n", r"line 1: 'com.bd': it is a public suffix"),
        ("domains", "0.0.0.0 com\n", r"line 1: 'com': it is a public suffix"),
        ("domains", "한국\n", r"line 1: 'xn--3e0b707e': it is a public suffix"),
        (
            "domains",
            "a.kr\nsite4\n",
            r"line 2: 'site4': expected a domain such as example.com; for words give kind: words",
        ),
        ("suffixes", "site4\n", r"line 1: 'site4': expected a public suffix"),
        ("allow", "kr\n", r"line 1: 'kr': it is a public suffix"),
        ("domains", b"a.kr\n\xff\xfe.kr\n", r"line 2: not UTF-8: expected a text file"),
        ("domains", b"MZ\0\0\n", r"is not a text file: byte 2 is NUL"),
        ("domains", b"\x1f\x8bnothing", r"cannot be read: "),
        ("domains", "a" * 300 + ".kr\n", r"line 1: '.*\.\.\.': expected a domain"),
        ("urls", "a.kr/x\na.kr\n", r"line 2: 'a.kr': expected host and path"),
        ("suffixes", "example.com\n", r"line 1: 'example.com': expected a public suffix"),
        ("words", "good\ntwo words\n", r"line 2: 'two words': expected one word"),
        ("soft_words", "x\n", r"line 1: 'x': expected one word of at least two"),
        ("substrings", "ab\n", r"line 1: 'ab': expected at least three letters"),
        ("exceptions", "--\n", r"line 1: '--': expected letters or digits"),
    ],
)
@pytest.mark.parametrize("short", [0, lists.SHORT])
def test_a_bad_line_is_one_sentence(
    tmp_path: Path, kind: str, text: str | bytes, message: str, short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "SHORT", short)
    with pytest.raises(ListError, match=message) as error:
        UrlRules([written(tmp_path, text, kind)])
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_a_list_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ListError, match=r"nowhere' does not exist: expected a file of words, or a folder"):
        found("mine", "words", tmp_path / "nowhere")
    with pytest.raises(ListError, match=r"is a folder, whose files say what they hold: expected a file of words"):
        found("mine", "words", tmp_path)


@settings(max_examples=30)
@given(entries=st.lists(names, min_size=1, max_size=40), upper=st.booleans(), chunk=st.integers(1, 60))
def test_lists_read_alike_whatever_the_stretches(
    entries: list[str], upper: bool, chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "\n".join(entry.upper() if upper else f"{entry} # x" for entry in entries)
    file = written(tmp_path_factory.mktemp("lists"), text)
    before = lists.CHUNK, lists.SHORT
    lists.CHUNK = max(chunk, 1 + max(map(len, text.split("\n"))))
    try:
        for lists.SHORT in (0, 2**20):
            hashes = lists.names(file)
            assert sorted(hashes.tolist()) == sorted(hash_of(entry) for entry in entries)
    finally:
        lists.CHUNK, lists.SHORT = before


def test_a_listed_domain_takes_nine_bytes() -> None:
    found_in = table([(0, distinct(lists.names(ListFile("a", "domains", OWN / "adult.domains.txt"))))])
    assert found_in.bytes == 9 * found_in.hashes.size


def test_the_number_of_lists_may_pass_a_byte() -> None:
    made = table([(owner, np.array([owner * 7], np.uint64)) for owner in range(300)])
    assert made.find(np.array([299 * 7, 3], np.uint64)).tolist() == [299, -1]


def test_our_lists_are_sound() -> None:
    for file in OURS:
        entries = [line for line in file.path.read_text(encoding="utf-8").split("\n") if line and line[0] != "#"]
        assert len(set(entries)) == len(entries), file.path
        assert "for this project" in file.path.read_text(encoding="utf-8") or file.kind not in ("domains", "allow")
    named_files = {file.path for file in OURS} | {HOSTING, OWN / "registries.txt"}
    assert set(OWN.iterdir()) == named_files
    assert {file.kind for file in OURS} <= set(KINDS)
    assert not is_registry_suffix("github.io")


def test_our_lists_drop_no_page_of_the_mixed_crawl(ours: UrlRules, crawl_truth: list[dict[str, Any]]) -> None:
    urls = [row["uri"] for row in crawl_truth]
    lost = [(u, a) for u, a in zip(urls, ours.look(urls), strict=True) if a.listed or a.hard or len(a.soft) > 1]
    assert len(urls) == 2261
    assert lost == []


@pytest.mark.parametrize("path", ["/" * 10**6, "/야동" * 10**6, "/a?" + "%" * 10**6, "/casino" * 10**6])
def test_a_long_address_takes_no_longer_than_its_start(path: str, ours: UrlRules, tmp_path: Path) -> None:
    made = UrlRules([*OURS, written(tmp_path, "a.kr/bad\n", "urls")])
    assert one(made, "http://a.kr" + path) == one(ours, "http://a.kr" + path[:4096])
    assert one(made, "http://a" + "a" * 10**6).malformed
    assert one(made, f"http://{'user' * 10**6}@b.a.kr/").host == "b.a.kr"


def test_parts_of_an_address() -> None:
    assert cut("http://a.kr/b?c#d") == ("a.kr", "/b?c")
    assert host("[::1]x") is None
    assert folded("ＰＯＲＮ") == "porn"
